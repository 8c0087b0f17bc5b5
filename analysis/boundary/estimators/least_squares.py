"""The boundary as it was published: least squares of a logistic on the rates per weight decay."""

import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.coverage import coverage_warning, percentile_coverage
from observatory.analysis.boundary.estimators.logistic import curve, fit_curves, step_limit
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    distinct_rows,
    non_monotone,
    require_boundary,
    separation_reason,
)
from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import (
    bca_interval,
    few_seeds_warning,
    left_out,
    percentile_interval,
    resampled_counts,
    standard_error,
)
from observatory.analysis.stats.solvers import fit_curve
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

PUBLISHED_START = (math.log10(0.05), 5.0)
"""Where the published fit starts: part of the estimator, as its solver settings are."""


INTERVALS = {
    "percentile": "percentile bootstrap",
    "bca": "bias-corrected and accelerated bootstrap",
}


def smoothed(k: Array, n: Array, smoothing: float) -> Array:
    """Rates (k + s) / (n + 2 s); `smoothing` s = 0 leaves them as they are."""
    return (k + smoothing) / (n + 2.0 * smoothing)


def fit_boundary(bins: RateBins, smoothing: float) -> tuple[Array, float, Array]:
    """The published point estimate.

    Unweighted least squares on the rates by `scipy.optimize.curve_fit` with its default settings,
    from `PUBLISHED_START`. Where another start finds a lower optimum, that one is taken.

    Args:
        bins: Counts per weight decay.
        smoothing: s of (k + s) / (n + 2 s).

    Returns:
        `(log10 of the critical weight decay, slope per decade)`, the residual sum of squares, and
        where resamples should start.

    Raises:
        FitRefusedError: If no boundary can lie in the bins, the optimum is at infinite slope, or
            the rate does not rise with weight decay.

    Source:
        arXiv:2605.20441, boundary fit. Deviation: refuses where the optimum does not exist.
    """
    require_boundary(bins)
    rates = smoothed(bins.k, bins.n, smoothing)
    begin = np.array([PUBLISHED_START, *((x0, k) for x0 in bins.x for k in (2.0, 8.0, 30.0))])
    thetas, sums = fit_curves(bins.x, np.tile(rates, (len(begin), 1)), begin)
    published = bool(sums[0] <= sums.min() * (1.0 + 1e-6) + 1e-12)
    best = 0 if published else int(np.argmin(sums))
    theta, rss = thetas[best], float(sums[best])
    exact = fit_curve(curve, bins.x, rates, PUBLISHED_START) if published else None
    theta = theta if exact is None else exact
    if step_limit(bins.x, rates[None])[1][0] <= rss * (1.0 + 1e-6) + 1e-12:
        raise FitRefusedError(separation_reason(bins))
    if theta[1] <= 0:
        raise FitRefusedError(
            f"The rate does not rise with {bins.control}: its best slope is {theta[1]:.3g} per "
            "decade. Fit a window in which it rises."
        )
    return theta, rss, np.array(PUBLISHED_START) if published else theta


def refit_boundary(
    bins: RateBins, n: Array, k: Array, smoothing: float, start: Array, point: Array
) -> Array:
    """The same estimate on other counts of the same bins, all of them at once.

    A fit that ends far outside the weight decays tried starts again at the point estimate. Where
    the optimum is at infinite slope, the slope is infinite and the critical point is
    where a solver with the published tolerance stops, which reproduces the published interval.
    Where nothing rises, both numbers are NaN.

    Args:
        bins: Counts per weight decay.
        n: Replicas, `[draw, bin]`; the rate of an empty bin is that of its neighbour below, of
            the first ones that of the next above.
        k: Grokked replicas, likewise.
        smoothing: As in `fit_boundary`.
        start: Where each fit starts, `(x0, slope)`.
        point: The estimate on the data, likewise.

    Returns:
        `(x0, slope)` of each set of counts, `[draw, 2]`.
    """
    drawn = smoothed(k, np.where(n > 0, n, 1.0), smoothing)
    there = np.arange(bins.x.size) >= np.argmax(n > 0, axis=1)[:, None]
    for j in range(bins.x.size - 2, -1, -1):
        drawn[:, j] = np.where(there[:, j], drawn[:, j], drawn[:, j + 1])
    for j in range(1, bins.x.size):
        drawn[:, j] = np.where((n[:, j] > 0) | ~there[:, j], drawn[:, j], drawn[:, j - 1])
    first, back = distinct_rows(drawn)
    rates = drawn[first]
    theta, rss = fit_curves(bins.x, rates, np.tile(start, (len(rates), 1)))
    lost = np.flatnonzero(
        (theta[:, 0] < bins.x[0] - 1.0) | (theta[:, 0] > bins.x[-1] + 1.0) | (theta[:, 1] <= 0)
    )
    again, again_rss = fit_curves(bins.x, rates[lost], np.tile(point, (lost.size, 1)))
    better = again_rss <= rss[lost]
    theta[lost[better]], rss[lost[better]] = again[better], again_rss[better]
    _, limit = step_limit(bins.x, rates)
    theta[limit <= rss * (1.0 + 1e-6) + 1e-12, 1] = np.inf
    theta[(theta[:, 1] <= 0) | (np.ptp(rates, axis=1) == 0)] = np.nan
    return theta[back]


