"""What every likelihood fit of a boundary does with its maximum: intervals, checks, the record."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.ascent import Evaluate, profile_limits
from observatory.analysis.fits.bins import RateBins, distinct_rows, non_monotone
from observatory.analysis.fits.estimate import Estimate, Parameter, Plain
from observatory.analysis.fits.likelihood import (
    binomial_log_likelihood,
    fit_many,
    step_likelihood,
)
from observatory.analysis.fits.links import Link
from observatory.analysis.fits.observations import Observations
from observatory.analysis.fits.rate_curve import rates
from observatory.analysis.fits.solvers import chi2_quantile, chi2_tail, f_quantile
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]

NAMES = ("critical", "slope", "guess", "lapse")
WINDOW_NAMES = (*NAMES, "critical_upper", "slope_upper")


@dataclass(frozen=True)
class Maximum:
    """A maximised likelihood.

    Attributes:
        evaluate: The likelihood.
        names: Of the parameters; `critical*` are held as log10, `slope*` as natural logs.
        theta: Where it is greatest, `[param]`.
        value: The log-likelihood there.
        low: Lower ends of the box, `[param]`.
        high: Upper ends.
    """

    evaluate: Evaluate
    names: tuple[str, ...]
    theta: Array
    value: float
    low: Array
    high: Array

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which parameters were fitted, `[param]`."""
        return self.low < self.high


def natural(name: str, value: float) -> float:
    """A parameter as it is reported.

    Example:
        >>> natural("critical", -1.0), natural("lapse", 0.1)
        (0.1, 0.1)
    """
    if name.startswith("critical"):
        return 10.0**value
    return math.exp(value) if name.startswith("slope") else value


def _errors(found: Maximum) -> dict[str, float]:
    """Standard errors on the reported scale, of what does not lie on the edge of its box."""
    room = 1e-6 * (1.0 + np.abs(found.theta))
    inside = found.free & (found.theta > found.low + room) & (found.theta < found.high - room)
    at = np.flatnonzero(inside)
    metric = found.evaluate(found.theta[None], np.zeros(1, dtype=np.int64))[2][0][np.ix_(at, at)]
    if not at.size or np.linalg.cond(metric) > 1e12:
        return {}
    spread = np.sqrt(np.diag(np.asarray(np.linalg.inv(metric), dtype=np.float64)))
    errors: dict[str, float] = {}
    for i, se in zip(at.tolist(), spread, strict=True):
        name = found.names[i]
        value = natural(name, float(found.theta[i]))
        scale = math.log(10.0) * value if name.startswith("critical") else 1.0
        errors[name] = float(se) * (value if name.startswith("slope") else scale)
    return errors


def profiled(
    found: Maximum, x: Array, level: float, degrees: int | None = None
) -> dict[str, Parameter]:
    """Every fitted parameter with its standard error and its profile-likelihood limits.

    A critical point is looked at up to a decade beyond the weight decays tried; a share that is
    bounded by its box has the end of the box as its limit.

    Args:
        found: The maximum.
        x: log10 of the control, `[bin]`.
        level: Coverage, such as 0.95.
        degrees: Degrees of freedom of an estimated variance: F(1, degrees) takes the place of
            chi-square.
    """
    coarse = 1.0 if found.theta.size == 4 else 3.0  # likelihoods that take long
    drop = 0.5 * (chi2_quantile(level, 1) if degrees is None else f_quantile(level, 1, degrees))
    errors = _errors(found)
    around = np.tile(found.theta, (2 if coarse == 1.0 else 0, 1))
    if len(around):
        around[:, 1] = np.clip(found.theta[1] + np.array([-1.2, 1.2]), found.low[1], found.high[1])
    params: dict[str, Parameter] = {}
    for i in np.flatnonzero(found.free).tolist():
        name, low, high = found.names[i], float(found.low[i]), float(found.high[i])
        if name.startswith("critical"):
            axis = (i, float(x[0]) - 1.0, float(x[-1]) + 1.0, 0.05 * coarse)
        else:
            step = 0.25 * coarse if name.startswith("slope") else (high - low) / 25.0
            axis = (i, low, high, step)
        limits = profile_limits(
            found.evaluate, found.low, found.high, found.theta, around, axis, drop
        )
        if not name.startswith(("critical", "slope")):
            limits = tuple(e if v is None else v for v, e in zip(limits, (low, high), strict=True))
        ends = [None if end is None else natural(name, end) for end in limits]
        value = natural(name, float(found.theta[i]))
        params[name] = Parameter(value, errors.get(name), *ends)
    return params


def require_rise(found_value: float, counts: tuple[Array, Array], level: float) -> None:
    """Refuse a rise that a constant rate would show as well.

    Args:
        found_value: Log-likelihood of the curve, without binomial coefficients.
        counts: k and n, `[bin]` each.
        level: The likelihood ratio must exceed what a constant rate exceeds in 1 - level.

    Raises:
        FitRefusedError: If it does not.
    """
    k, n = counts
    overall = np.full(k.size, k.sum() / n.sum())
    constant = float(binomial_log_likelihood(k, n, overall).sum())
    p_value = chi2_tail(2.0 * max(found_value - constant, 0.0), 1)
    if p_value > 1.0 - level:
        raise FitRefusedError(
            "The rate does not rise more than a constant rate would show (likelihood ratio, "
            f"p = {p_value:.2g}). Add replicas or widen the window."
        )


