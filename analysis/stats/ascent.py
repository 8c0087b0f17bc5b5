"""Many maximisations of one likelihood at once: damped scoring inside a box.

Letters: theta parameters, `[row, param]`; a row is a start, a resample, or a value of a profile.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Evaluate = Callable[[Array, NDArray[np.int64]], tuple[Array, Array, Array]]
"""From parameters `[row, param]` and the numbers of these rows to the log-likelihood `[row]`, its
gradient `[row, param]`, and a positive matrix close to the negative Hessian,
`[row, param, param]`."""

MAX_ROUNDS = 200
"""Rounds of damped scoring; a row still moving then climbs a ridge too flat to matter."""
_MAX_PASSES = 20
"""Of the values of a profile, each from its neighbours; all that move stop before."""


def climb(
    evaluate: Evaluate, start: Array, low: Array, high: Array, tolerance: float = 1e-10
) -> tuple[Array, Array]:
    """Local maxima, one per row, reached without ever going down.

    Args:
        evaluate: The likelihood.
        start: Where each row starts, `[row, param]`; moved into the box.
        low: Lower ends of the box, `[param]` or `[row, param]`; where both agree it is held.
        high: Upper ends.
        tolerance: A row stops where a step promises to raise the log-likelihood by less.

    Returns:
        theta, `[row, param]`, and the log-likelihood, `[row]`.
    """
    low, high = np.broadcast_to(low, start.shape), np.broadcast_to(high, start.shape)
    theta = np.clip(start, low, high)
    rows = np.arange(len(theta))
    value, score, metric = evaluate(theta, rows)
    damping = np.full(len(theta), 1e-3)
    running = np.isfinite(value)
    for _ in range(MAX_ROUNDS):
        at = np.flatnonzero(running)
        if not at.size:
            break
        step, promise = _step(theta[at], score[at], metric[at], damping[at], low[at], high[at])
        lost = np.asarray(np.isnan(step).any(axis=1))  # no step: tried again, damped more
        trial = np.clip(theta[at] + np.where(lost[:, None], 0.0, step), low[at], high[at])
        new_value, new_score, new_metric = evaluate(trial, at)
        better = (new_value >= value[at]) & ~lost
        took = at[better]
        gain = new_value[better] - value[took]
        theta[took], value[took] = trial[better], new_value[better]
        score[took], metric[took] = new_score[better], new_metric[better]
        damping[at] = np.where(better, np.maximum(damping[at] * 0.1, 1e-12), damping[at] * 8.0)
        done = promise < tolerance
        done[better] &= gain < np.maximum(tolerance, 1e-13 * np.abs(value[took]))
        running[at] = ~done & (damping[at] < 1e12)
    return theta, value


def _step(
    theta: Array, score: Array, metric: Array, damping: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """A damped step for the parameters that may move, and how much it promises to gain."""
    n_param = theta.shape[1]
    room = 1e-12 * (1.0 + np.abs(theta))
    held = (low >= high) | ((theta <= low + room) & (score < 0))
    held |= (theta >= high - room) & (score > 0)
    free = ~held
    matrix = metric * (free[:, :, None] & free[:, None, :])
    diagonal = np.einsum("rpp->rp", matrix)
    floor = 1e-12 * np.maximum(diagonal.max(axis=1, keepdims=True), 1e-300)
    extra = np.where(free, damping[:, None] * diagonal + floor, 1.0)
    matrix = matrix + extra[:, :, None] * np.eye(n_param)
    pull = np.where(free, score, 0.0)
    step = np.linalg.solve(matrix, pull[..., None])[..., 0]
    with np.errstate(over="ignore", invalid="ignore"):  # a step too far is not taken by `climb`
        promise: Array = 0.5 * (step * pull).sum(axis=1)
    return np.asarray(step, dtype=np.float64), promise


def best_of(theta: Array, value: Array, n_starts: int) -> tuple[Array, Array]:
    """The best of several starts per problem: rows come problem by problem, start by start."""
    values = value.reshape(-1, n_starts)
    best = np.argmax(values, axis=1)
    at = np.arange(len(best)) * n_starts + best
    return theta[at], value[at]


def profile_limits(
    evaluate: Evaluate,
    low: Array,
    high: Array,
    best: Array,
    starts: Array,
    axis: tuple[int, Array],
    drop: float,
    *,
    quick: bool,
) -> tuple[float | None, float | None]:
    """Where the profile of one parameter has fallen by `drop` below its maximum.

    All others are fitted anew at every value, all values at once; the outermost crossing counts.

    Args:
        evaluate: The likelihood; it is asked for more rows than the data have, all alike.
        low: Lower ends of the box, `[param]`.
        high: Upper ends.
        best: The maximum, `[param]`.
        starts: Other places to start from, `[start, param]`.
        axis: Position of the parameter, and the values looked at, rising.
        drop: Half the chi-square quantile of the level wanted.
        quick: Whether the likelihood takes no time, so that every start may be used everywhere.

    Returns:
        Lower and upper limit; None where the profile stays above up to the end of the axis, or the
        maximum lies beyond that end.
    """
    index, places = axis
    top = float(evaluate(best[None], np.zeros(1, dtype=np.int64))[0][0])

    def limit(side: int) -> float | None:
        place = float(best[index])
        values = np.array([place, *places[side * (places - place) > 0][::side]])
        if values.size == 1:
            return None
        near = np.concatenate([best[None], starts])
        for _ in range(4):
            theta, value = _heights(evaluate, low, high, index, values, near, quick=quick)
            inside = np.flatnonzero(value >= top - drop)
            outermost = int(inside[-1]) if inside.size else 0
            if outermost == values.size - 1:
                return None
            near = np.concatenate([theta[outermost : outermost + 2], best[None]])
            near = np.concatenate([near, starts]) if quick else near
            inner, outer = float(values[outermost]), float(values[outermost + 1])
            above, below = (float(v) - (top - drop) for v in value[outermost : outermost + 2])
            place = inner + (outer - inner) * (above / (above - below) if above > below else 0.5)
            values = np.linspace(inner, outer, 13)
        return place

    return limit(-1), limit(1)


def _heights(
    evaluate: Evaluate,
    low: Array,
    high: Array,
    index: int,
    values: Array,
    near: Array,
    *,
    quick: bool,
) -> tuple[Array, Array]:
    """The maxima with one parameter held at each value, climbed from each of `near`."""

    def climbed(begin: Array) -> tuple[Array, Array]:
        seeds, held = begin.reshape(-1, low.size).copy(), np.repeat(values, begin.shape[1])
        lows, highs = (np.tile(end, (len(seeds), 1)) for end in (low, high))
        seeds[:, index] = lows[:, index] = highs[:, index] = held
        return best_of(*climb(evaluate, seeds, lows, highs, 1e-9), begin.shape[1])

    theta, value = climbed(np.tile(near, (values.size, 1, 1)))
    for _ in range(_MAX_PASSES if quick else 0):  # each value starts where its neighbours ended
        both = np.stack([np.roll(theta, 1, axis=0), np.roll(theta, -1, axis=0)], axis=1)
        again, higher = climbed(both)
        gain = higher - value
        theta, value = np.where(gain[:, None] > 0, again, theta), np.maximum(value, higher)
        if gain.max() < 1e-6:
            break
    return theta, value
