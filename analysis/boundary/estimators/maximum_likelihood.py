"""The boundary by maximum likelihood: binomial counts, a link, and rates of lapsing."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.checks import boundary_warnings, misfit, require_rise
from observatory.analysis.boundary.estimators.coverage import coverage_warning, percentile_coverage
from observatory.analysis.boundary.estimators.likelihood import SEPARATED, binomial, box, fit_many
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Maximum,
    boundary_record,
    natural,
    profiled,
)
from observatory.analysis.boundary.estimators.rate_curve import rates
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    distinct_rows,
    require_boundary,
    separation_reason,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.links import Link, link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import (
    bca_interval,
    few_seeds_warning,
    left_out,
    percentile_interval,
    resampled_counts,
    standard_error,
)
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

INTERVALS = {
    "profile": "profile likelihood",
    "percentile": "percentile bootstrap",
    "bca": "bias-corrected and accelerated bootstrap",
}


def fit_likelihood(
    bins: RateBins, link: Link, guess: float | None, lapse: float | None, level: float
) -> Maximum:
    """The maximum of the likelihood with one edge.

    Raises:
        FitRefusedError: If no boundary can lie in the bins, there are fewer bins than free
            parameters, the counts are separated, or the rate does not rise beyond its scatter.
    """
    require_boundary(bins)
    low, high = box(bins, guess, lapse)
    n_free = int((low < high).sum())
    if bins.x.size < n_free:
        raise FitRefusedError(
            f"{n_free} free parameters need as many {bins.control}s, got {bins.x.size}. "
            "Add some, or hold the lapse rate."
        )
    n, k = bins.n[None], bins.k[None]
    theta, value, margin = fit_many(bins.x, n, k, link, low, high, tolerance=1e-14)
    if margin[0] < SEPARATED:
        raise FitRefusedError(separation_reason(bins))
    require_rise(float(value[0]), (bins.k, bins.n), level)
    return Maximum(binomial(bins.x, n, k, link), NAMES, theta[0], float(value[0]), low, high)


def refit(bins: RateBins, n: Array, k: Array, link: Link, found: Maximum) -> Array:
    """The estimate on other counts of the same bins.

    Where the optimum is at infinite slope, the slope is infinite and the critical point is where
    the climb stopped, between the two bins that it separates. Counts without any boundary are NaN.

    Args:
        bins: The bins.
        n: Replicas, `[draw, bin]`.
        k: Grokked replicas, likewise.
        link: The shape of the rise.
        found: The estimate on the data, from which the climb starts too.

    Returns:
        Reported parameters, `[draw, 4]`.
    """
    first, back = distinct_rows(np.concatenate([n, k], axis=1))
    n, k = n[first], k[first]
    theta, _, margin = fit_many(bins.x, n, k, link, found.low, found.high, found.theta)
    made = np.array([10.0 ** theta[:, 0], np.exp(theta[:, 1]), theta[:, 2], theta[:, 3]]).T
    made[margin < SEPARATED, 1] = np.inf
    made[(k.sum(axis=1) == 0) | (k.sum(axis=1) == n.sum(axis=1))] = np.nan
    return made[back]


def resampled(
    bins: RateBins,
    link: Link,
    found: Maximum,
    interval: str,
    n_bootstrap: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, Parameter]:
    """Every fitted parameter with its bootstrap limits, seeds drawn whole where they recur.

    Raises:
        FitRefusedError: If more resamples than the interval leaves out hold no boundary.
    """
    draws = refit(bins, *resampled_counts(bins, n_bootstrap, rng), link, found)
    usable = draws[~np.isnan(draws[:, 0])]
    if len(draws) - len(usable) > (1.0 - level) * len(draws):
        raise FitRefusedError("Too many resamples hold no boundary at all. Add replicas.")
    n_without, k_without, alike = left_out(bins)
    without = refit(bins, n_without, k_without, link, found)
    params: dict[str, Parameter] = {}
    for i in np.flatnonzero(found.free):
        value = natural(NAMES[i], float(found.theta[i]))
        finite = np.isfinite(without[:, i])
        if interval == "bca":
            ends = bca_interval(value, usable[:, i], without[finite, i], alike[finite], level)
        else:
            ends = percentile_interval(usable[:, i], level)
        params[NAMES[i]] = Parameter(value, standard_error(usable[:, i]), *ends)
    return params


@final
class BoundaryMle:
    """Critical weight decay, slope and lapse rates by `fit_likelihood`.

    The critical point is the midpoint of the underlying curve (F = 1/2), not where the rate is one
    half: the two differ where there are lapses.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"

    def __init__(
        self,
        link: str,
        window_max: float | None,
        guess: float | None,
        lapse: float | None,
        interval: str,
        n_bootstrap: int,
        n_simulations: int,
        n_studies: int,
        level: float,
    ) -> None:
        for name, rate in (("guess", guess), ("lapse", lapse)):
            if rate is not None and not 0.0 <= rate < 0.5:
                raise ConfigError(
                    f"`{name}` must be in [0, 0.5), got {rate}. Give null to have it fitted."
                )
        if interval not in INTERVALS:
            raise ConfigError(f"`interval` must be among {sorted(INTERVALS)}, got {interval}.")
        self.link = link_named(link)
        self.window_max = window_max
        self.guess = guess
        self.lapse = lapse
        self.interval = interval
        self.n_bootstrap = n_bootstrap
        self.n_simulations = n_simulations
        self.n_studies = n_studies
        self.level = level
        lapses = "_lapse" if guess != 0.0 or lapse != 0.0 else ""
        shape = "" if link == "logistic" else f"_{link}"
        self.estimator = f"maximum_likelihood{lapses}{shape}"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `fit_likelihood` and, where asked for, `resampled`.
        """
        data = observations.within(self.window_max)
        bins, link, rng = bin_rates(data), self.link, np.random.default_rng(seed)
        found = fit_likelihood(bins, link, self.guess, self.lapse, self.level)
        few: list[str] = []
        if self.interval == "profile":
            params = profiled(found, bins.x, self.level)
        else:
            covered = percentile_coverage(
                bins.n,
                rates(bins.x, found.theta[None], link)[0][0],
                float(found.theta[0]),
                lambda n, k: np.log10(refit(bins, n, k, link, found)[:, 0]),
                self.n_studies,
                self.level,
                rng,
            )
            few = [
                *few_seeds_warning(bins),
                *coverage_warning(covered, self.n_studies, self.level, INTERVALS["percentile"]),
            ]
            params = resampled(bins, link, found, self.interval, self.n_bootstrap, self.level, rng)
        checked = misfit(bins, found.theta, (found.low, found.high), link, self.n_simulations, rng)
        n_free = int(found.free.sum())
        extras: dict[str, Plain] = {
            "method": f"binomial maximum likelihood of the {link.name} curve in "
            f"log10({data.control}); {INTERVALS[self.interval]}",
            "link": link.name,
            "log_likelihood": found.value,
            **checked,
            "aic": 2.0 * n_free - 2.0 * found.value,
            "window_max": self.window_max,
        }
        held = [i for i in (2, 3) if not found.free[i]]
        extras |= {NAMES[i]: float(found.theta[i]) for i in held}
        warnings = [*boundary_warnings(data, bins, params, checked["deviance_p"]), *few]
        return boundary_record(
            data, bins, params, self.estimator, self.level, seed, warnings, extras
        )
