"""The boundary as it was published: least squares of a logistic on the rates per weight decay."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.coverage import (
    INTERVALS,
    bootstrap_coverage,
    bootstrap_warnings,
    coverage_extras,
)
from observatory.analysis.boundary.estimators.logistic import curve, fit_curves, step_limit
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    distinct_rows,
    non_monotone,
    require_boundary,
    require_inside,
    require_rise,
    separation_reason,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, about
from observatory.analysis.stats.observations import Array, Observations, critical_words
from observatory.analysis.stats.resample import bootstrap_parameter, left_out, resampled_counts
from observatory.analysis.stats.solvers import fit_curve
from observatory.core.errors import ConfigError, FitRefusedError

PUBLISHED_START = (math.log10(0.05), 5.0)
"""Where the published fit starts: part of the estimator, as its solver settings are."""


def _smoothed(k: Array, n: Array, smoothing: float) -> Array:
    return (k + smoothing) / (n + 2.0 * smoothing)


def fit_boundary(bins: RateBins, smoothing: float) -> tuple[Array, float, Array]:
    """The published point estimate.

    Unweighted least squares on the rates by `scipy.optimize.curve_fit` with its default settings,
    from `PUBLISHED_START`. Where another start finds a lower optimum, that one is taken.

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
    require_rise(bins)
    rates = _smoothed(bins.k, bins.n, smoothing)
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
            f"The event rate does not rise with {bins.control}: its best slope is {theta[1]:.3g} "
            "per decade. Fit a window in which it rises."
        )
    require_inside(bins, float(theta[0]))
    return theta, rss, np.array(PUBLISHED_START) if published else theta


def refit_boundary(
    bins: RateBins, n: Array, k: Array, smoothing: float, start: Array, point: Array
) -> Array:
    """`(x0, slope)`, `[draw, 2]`, of other counts, `[draw, bin]`, of the same bins.

    A fit from `start` that ends far outside the weight decays tried starts again at `point`, the
    estimate. Where the optimum is at infinite slope, the slope is infinite and the critical point
    is where a solver with the published tolerance stops, which reproduces the published interval.
    Where nothing rises, both are NaN. The rate of an empty bin is that of its neighbour below, of
    the first ones that of the next above.
    """
    drawn = _smoothed(k, np.where(n > 0, n, 1.0), smoothing)
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
@dataclass(frozen=True)
class BoundaryLsq:
    """Critical weight decay and slope by `fit_boundary`, with a bootstrap interval.

    Seeds are drawn whole where they recur over weight decays, else replicas within their own.
    """

    window_max: float | None  # largest control that enters; None for no end
    smoothing: float  # s of (k + s) / (n + 2 s)
    interval: str  # kind of interval
    n_bootstrap: int  # resamples
    n_studies: int  # studies that measure what the bootstrap covers
    level: float  # coverage of the interval

    fit_name = "boundary"

    def __post_init__(self) -> None:
        if self.interval not in INTERVALS:
            raise ConfigError(f"`interval` must be among {sorted(INTERVALS)}, got {self.interval}.")

    @property
    def estimator(self) -> str:
        """How, as one word."""
        return "least_squares_smoothed" if self.smoothing else "least_squares"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `fit_boundary`; also where a share of resamples larger than what the
                interval leaves out shows no rise.
        """
        data = observations.within(self.window_max)
        bins, rng = bin_rates(data), np.random.default_rng(seed)
        theta, rss, start = fit_boundary(bins, self.smoothing)

        def refit(n: Array, k: Array) -> Array:
            return refit_boundary(bins, n, k, self.smoothing, start, theta)

        draws = refit(*resampled_counts(bins, self.n_bootstrap, rng))
        usable = draws[~np.isnan(draws[:, 0])]
        n_flat = len(draws) - len(usable)
        if n_flat > (1.0 - self.level) * self.n_bootstrap:
            raise FitRefusedError(
                f"{n_flat} of {self.n_bootstrap} resamples show no rise of the rate with "
                f"{data.control}. Add replicas or {data.control}s."
            )
        params = self._params(bins, theta, usable, refit)
        covered = bootstrap_coverage(
            bins,
            curve(bins.x, *theta),
            {"critical": float(theta[0]), "slope": float(theta[1])},
            refit,
            self.interval,
            self.n_studies,
            self.level,
            rng,
        )
        return Estimate(
            **about(self, seed),
            **data.about,
            params=params,
            warnings=self._warnings(data, bins, theta, usable, covered),
            extras={
                "method": "unweighted least squares of the logistic in "
                f"log10({data.control}) on rates per value; {INTERVALS[self.interval]}",
                "link": "logistic",
                "control": data.control,
                "rss": rss,
                **coverage_extras(covered),
                "n_bins": bins.x.size,
                "n_bootstrap": self.n_bootstrap,
                "smoothing": self.smoothing,
                "window_max": self.window_max,
                "width_10_90_decades": 2.0 * math.log(9.0) / float(theta[1]),
            },
        )

    def _params(
        self, bins: RateBins, theta: Array, draws: Array, refit: Callable[[Array, Array], Array]
    ) -> dict[str, Parameter]:
        """Critical point and slope; without interval where every resample gives the same counts."""
        n_left, k_left, alike = left_out(bins)
        without = refit(n_left, k_left)
        kept = np.isfinite(without).all(axis=1)
        params: dict[str, Parameter] = {}
        for i, (name, scale) in enumerate((("critical", _control_at), ("slope", np.asarray))):
            value, drawn = float(scale(theta[[i]])[0]), scale(draws[:, i])
            left = scale(without[kept, i]), alike[kept]
            params[name] = bootstrap_parameter(value, drawn, *left, self.interval, self.level)
            if _uninformative(bins, draws):
                params[name] = Parameter(value)
        return params

    def _warnings(
        self,
        data: Observations,
        bins: RateBins,
        theta: Array,
        draws: Array,
        covered: Mapping[str, float],
    ) -> list[str]:
        """What a reader could take wrongly."""
        n, n_steep = self.n_bootstrap, int(np.isinf(draws[:, 1]).sum())
        separated = step_limit(bins.x, bins.rate[None])[1][0] < 1e-12
        inside = bins.x[0] <= theta[0] <= bins.x[-1]
        said = {
            "Every resample gives the same rates: a bootstrap cannot tell the uncertainty of "
            "this fit. Use Firth's estimator.": _uninformative(bins, draws),
            f"{n - len(draws)} of {n} resamples show no rise: left out.": len(draws) < n,
            f"{n_steep} of {n} resamples have their optimum at infinite slope: the slope is weakly "
            "bounded from above.": n_steep > 0,
            "The counts are separated: the slope is set by the smoothing.": separated
            and self.smoothing > 0,
            f"The {critical_words(data.control)} lies outside the values tried.": not inside,
        }
        return [
            *data.horizon_warnings,
            *non_monotone(bins),
            *bootstrap_warnings(bins, covered, self.n_studies, self.level, self.interval),
            *(words for words, holds in said.items() if holds),
        ]


def _uninformative(bins: RateBins, draws: Array) -> bool:
    """Whether resamples cannot scatter, all rates being 0 or 1, or do not."""
    return bool(np.isin(bins.rate, (0.0, 1.0)).all()) or len(np.unique(draws[:, 0])) == 1
