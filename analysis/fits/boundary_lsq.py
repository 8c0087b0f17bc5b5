"""The boundary as it was published: least squares of a logistic on the rates per weight decay."""

import math
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
from observatory.analysis.fits.estimate import Estimate, Parameter
from observatory.analysis.fits.logistic import curve, fit_curves, step_limit
from observatory.analysis.fits.observations import Observations
from observatory.analysis.fits.resample import (
    percentile_interval,
    replica_weights,
    standard_error,
)
from observatory.analysis.fits.solvers import fit_curve
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]

PUBLISHED_START = (math.log10(0.05), 5.0)
"""Where the published fit starts: part of the estimator, as its solver settings are."""


METHOD = (
    "unweighted least squares of the logistic in log10(weight_decay) on rates per weight decay; "
    "percentile bootstrap over replicas"
)


def smoothed(k: Array, n: Array, smoothing: float) -> Array:
    """Rates (k + s) / (n + 2 s); `smoothing` s = 0 leaves them as they are."""
    return (k + smoothing) / (n + 2.0 * smoothing)


def fit_boundary(bins: RateBins, smoothing: float) -> tuple[Array, float]:
    """The published point estimate.

    Unweighted least squares on the rates by `scipy.optimize.curve_fit` with its default settings,
    from `PUBLISHED_START`. Where another start finds a lower optimum, that one is taken.

    Args:
        bins: Counts per weight decay.
        smoothing: s of (k + s) / (n + 2 s).

    Returns:
        `(log10 of the critical weight decay, slope per decade)` and the residual sum of squares.

    Raises:
        FitRefusedError: If no boundary can lie in the bins, the optimum is at infinite slope, or
            the rate does not rise with weight decay.

    Source:
        arXiv:2605.20441, boundary fit. Deviation: refuses where the optimum does not exist.
    """
    require_boundary(bins)
    rates = smoothed(bins.k.astype(np.float64), bins.n.astype(np.float64), smoothing)
    starts = np.array([(x0, k) for x0 in bins.x for k in (2.0, 8.0, 30.0)])
    thetas, sums = fit_curves(bins.x, np.tile(rates, (len(starts), 1)), starts)
    theta, rss = thetas[np.argmin(sums)], float(sums.min())
    published = fit_curve(curve, bins.x, rates, PUBLISHED_START)
    if published is not None:
        published_rss = float(np.square(rates - curve(bins.x, *published)).sum())
        if published_rss <= rss * (1.0 + 1e-6) + 1e-12:
            theta, rss = published, published_rss
    if step_limit(bins.x, rates[None])[1][0] <= rss * (1.0 + 1e-6) + 1e-12:
        raise FitRefusedError(separation_reason(bins))
    if theta[1] <= 0:
        raise FitRefusedError(
            f"The rate does not rise with weight decay: its best slope is {theta[1]:.3g} per "
            "decade. Fit a window in which it rises."
        )
    return theta, rss


def bootstrap_boundary(
    bins: RateBins,
    grokked: NDArray[np.bool_],
    weights: NDArray[np.int64],
    smoothing: float,
    point: Array,
) -> Array:
    """The same estimate on resampled replicas, all resamples at once.

    Each resample starts at the published start and at the point estimate; the lower optimum counts.
    Where the optimum is at infinite slope, the slope is infinite and the critical point is where
    the published solver stops (that reproduces the published interval), or the step's place where
    that solver gives up. Where nothing rises, both numbers are NaN.

    Args:
        bins: Counts per weight decay.
        grokked: Whether each replica grokked, `[replica]`.
        weights: Multiplicity of each replica in each resample, `[draw, replica]`.
        smoothing: As in `fit_boundary`.
        point: The point estimate `(x0, slope)`.

    Returns:
        `(x0, slope)` of each resample, `[draw, 2]`.
    """
    member = np.eye(bins.x.size)[bins.index]
    drawn = smoothed((weights * grokked) @ member, weights @ member, smoothing)
    rates, back = np.unique(drawn, axis=0, return_inverse=True)
    theta, rss = fit_curves(bins.x, rates, np.tile(PUBLISHED_START, (len(rates), 1)))
    other, other_rss = fit_curves(bins.x, rates, np.tile(point, (len(rates), 1)))
    theta = np.where((other_rss < rss)[:, None], other, theta)
    place, limit = step_limit(bins.x, rates)
    for draw in np.flatnonzero(limit <= np.minimum(rss, other_rss) * (1.0 + 1e-6) + 1e-12):
        stopped = fit_curve(curve, bins.x, rates[draw], PUBLISHED_START)
        theta[draw] = place[draw] if stopped is None else stopped[0], np.inf
    theta[(theta[:, 1] <= 0) | (np.ptp(rates, axis=1) == 0)] = np.nan
    return theta[back]


@final
class BoundaryLsq:
    """Critical weight decay and slope by `fit_boundary`, percentile bootstrap over replicas.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"

    def __init__(self, window_max: float, smoothing: float, n_bootstrap: int, level: float) -> None:
        self.window_max = window_max
        self.smoothing = smoothing
        self.n_bootstrap = n_bootstrap
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
        theta, rss = fit_boundary(bins, self.smoothing)
        weights = replica_weights(bins.index, self.n_bootstrap, np.random.default_rng(seed))
        draws = bootstrap_boundary(bins, data.grokked, weights, self.smoothing, theta)
        usable = draws[~np.isnan(draws[:, 0])]
        n_flat, n_steep = len(draws) - len(usable), int(np.isinf(usable[:, 1]).sum())
        if n_flat > (1.0 - self.level) * self.n_bootstrap:
            raise FitRefusedError(
                f"{n_flat} of {self.n_bootstrap} resamples show no rise of the rate with weight "
                "decay. Add replicas or weight decays."
            )
        critical_draws = 10.0 ** usable[:, 0]
        warnings = [*data.horizon_warnings, *non_monotone(bins)]
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
            warnings.append("The critical weight decay lies outside the weight decays tried.")
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params={
                "critical": Parameter(
                    10.0 ** float(theta[0]),
                    standard_error(critical_draws),
                    *percentile_interval(critical_draws, self.level),
                ),
                "slope": Parameter(
                    float(theta[1]),
                    standard_error(usable[:, 1]),
                    *percentile_interval(usable[:, 1], self.level),
                ),
            },
            level=self.level,
            n=data.grokked.size,
            seed=seed,
            warnings=warnings,
            extras={
                "method": METHOD,
                "rss": rss,
                "n_bins": bins.x.size,
                "n_bootstrap": self.n_bootstrap,
                "smoothing": self.smoothing,
                "window_max": self.window_max,
                "width_10_90_decades": 2.0 * math.log(9.0) / float(theta[1]),
            },
        )
