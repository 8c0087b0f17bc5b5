"""Nelder and Mead's search for many problems at once: one simplex per problem."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]
# points `[point, number]` and the problem that each belongs to `[point]`, to values `[point]`
_Objective = Callable[[Array, Index], Array]


def minimise_each(
    objective: _Objective, start: Array, step: Array, n_steps: int, tolerance: float
) -> tuple[Array, Array]:
    """Minimise one function per problem, which may be infinite, never NaN.

    Args:
        objective: The functions.
        start: Where each problem starts, `[problem, number]`.
        step: Length of the first simplex along each number, `[number]`.
        n_steps: Most steps taken.
        tolerance: A problem rests when the values of its simplex differ by less.

    Returns:
        The least point of each problem, `[problem, number]`, and its value, `[problem]`.

    Source:
        Nelder & Mead (1965), Computer Journal 7, 308, with the usual coefficients 1, 2, 1/2, 1/2.
        Deviation: contraction is always towards the better of the worst and the reflected point.
    """
    n, k = start.shape
    simplex = np.repeat(start[:, None, :], k + 1, axis=1)
    simplex[:, 1:, :] += np.diag(step)
    everyone = np.arange(n)
    value = np.stack([objective(simplex[:, v], everyone) for v in range(k + 1)], axis=1)
    active = everyone
    for _ in range(n_steps):
        order = np.argsort(value[active], axis=1, kind="stable")
        value[active] = np.take_along_axis(value[active], order, axis=1)
        simplex[active] = np.take_along_axis(simplex[active], order[:, :, None], axis=1)
        active = active[value[active, -1] > value[active, 0] + tolerance]
        if active.size == 0:
            break
        simplex[active], value[active] = _moved(objective, simplex[active], value[active], active)
    best = np.argmin(value, axis=1)
    return simplex[everyone, best], value[everyone, best]


def _moved(
    objective: _Objective, simplex: Array, value: Array, problem: Index
) -> tuple[Array, Array]:
    """One step of each simplex, its points sorted by value."""
    centre = simplex[:, :-1].mean(axis=1)
    worst, worst_value = simplex[:, -1], value[:, -1]
    reflected = 2.0 * centre - worst
    reflected_value = objective(reflected, problem)
    # One more point for each: further out after a success, else half way in.
    out = reflected_value < value[:, 0]
    inner = np.where((reflected_value < worst_value)[:, None], reflected, worst)
    further = np.where(out[:, None], 3.0 * centre - 2.0 * worst, 0.5 * (centre + inner))
    wanted = out | (reflected_value >= value[:, -2])
    further_value = np.full(value.shape[0], np.inf)
    further_value[wanted] = objective(further[wanted], problem[wanted])
    better = further_value < np.minimum(reflected_value, worst_value)
    take_reflected = ~better & (reflected_value < value[:, -2])
    simplex, value = simplex.copy(), value.copy()
    simplex[better, -1], value[better, -1] = further[better], further_value[better]
    simplex[take_reflected, -1] = reflected[take_reflected]
    value[take_reflected, -1] = reflected_value[take_reflected]
    shrink = np.flatnonzero(~better & ~take_reflected)
    if shrink.size:
        for v in range(1, simplex.shape[1]):
            simplex[shrink, v] = 0.5 * (simplex[shrink, v] + simplex[shrink, 0])
            value[shrink, v] = objective(simplex[shrink, v], problem[shrink])
    return simplex, value
