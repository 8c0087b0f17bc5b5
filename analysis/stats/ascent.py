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
_HOPELESS = 1000.0
"""Promised gains by which a row must still rise to reach its goal, so that it is given up."""


def climb(
    evaluate: Evaluate,
    start: Array,
    low: Array,
    high: Array,
    tolerance: float = 1e-10,
    goal: Array | None = None,
) -> tuple[Array, Array]:
    """Local maxima, one per row, reached without ever going down.

    Args:
        evaluate: The likelihood.
        start: Where each row starts, `[row, param]`; moved into the box.
        low: Lower ends of the box, `[param]` or `[row, param]`; where both agree it is held.
        high: Upper ends.
        tolerance: A row stops where a step promises to raise the log-likelihood by less.
        goal: Heights, `[row]`, where it matters only whether they are reached: a row far below
            that hardly rises any more is given up.

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
        if goal is not None:
            with np.errstate(over="ignore", invalid="ignore"):
                done |= better & (value[at] + _HOPELESS * promise < goal[at])
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
