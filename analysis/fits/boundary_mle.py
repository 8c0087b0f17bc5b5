"""The boundary by maximum likelihood: binomial counts, a logistic, and rates of lapsing."""

import math
from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.bins import (
    RateBins,
    bin_rates,
    non_monotone,
    require_boundary,
    separation_reason,
)
from observatory.analysis.fits.estimate import Estimate, Parameter, Plain
from observatory.analysis.fits.likelihood import (
    GUESS,
    LAPSE,
    LOG_SLOPE,
    X0,
    Counts,
    binomial_log_likelihood,
    boxed_counts,
    loss_and_gradient,
    maximise,
    promising_starts,
    step_likelihood,
    wald_errors,
)
from observatory.analysis.fits.observations import Observations
from observatory.analysis.fits.profile import Axis, profile_limits
from observatory.analysis.fits.resample import percentile_interval, replica_weights
from observatory.analysis.fits.solvers import chi2_quantile, chi2_tail
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]
Limits = tuple[float | None, float | None]

METHOD = "binomial maximum likelihood of the logistic in log10(weight_decay)"
INTERVALS = {"profile": "profile likelihood", "bootstrap": "percentile bootstrap over replicas"}
NAMES = ("critical", "slope", "guess", "lapse")


def natural(theta: Array) -> Array:
    """(critical, slope, guess, lapse) from (x0, log slope, guess, lapse)."""
    return np.array([10.0 ** theta[X0], math.exp(theta[LOG_SLOPE]), theta[GUESS], theta[LAPSE]])


def fit_likelihood(bins: RateBins, counts: Counts, level: float) -> tuple[Array, float]:
    """The maximum-likelihood estimate (x0, log slope, guess, lapse) and its log-likelihood.

    Raises:
        FitRefusedError: If there are fewer bins than free parameters, the counts are separated, or
            no rise can be told from a constant rate.
    """
    n_free = sum(low < high for low, high in counts.bounds)
    if bins.x.size < n_free:
        raise FitRefusedError(
            f"{n_free} free parameters need as many weight decays, got {bins.x.size}. "
            "Add weight decays, or fix the lapse rate."
        )
    theta, log_likelihood = maximise(counts, promising_starts(counts, keep=6))
    if step_likelihood(counts)[0] >= log_likelihood - 1e-6:
        raise FitRefusedError(separation_reason(bins))
    overall = np.full(bins.x.size, counts.k.sum() / counts.n.sum())
    constant = float(binomial_log_likelihood(counts.k, counts.n, overall).sum())
    p_value = chi2_tail(2.0 * max(log_likelihood - constant, 0.0), 1)
    if p_value > 1.0 - level:
        raise FitRefusedError(
            "The rate does not rise with weight decay more than a constant rate would show "
            f"(likelihood ratio, p = {p_value:.2g}). Add replicas or widen the window."
        )
    return theta, log_likelihood


def mapped(limits: Limits, to: Callable[[float], float]) -> Limits:
    """Limits on another scale; what is unbounded stays so."""
    low, high = limits
    return (None if low is None else to(low), None if high is None else to(high))


def profile_intervals(counts: Counts, theta: Array, level: float) -> list[Limits]:
    """Profile-likelihood limits of critical, slope, guess and lapse; a fixed one has none.

    The critical point is looked at up to a decade beyond the weight decays tried: None further on.
    """
    drop = 0.5 * chi2_quantile(level, 1)

    def limits(axis: Axis) -> Limits:
        return profile_limits(
            lambda t: loss_and_gradient(counts, t), counts.bounds, theta, axis, drop
        )

    critical = limits(Axis(X0, float(counts.x[0]) - 1.0, float(counts.x[-1]) + 1.0, 0.05))
    slope = limits(Axis(LOG_SLOPE, *counts.bounds[LOG_SLOPE], 0.25))
    intervals = [mapped(critical, lambda x0: 10.0**x0), mapped(slope, math.exp)]
    for index in (GUESS, LAPSE):
        low, high = counts.bounds[index]
        if low == high:
            intervals.append((None, None))
            continue
        found_low, found_high = limits(Axis(index, low, high, 0.02))
        intervals.append(
            (low if found_low is None else found_low, high if found_high is None else found_high)
        )
    return intervals


