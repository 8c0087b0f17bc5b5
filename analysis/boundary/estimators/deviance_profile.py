"""The profile deviance of critical points, for many tables at once, and limits read off it."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    binomial,
    fit_many,
    step_likelihood,
)
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.links import Link

Array = NDArray[np.float64]


def critical_deviance(
    x: Array, n: Array, k: Array, link: Link, box: tuple[Array, Array], grid: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Twice the log-likelihood lost by holding the critical point at each value of a grid.

    Args:
        x: `[bin]`.
        n: Replicas, `[row, bin]`.
        k: Grokked replicas, likewise.
        link: The shape of the rise.
        box: Ends of the box of (x0, log slope, guess, lapse).
        grid: log10 of the critical point, `[value]`.

    Returns:
        The deviance, `[row, value]`, at least 0; and which rows are separated, `[row]`.
    """
    low, high = box
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


def widths(deviance: Array, grid: Array, quantile: float) -> Array:
    """Width of the region in which each row's deviance stays below a quantile, `[row]`.

    Infinite where the region reaches an end of the grid.
    """
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