def _control_at(x: Array) -> Array:
    """10 to the x: a resample of a flat rate may put its centre hundreds of decades away."""
    with np.errstate(over="ignore"):
        return 10.0**x


@final
class BoundaryLsq:
    """Critical weight decay and slope by `fit_boundary`, with a bootstrap interval.

    Seeds are drawn whole where they recur over weight decays, else replicas within their own.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"

    def __init__(
        self,
        window_max: float | None,
        smoothing: float,
        interval: str,
        n_bootstrap: int,
        n_studies: int,
        level: float,
    ) -> None:
        if interval not in INTERVALS:
            raise ConfigError(f"`interval` must be among {sorted(INTERVALS)}, got {interval}.")
        if not smoothing >= 0:
            raise ConfigError(f"`smoothing` must be at least 0, got {smoothing}. Give 0 for none.")
        self.interval = interval
        self.window_max = window_max
        self.smoothing = smoothing
        self.n_bootstrap = n_bootstrap
        self.n_studies = n_studies
        self.level = level
        self.estimator = "least_squares_smoothed" if smoothing else "least_squares"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `fit_boundary`; also where a share of resamples larger than what the
                interval leaves out shows no rise.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        theta, rss, start = fit_boundary(bins, self.smoothing)
        rng = np.random.default_rng(seed)
        draws = refit_boundary(
            bins, *resampled_counts(bins, self.n_bootstrap, rng), self.smoothing, start, theta
        )
        usable = draws[~np.isnan(draws[:, 0])]
        n_flat, n_steep = len(draws) - len(usable), int(np.isinf(usable[:, 1]).sum())
        if n_flat > (1.0 - self.level) * self.n_bootstrap:
            raise FitRefusedError(
                f"{n_flat} of {self.n_bootstrap} resamples show no rise of the rate with "
                f"{data.control}. Add replicas or {data.control}s."
            )
        n_left, k_left, alike = left_out(bins)
        without = refit_boundary(bins, n_left, k_left, self.smoothing, start, theta)
        kept = np.isfinite(without).all(axis=1)
        without, alike = without[kept], alike[kept]

        still = len(np.unique(usable[:, 0])) == 1

        def parameter(value: float, drawn: Array, left: Array) -> Parameter:
            if still:
                return Parameter(value)
            ends = (
                bca_interval(value, drawn, left, alike, self.level)
                if self.interval == "bca"
                else percentile_interval(drawn, self.level)
            )
            return Parameter(value, standard_error(drawn), *ends)

        covered = percentile_coverage(
            bins.n,
            curve(bins.x, *theta),
            float(theta[0]),
            lambda n, k: refit_boundary(bins, n, k, self.smoothing, start, theta)[:, 0],
            self.n_studies,
            self.level,
            rng,
        )
        warnings = [
            *data.horizon_warnings,
            *non_monotone(bins),
            *few_seeds_warning(bins),
            *coverage_warning(covered, self.n_studies, self.level, INTERVALS["percentile"]),
        ]
        if still:
            warnings.append(
                "Every resample gives the same counts: a bootstrap cannot tell the uncertainty of "
                "this fit. Use Firth's estimator."
            )
        if n_flat:
            warnings.append(f"{n_flat} of {self.n_bootstrap} resamples show no rise: left out.")
        if n_steep:
            warnings.append(
                f"{n_steep} of {self.n_bootstrap} resamples have their optimum at infinite slope: "
                "the slope is weakly bounded from above."
            )
        if self.smoothing and step_limit(bins.x, bins.rate[None])[1][0] < 1e-12:
            warnings.append("The counts are separated: the slope is set by the smoothing.")
        if not bins.x[0] <= theta[0] <= bins.x[-1]:
            warnings.append(f"The critical {data.control} lies outside the {data.control}s tried.")
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params={
                "critical": parameter(
                    10.0 ** float(theta[0]), _control_at(usable[:, 0]), _control_at(without[:, 0])
                ),
                "slope": parameter(float(theta[1]), usable[:, 1], without[:, 1]),
            },
            level=self.level,
            n=data.n,
            seed=seed,
            warnings=warnings,
            extras={
                "method": "unweighted least squares of the logistic in "
                f"log10({data.control}) on rates per value; {INTERVALS[self.interval]}",
                "link": "logistic",
                "control": data.control,
                "rss": rss,
                "coverage_simulated": covered,
                "n_bins": bins.x.size,
                "n_bootstrap": self.n_bootstrap,
                "smoothing": self.smoothing,
                "window_max": self.window_max,
                "width_10_90_decades": 2.0 * math.log(9.0) / float(theta[1]),
            },
        )