def bootstrap_intervals(
    bins: RateBins,
    grokked: NDArray[np.bool_],
    weights: NDArray[np.int64],
    counts: Counts,
    theta: Array,
    level: float,
) -> list[Limits]:
    """Percentile limits over resampled replicas, in the order of `profile_intervals`.

    A resample whose optimum is at infinite slope counts with that slope and its step's place.

    Raises:
        FitRefusedError: If more resamples than the interval leaves out hold no boundary.
    """
    member = np.eye(bins.x.size)[bins.index]
    rows, back = np.unique((weights * grokked) @ member, axis=0, return_inverse=True)
    draws = np.full((len(rows), 4), np.nan)
    for draw, k in enumerate(rows):
        if not k.any() or np.all(k == counts.n):
            continue
        again = Counts(counts.x, counts.n, k, counts.bounds)
        found, log_likelihood = maximise(again, [theta, *promising_starts(again, keep=2)])
        draws[draw] = natural(found)
        limit, place = step_likelihood(again)
        if limit >= log_likelihood - 1e-6:
            draws[draw, :2] = 10.0**place, np.inf
    draws = draws[back]
    usable = draws[~np.isnan(draws[:, 0])]
    if len(draws) - len(usable) > (1.0 - level) * len(draws):
        raise FitRefusedError("Too many resamples hold no boundary at all. Add replicas.")
    free = [low < high for low, high in counts.bounds]
    return [percentile_interval(usable[:, i], level) if free[i] else (None, None) for i in range(4)]


@final
class BoundaryMle:
    """Critical weight decay, slope and lapse rates by `fit_likelihood`.

    The critical point is the midpoint of the underlying logistic (F = 1/2), not where the rate is
    one half: the two differ where there are lapses.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"

    def __init__(
        self,
        window_max: float,
        guess: float | None,
        lapse: float | None,
        interval: str,
        n_bootstrap: int,
        level: float,
    ) -> None:
        for name, rate in (("guess", guess), ("lapse", lapse)):
            if rate is not None and not 0.0 <= rate < 0.5:
                raise ConfigError(
                    f"`{name}` must be in [0, 0.5), got {rate}. Give null to have it fitted."
                )
        if interval not in INTERVALS:
            raise ConfigError(f"`interval` must be among {sorted(INTERVALS)}, got {interval}.")
        self.window_max = window_max
        self.guess = guess
        self.lapse = lapse
        self.interval = interval
        self.n_bootstrap = n_bootstrap
        self.level = level
        lapses = guess != 0.0 or lapse != 0.0
        self.estimator = "maximum_likelihood_lapse" if lapses else "maximum_likelihood"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `require_boundary`, `fit_likelihood` and, where asked for,
                `bootstrap_intervals`.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        require_boundary(bins)
        counts = boxed_counts(bins, self.guess, self.lapse)
        theta, log_likelihood = fit_likelihood(bins, counts, self.level)
        if self.interval == "profile":
            limits = profile_intervals(counts, theta, self.level)
        else:
            weights = replica_weights(bins.index, self.n_bootstrap, np.random.default_rng(seed))
            limits = bootstrap_intervals(bins, data.grokked, weights, counts, theta, self.level)
        free = [i for i, (low, high) in enumerate(counts.bounds) if low < high]
        values, errors = natural(theta), wald_errors(counts, theta)
        saturated = float(binomial_log_likelihood(counts.k, counts.n, bins.rate).sum())
        deviance, degrees = 2.0 * (saturated - log_likelihood), bins.x.size - len(free)
        misfit = chi2_tail(deviance, degrees) if degrees else None
        warnings = [*data.horizon_warnings, *non_monotone(bins)]
        if misfit is not None and misfit < 0.01:
            warnings.append(
                f"The curve does not describe the counts (deviance {deviance:.1f} on {degrees} "
                f"degrees of freedom, p = {misfit:.2g}): the intervals are too narrow."
            )
        if None in limits[0]:
            warnings.append(
                "The critical weight decay is unbounded on one side, up to a decade beyond the "
                "weight decays tried."
            )
        if not bins.x[0] <= theta[X0] <= bins.x[-1]:
            warnings.append("The critical weight decay lies outside the weight decays tried.")
        extras: dict[str, Plain] = {
            "method": f"{METHOD}; {INTERVALS[self.interval]}",
            "log_likelihood": log_likelihood,
            "deviance": deviance,
            "degrees_of_freedom": degrees,
            "deviance_p": misfit,
            "aic": 2.0 * len(free) - 2.0 * log_likelihood,
            "n_bins": bins.x.size,
            "window_max": self.window_max,
            "width_10_90_decades": 2.0 * math.log(9.0) / float(values[LOG_SLOPE]),
        }
        extras |= {NAMES[i]: float(values[i]) for i in (GUESS, LAPSE) if i not in free}
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params={NAMES[i]: Parameter(float(values[i]), errors[i], *limits[i]) for i in free},
            level=self.level,
            n=data.grokked.size,
            seed=seed,
            warnings=warnings,
            extras=extras,
        )
