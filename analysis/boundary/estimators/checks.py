"""What is checked of every likelihood fit of a boundary, and the warnings that follow."""

from collections.abc import Mapping

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    binomial_log_likelihood,
    fit_many,
    rates,
    step_likelihood,
)
from observatory.analysis.stats.ascent import Array
from observatory.analysis.stats.bins import (
    RateBins,
    distinct_rows,
    non_monotone,
    seeds_shared,
    separation_reason,
    several_seeds,
)
from observatory.analysis.stats.estimate import Parameter, Plain
from observatory.analysis.stats.links import LINKS, Link
from observatory.analysis.stats.observations import Observations, critical_words
from observatory.analysis.stats.solvers import alpha_of, chi2_tail
from observatory.core.errors import FitRefusedError


def _require_rise(found_value: float, bins: RateBins, level: float) -> None:
    """Refuse a log-likelihood whose ratio to a constant rate's chance exceeds in 1 - level."""
    overall = np.full(bins.x.size, bins.k.sum() / bins.n.sum())
    constant = float(binomial_log_likelihood(bins.k, bins.n, overall).sum())
    p_value = chi2_tail(2.0 * max(found_value - constant, 0.0), 1)
    if p_value >= alpha_of(level):
        raise FitRefusedError(
            "The event rate does not rise more than a constant rate would show (likelihood ratio, "
            f"p = {p_value:.2g}). Add replicas or widen the window."
        )


def require_logistic_rise(bins: RateBins, x0: float, log_slope: float, level: float) -> float:
    """Log-likelihood of a logistic without lapses.

    Raises:
        FitRefusedError: If a constant rate would show such a rise as well.
    """
    theta = np.array([[x0, log_slope, 0.0, 0.0]])
    p = rates(bins.x, theta, LINKS["logistic"])[0][0]
    value = float(binomial_log_likelihood(bins.k, bins.n, p).sum())
    _require_rise(value, bins, level)
    return value


def require_fit(
    bins: RateBins, link: Link, low: Array, high: Array, level: float, tolerance: float = 1e-10
) -> tuple[Array, float]:
    """Maximum likelihood of one edge: its parameters, `[4]`, and the log-likelihood.

    Raises:
        FitRefusedError: If the counts are separated, or the rate does not rise beyond its scatter.
    """
    n, k = bins.n[None], bins.k[None]
    theta, value, margin = fit_many(bins.x, n, k, link, low, high, tolerance=tolerance)
    if margin[0] < SEPARATED:
        raise FitRefusedError(separation_reason(bins))
    _require_rise(float(value[0]), bins, level)
    return theta[0], float(value[0])


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
    few replicas per bin the deviance is far from chi-square. Its p is null where nothing is left to
    test.
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
    only_rises: bool = True,
) -> list[str]:
    """What a reader of a boundary could take wrongly, by parameters and goodness of fit."""
    name = data.control
    warnings = [*data.horizon_warnings, *(non_monotone(bins) if only_rises else [])]
    if isinstance(misfit_p, float) and misfit_p < 0.01:
        warnings.append(
            f"The curve does not describe the counts (p = {misfit_p:.2g}): its intervals are too "
            "narrow."
        )
    for which, parameter in params.items():
        if which.startswith("critical"):
            word = f"{'upper ' * which.endswith('upper')}{critical_words(name)}"
            if None in (parameter.ci_low, parameter.ci_high):
                warnings.append(
                    f"The {word} is unbounded on one side, up to a decade beyond the values tried."
                )
            if not bins.weight_decay.min() <= parameter.value <= bins.weight_decay.max():
                warnings.append(f"The {word} lies outside the values tried.")
    if bins.n_by is None and _one_seed_each(data):
        warnings.append(
            f"Every {name} has replicas of one seed only: the interval does not say what another "
            "seed would do. Add seeds."
        )
    extra = seed_excess(bins) if assumes_like_seeds else None
    if extra is not None and extra < 0.01:
        warnings.append(
            f"Seeds differ more than chance would have it (permutation, p = {extra:.2g}): an "
            "interval that takes replicas as independent is too narrow. See the fit with a seed "
            "effect."
        )
    return warnings


def _one_seed_each(data: Observations) -> bool:
    """Whether replicas share seeds, and no weight decay has more than one."""
    if data.seed is None or several_seeds(
        np.unique(data.weight_decay, return_inverse=True)[1], data.seed
    ):
        return False
    return seeds_shared(data.seed, data.weights)


def seed_excess(bins: RateBins, n_permutations: int = 999) -> float | None:
    """Whether some seeds grok more often than others at the same weight decays.

    The statistic is the variance over seeds of grokked minus expected counts; under the null the
    outcomes of each cell are shuffled among its seeds. None where seeds have several replicas in a
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
        once = np.tile(centred[members, j], (n_permutations, 1))
        total[:, members] += rng.permuted(once, axis=1)
    larger = np.square(total).sum(axis=1) >= observed - 1e-9
    return (1.0 + float(larger.sum())) / (1.0 + n_permutations)
