"""Limits of the numbers of a power law of times that hold with few seeds too."""

import math

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.bins import seeds_recur
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.resample import row_weights, standard_error
from observatory.analysis.stats.solvers import f_quantile, student_quantile
from observatory.analysis.times.estimators.power_law import CLOSEST

_N_NUMBERS = 3
"""Numbers of the curve: amplitude, exponent and critical point."""


def _cells(data: Observations) -> tuple[NDArray[np.int64], NDArray[np.int64] | None]:
    """Which weight decay each row has, and its seed, None where seeds do not recur, `[row]`."""
    cell = np.unique(data.weight_decay, return_inverse=True)[1]
    seed = data.seed
    return cell, seed if seed is not None and seeds_recur(cell, seed, data.weights) else None


def drawn_for_law(data: Observations, n_draws: int, seed: int) -> Array:
    """Replicas of each row in each resample, `[draw, row]`: seeds where they recur.

    Else the replicas of each weight decay; where every one has a single replica, all of them over
    the weight decays: within these nothing would scatter.
    """
    (cell, shared), rng = _cells(data), np.random.default_rng(seed)
    if shared is None and data.n <= np.unique(cell).size:
        cell = np.zeros_like(cell)
    return row_weights(cell, shared, data.weights, n_draws, rng)


def _degrees(data: Observations) -> tuple[int, float]:
    """Degrees of freedom of what resamples tell of the spread, and units per degree."""
    cell, shared = _cells(data)
    units, lost = data.n, int(np.unique(cell).size)
    if shared is not None:
        units, lost = int(np.unique(shared).size), 1
    elif units <= lost:
        lost = _N_NUMBERS  # one replica per weight decay
    degrees = max(units - lost, 1)
    return degrees, units / degrees


def student_parameter(
    value: float, draws: Array, data: Observations, level: float, *, log: bool
) -> Parameter:
    """A parameter with Student's limits, its variance from resamples.

    Percentiles of so few units lie too close: of five seeds they covered 0.8 for 0.95. `log`: the
    limits are symmetric in the logarithm.

    Source:
        Davison and Hinkley (1997), section 2.4, the variance of a bootstrap of n units being that
        of n - 1 in n. Deviation: the degrees of freedom are those of the units.
    """
    degrees, factor = _degrees(data)
    spread = float(np.std(np.log(draws) if log else draws, ddof=1)) * math.sqrt(factor)
    half = student_quantile(0.5 + 0.5 * level, degrees) * spread
    if log:
        ends = value * math.exp(-half), value * math.exp(half)
    else:
        ends = value - half, value + half
    return Parameter(value, standard_error(draws), *ends)


def free_limits(
    weight_decay: Array, y: Array, weights: Array, critical: float, level: float, n_grid: int
) -> tuple[tuple[float, float | None], tuple[float, float]]:
    """Limits of a free critical point and of the exponent, by the profile of least squares.

    Twice the logarithm of a ratio of two sums of squares is set against F with one degree, since
    the spread is fitted too; replicas are taken as independent.

    Args:
        weight_decay: Of the replicas with the event, `[row]`.
        y: ln of their times, likewise.
        weights: Replicas of each row, likewise.
        critical: The estimate.
        level: Of the limits.
        n_grid: Points of a grid of the critical point.

    Returns:
        Limits of the critical point, the upper one None where it reaches the smallest weight decay
        with the event; and those of the exponent, dimensionless.

    Source:
        Seber and Wild (1989), Nonlinear Regression, section 5.2.1. Deviation: none.
    """
    smallest = float(weight_decay.min())
    even = np.linspace(0.0, smallest * (1.0 - CLOSEST), 4 * n_grid)
    grid = np.union1d(even, [critical])
    u = np.log(weight_decay - grid[:, None])
    total, dy = float(weights.sum()), y - np.average(y, weights=weights)
    du = u - np.average(u, axis=1, weights=weights)[:, None]
    uu, uy = (du * du) @ weights, (du * dy) @ weights
    rss = np.maximum(float(weights @ dy**2) - uy**2 / uu, 0.0)
    least = float(rss[np.searchsorted(grid, critical)])
    below = max(round(total) - _N_NUMBERS, 1)
    allowed = least * (1.0 + f_quantile(level, 1, below) / below)
    inside = np.flatnonzero(rss <= allowed)
    nu, half = -uy / uu, np.sqrt(np.maximum(allowed - rss, 0.0) / uu)
    first, last = int(inside[0]), int(inside[-1])
    low = _crossing(grid, rss, allowed, first - 1, first) if first else 0.0
    high = _crossing(grid, rss, allowed, last + 1, last) if last + 1 < grid.size else None
    return (low, high), (float((nu - half)[inside].min()), float((nu + half)[inside].max()))


def _crossing(grid: Array, rss: Array, allowed: float, out: int, within: int) -> float:
    """Where the sum of squares takes a value, between two points of the grid."""
    share = (allowed - rss[within]) / (rss[out] - rss[within])
    return float(grid[within] + share * (grid[out] - grid[within]))