def misfit(
    bins: RateBins,
    theta: Array,
    box: tuple[Array, Array],
    link: Link,
    n_simulations: int,
    rng: np.random.Generator,
) -> dict[str, Plain]:
    """The deviance of one edge, and how often counts of the fitted curve show a larger one.

    The reference is a parametric bootstrap, refitted by maximum likelihood as the data are: with
    few replicas per bin the deviance is far from chi-square.

    Args:
        bins: The counts.
        theta: The fitted curve, `[4]`.
        box: Ends of the box of its parameters.
        link: The shape of the rise.
        n_simulations: Sets of counts drawn; 0 for no test.
        rng: Where they come from.

    Returns:
        `deviance`, `degrees_of_freedom`, and `deviance_p`, null where nothing is left to test.
    """
    low, high = box
    n = np.rint(bins.n)
    degrees = bins.x.size - int((low < high).sum())
    p = rates(bins.x, theta[None], link)[0][0]
    drawn = rng.binomial(n.astype(np.int64), p, size=(n_simulations, n.size)) * (bins.n / n)
    every = np.concatenate([bins.k[None], drawn])
    first, back = distinct_rows(every)
    k = every[first]
    repeated = np.tile(bins.n, (len(k), 1))
    _, value, _ = fit_many(bins.x, repeated, k, link, low, high, theta)
    value = np.maximum(value, step_likelihood(k, repeated, low, high)[0])
    saturated = binomial_log_likelihood(k, bins.n, k / bins.n).sum(axis=1)
    deviances = (2.0 * (saturated - value))[back]
    share = None
    if degrees > 0 and n_simulations:
        larger = float((deviances[1:] >= deviances[0] - 1e-9).sum())
        share = (1.0 + larger) / (1.0 + n_simulations)
    return {"deviance": float(deviances[0]), "degrees_of_freedom": degrees, "deviance_p": share}


def boundary_warnings(
    data: Observations,
    bins: RateBins,
    params: Mapping[str, Parameter],
    misfit_p: Plain,
    *,
    assumes_like_seeds: bool = True,
) -> list[str]:
    """What a reader of a boundary could take wrongly."""
    name = data.control
    warnings = [*data.horizon_warnings, *non_monotone(bins)]
    if isinstance(misfit_p, float) and misfit_p < 0.01:
        warnings.append(
            f"The curve does not describe the counts (p = {misfit_p:.2g}): its intervals are too "
            "narrow."
        )
    for which, parameter in params.items():
        if which.startswith("critical"):
            word = "upper critical" if which.endswith("upper") else "critical"
            if None in (parameter.ci_low, parameter.ci_high):
                warnings.append(
                    f"The {word} {name} is unbounded on one side, up to a decade beyond the values "
                    "tried."
                )
            if not bins.weight_decay[0] <= parameter.value <= bins.weight_decay[-1]:
                warnings.append(f"The {word} {name} lies outside the {name}s tried.")
    extra = seed_excess(bins) if assumes_like_seeds else None
    if extra is not None and extra < 0.01:
        warnings.append(
            f"Seeds differ more than chance would have it (permutation, p = {extra:.2g}): an "
            "interval that takes replicas as independent is too narrow. See the fit with a seed "
            "effect."
        )
    return warnings


def seed_excess(bins: RateBins, n_permutations: int = 999) -> float | None:
    """Whether some seeds grok more often than others at the same weight decays.

    The statistic is the variance over seeds of grokked minus expected counts; under the null the
    outcomes of each cell are shuffled among its seeds.

    Returns:
        The permutation p-value; None where seeds have several replicas in a
        cell or there are fewer than three seeds.
    """
    if bins.n_by is None or bins.k_by is None or len(bins.n_by) < 3 or np.any(bins.n_by > 1):
        return None
    there = bins.n_by > 0
    rng = np.random.default_rng(0)
    centred = np.where(there, bins.k_by - bins.rate, 0.0)
    observed = float(np.square(centred.sum(axis=1)).sum())
    total = np.zeros((n_permutations, len(there)))
    for j in range(bins.x.size):
        members = np.flatnonzero(there[:, j])
        drawn = rng.permuted(np.tile(centred[members, j], (n_permutations, 1)), axis=1)
        total[:, members] += drawn
    larger = np.square(total).sum(axis=1) >= observed - 1e-9
    return (1.0 + float(larger.sum())) / (1.0 + n_permutations)


def boundary_record(
    data: Observations,
    bins: RateBins,
    params: Mapping[str, Parameter],
    estimator: str,
    level: float,
    seed: int,
    warnings: Sequence[str],
    extras: Mapping[str, Plain],
) -> Estimate:
    """The estimate of a boundary as every estimator reports it."""
    return Estimate(
        fit="boundary",
        estimator=estimator,
        event=data.event,
        horizon_steps=data.horizon_steps,
        horizon_epochs=data.horizon_epochs,
        params=params,
        level=level,
        n=data.n,
        seed=seed,
        warnings=warnings,
        extras={
            "n_bins": bins.x.size,
            "control": data.control,
            **extras,
            "slope_unit": slope_unit(extras.get("link")),
            "width_10_90_decades": width_10_90(str(extras.get("link")), params["slope"].value),
        },
    )


def slope_unit(link: Plain) -> str:
    """What a slope counts, per decade of the control."""
    return {"probit": "probits", "cloglog": "log hazards"}.get(str(link), "logits") + " per decade"


def width_10_90(link: str, slope: float) -> float:
    """Decades over which the underlying curve rises from 0.1 to 0.9."""
    spans = {
        "logistic": 2.0 * math.log(9.0),
        "probit": 2.5631031310892007,
        "cloglog": math.log(math.log(0.1) / math.log(0.9)),
    }
    return spans[link] / slope
