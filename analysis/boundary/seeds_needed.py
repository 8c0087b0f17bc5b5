"""How many seeds an interval of a wanted width needs, by simulation from a pilot."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    binomial,
    box,
    firth_points,
    fit_many,
    rates,
    step_likelihood,
)
from observatory.analysis.stats.ascent import Array, best_of, climb
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    distinct_rows,
    require_boundary,
    require_rise,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, finite
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.numbers import checked_numbers
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.core.errors import ConfigError, FitRefusedError

_SEEDS = (4, 6, 8, 10, 12, 16, 20, 25, 30, 40, 50, 65, 80, 100)
"""Numbers of seeds per weight decay that are tried."""
_PLAN = ("plan.n_seeds", "plan.median_width", "plan.share_reached")


def plan_seeds(
    pilot: Observations,
    width_decades: float,
    assurance: float,
    n_simulations: int,
    level: float,
    seed: int,
) -> Estimate:
    """The smallest number of seeds per value at which the interval is as narrow as asked.

    Studies are simulated from Firth's fit of the pilot, at its own weight decays; the interval is
    that of the profile likelihood without lapses, which separated counts do not have. The pilot's
    own error is not in the answer: a pilot with few replicas gives a rough plan.

    Raises:
        ConfigError: If the width, the assurance or the number of simulations are out of range.
        FitRefusedError: If the pilot holds no boundary, or the largest number is not enough.
    """
    checked_numbers({"width_decades": width_decades, "assurance": assurance})
    if n_simulations < 20:
        raise ConfigError(f"`n_simulations` must be at least 20 for a plan, got {n_simulations}.")
    bins = bin_rates(pilot)
    require_boundary(bins)
    require_rise(bins)
    x0, log_slope = firth_points(bins.x, bins.n[None], bins.k[None])[0]
    truth, reach = np.array([[x0, log_slope, 0.0, 0.0]]), 3.0 * max(width_decades, 0.05)
    plan, rng = list[tuple[float, float | None, float]](), np.random.default_rng(seed)
    for n_seeds in _SEEDS:
        found = _simulated_widths(bins, truth, n_seeds, n_simulations, reach, level, rng)
        share = float(np.mean(found <= width_decades))
        plan.append((float(n_seeds), finite(float(np.median(found))), share))
        if share >= assurance:
            break
    most, _, share = plan[-1]
    if share < assurance:
        inside = bins.weight_decay[np.sort(np.argsort(np.abs(bins.x - x0))[:2])]
        raise FitRefusedError(
            f"Even {_SEEDS[-1]} seeds per value reach a width of {width_decades:g} decades in only "
            f"{share:.0%} of simulated studies. Add values of {pilot.control} between "
            f"{inside[0]:g} and {inside[1]:g}."
        )
    return Estimate(
        fit="seeds",
        estimator="simulation",
        **pilot.about,
        params={"n_seeds": Parameter(most)},
        level=level,
        seed=seed,
        warnings=pilot.horizon_warnings,
        extras={
            "method": "studies simulated from Firth's fit of the pilot; profile likelihood without "
            "lapses, separated counts count as not reached",
            **{"control": pilot.control, "width_decades": width_decades, "assurance": assurance},
            **{"share_reached": share, "n_replicas": most * bins.x.size},
            **{"pilot_critical": 10.0 ** float(x0), "pilot_slope": float(np.exp(log_slope))},
            "n_simulations": n_simulations,
        },
        curves=dict(zip(_PLAN, zip(*plan, strict=True), strict=True)),
    )


def _simulated_widths(
    bins: RateBins,
    truth: Array,
    n_seeds: int,
    n_simulations: int,
    reach: float,
    level: float,
    rng: np.random.Generator,
) -> Array:
    """Width of the interval in each simulated study; infinite where separated or unbounded."""
    grid = truth[0, 0] + np.linspace(-1.0, 1.0, 61) * reach
    p = rates(bins.x, truth, LINKS["logistic"])[0][0]
    n = np.full((n_simulations, bins.x.size), float(n_seeds))
    k = rng.binomial(n_seeds, p, size=n.shape).astype(np.float64)
    first, back = distinct_rows(k)
    deviance, separated = _critical_deviance(bins, n[first], k[first], grid)
    wide = np.where(separated, np.inf, _widths(deviance, grid, chi2_quantile(level, 1)))
    return wide[back]


def _critical_deviance(
    bins: RateBins, n: Array, k: Array, grid: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Twice the log-likelihood lost by holding x0 at each value, for each row of counts.

    Returns:
        The deviance, `[row, value]`, at least 0; and which rows are separated, `[row]`.
    """
    x, link, (low, high) = bins.x, LINKS["logistic"], box(bins, 0.0, 0.0)
    theta, value, margin = fit_many(x, n, k, link, low, high)
    top = np.maximum(value, step_likelihood(k, n, low, high)[0])
    begin = np.repeat(theta, 3 * grid.size, axis=0).reshape(len(n), grid.size, 3, 4)
    begin[..., 0] = grid[:, None]
    begin[..., 1, 1], begin[..., 2, 1] = theta[:, None, 1] - 1.5, theta[:, None, 1] + 1.0
    rows = begin.reshape(-1, 4)
    lows, highs = np.tile(low, (len(rows), 1)), np.tile(high, (len(rows), 1))
    lows[:, 0] = highs[:, 0] = rows[:, 0]
    n_rows, k_rows = (np.repeat(table, 3 * grid.size, axis=0) for table in (n, k))
    _, held = best_of(*climb(binomial(x, n_rows, k_rows, link), rows, lows, highs, 1e-7), 3)
    held = held.reshape(len(n), grid.size)
    lost = 2.0 * (np.maximum(top, held.max(axis=1))[:, None] - held)
    return np.maximum(lost, 0.0), margin < SEPARATED


def _widths(deviance: Array, grid: Array, quantile: float) -> Array:
    """Where each row's deviance stays below a quantile; infinite where up to an end of the grid."""
    inside = deviance <= quantile
    first = np.argmax(inside, axis=1)
    last = grid.size - 1 - np.argmax(inside[:, ::-1], axis=1)
    open_ended = (first == 0) | (last == grid.size - 1)
    rows = np.arange(len(deviance))

    def crossing(inner: NDArray[np.intp], outer: NDArray[np.intp]) -> Array:
        d_in, d_out = deviance[rows, inner], deviance[rows, outer]
        share = (quantile - d_in) / np.where(d_out > d_in, d_out - d_in, 1.0)
        return grid[inner] + share * (grid[outer] - grid[inner])

    left = crossing(first, np.maximum(first - 1, 0))
    right = crossing(last, np.minimum(last + 1, grid.size - 1))
    return np.where(open_ended, np.inf, right - left)
