"""Log-time regression with censored records, many fits at once.

Letters: z = tau ln t + c + d u, with tau = 1/sigma > 0 and u the covariate, here
ln(weight_decay - critical). In (tau, c, d) the log-likelihood of all three error distributions is
concave (Burridge 1981), so that a damped Newton method finds its maximum from anywhere; in
(location, scale) it is not. P = problem: a bootstrap draw, a simulated table, a point of a grid.

Here and in the modules beside it `weights` says how many replicas each record stands for,
`[problem, record]`, and `theta` or `start` is (tau, c, d), or (tau, c) without a covariate.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.solvers import solve_each
from observatory.analysis.times.estimators.aft_errors import Errors

EXACT, INTERVAL, LEFT, RIGHT = 0, 1, 2, 3
_CHUNK = 50_000
"""Pairs of a problem and a record that are worked on at once: their arrays fit a core's cache."""


@dataclass(frozen=True)
class Records:
    """What was seen of each replica's time, sorted by kind.

    `log_time` is ln of the time, of the lower end of an interval, or of the end of a record without
    an event; of the upper end for `LEFT`. It and `width` are `[record]` or `[problem, record]`.
    """

    kind: NDArray[np.int64]  # `EXACT`, `INTERVAL`, `LEFT` (before a look), `RIGHT` (never)
    log_time: Array
    width: Array  # ln(t_hi / t_lo) of an interval, 1 for an exact time, 0 else
    control: Array  # weight decay, `[record]`

    @property
    def edges(self) -> tuple[int, int, int]:
        """Where the intervals, the left-censored and the right-censored records start."""
        start = np.searchsorted(self.kind, [INTERVAL, LEFT, RIGHT])
        return int(start[0]), int(start[1]), int(start[2])


def records_of(data: Observations) -> tuple[Records, NDArray[np.int64]]:
    """The records of a table, equal ones once, and the record of each row, `[row]`.

    A replica that collapsed or diverged never groks: it is followed to the horizon (Fine and Gray's
    convention), see `Observations.followed`. All events must have times.
    """
    seen, high = data.grokked, data.followed
    low = np.full(high.size, np.nan) if data.time_lo is None else data.time_lo
    between = seen & (low < high)  # not where it is NaN or equals the time
    left = between & (low <= 0)
    kind = np.select([~seen, left, between], [RIGHT, LEFT, INTERVAL], EXACT)
    inside = kind == INTERVAL
    time = np.where(inside, low, high)
    width = np.where(inside, np.log(high / np.where(inside, low, high)), kind == EXACT)
    table = np.column_stack([kind, data.weight_decay, np.log(time), width])
    rows, index = np.unique(table, axis=0, return_inverse=True)
    records = Records(rows[:, 0].astype(np.int64), rows[:, 2], rows[:, 3], rows[:, 1])
    return records, index.reshape(-1)


def gathered(weights: Array, index: NDArray[np.int64]) -> Array:
    """Weights of rows summed over the rows of each record, `[problem, row]` to `[.., record]`."""
    order = np.argsort(index, kind="stable")
    first = np.flatnonzero(np.diff(index[order], prepend=-1))
    return np.add.reduceat(weights[:, order], first, axis=1)


def likelihood(
    errors: Errors, records: Records, covariate: Array | None, weights: Array, theta: Array
) -> tuple[Array, Array, Array]:
    """Log-likelihood of ln t, `[problem]`, with its gradient and Hessian in `theta`.

    The covariate is u, `[record]` or `[problem, record]`, or None for a model without one. Values
    are not finite where tau is not positive.
    """
    tau = theta[:, :1]
    z = tau * records.log_time + theta[:, 1:2]
    if covariate is not None:
        z = z + theta[:, 2:] * covariate
    interval, left, right = records.edges
    w = tau * records.width[..., :left]
    exact = errors.density(z[:, :interval])
    mass = errors.mass(z[:, interval:left], w[:, interval:])
    before, after = errors.cumulative(z[:, left:right]), errors.survival(z[:, right:])
    we = np.log(w[:, :interval])
    value, first, second = (
        weights * np.concatenate(parts, axis=1)
        for parts in (
            (exact[0] + we, mass[0], before[0], after[0]),
            (exact[1], mass[1], before[1], after[1]),
            (exact[2], mass[3], before[2], after[2]),
        )
    )
    inverse = 1.0 / w[:, :interval]
    timed = weights[:, :left]
    first_w = timed * np.concatenate([inverse, mass[2]], axis=1)
    cross = timed * np.concatenate([np.zeros_like(inverse), mass[4]], axis=1)
    second_w = timed * np.concatenate([-inverse * inverse, mass[5]], axis=1)
    time, width = records.log_time, records.width[..., :left]
    mixed = second * time
    squared = (mixed * time).sum(axis=1)
    squared += ((2.0 * cross * time[..., :left] + second_w * width) * width).sum(axis=1)
    mixed[:, :left] += cross * width
    slope_tau = (first * time).sum(axis=1) + (first_w * width).sum(axis=1)
    gradient, hessian = [slope_tau, first.sum(axis=1)], [squared, mixed.sum(axis=1)]
    hessian.append(second.sum(axis=1))
    if covariate is None:
        (tt, tc, cc), order = hessian, (0, 1, 1, 2)
        entries = [tt, tc, cc]
    else:
        along = second * covariate
        gradient.append((first * covariate).sum(axis=1))
        td, cd = (mixed * covariate).sum(axis=1), along.sum(axis=1)
        entries = [*hessian, td, cd, (along * covariate).sum(axis=1)]
        order = (0, 1, 3, 1, 2, 4, 3, 4, 5)
    k = len(gradient)
    matrix = np.stack([entries[i] for i in order], axis=-1).reshape(-1, k, k)
    return value.sum(axis=1), np.stack(gradient, axis=-1), matrix


@dataclass(frozen=True)
class Fits:
    """Maxima of many log-likelihoods, NaN and -inf where none was found."""

    theta: Array  # `[problem, k]`
    loglik: Array  # of ln t, `[problem]`


def maximise(
    errors: Errors, records: Records, covariate: Array | None, weights: Array, start: Array
) -> Fits:
    """Damped Newton on all problems at once, those that have converged left out.

    Raises:
        ValueError: If `start` and `weights` differ in their number of problems.
    """
    if len(start) != len(weights):
        raise ValueError(f"`start` must have {len(weights)} rows, got {len(start)}.")
    step = max(1, _CHUNK // max(records.kind.size, 1))
    chunks = [slice(at, at + step) for at in range(0, len(weights), step)]
    parts = [
        _maximise(errors, *_slice(records, covariate, rows), weights[rows], start[rows])
        for rows in chunks
    ]
    return Fits(*map(np.concatenate, zip(*((p.theta, p.loglik) for p in parts), strict=True)))


def _slice(
    records: Records, covariate: Array | None, rows: slice | NDArray[np.int64]
) -> tuple[Records, Array | None]:
    if records.log_time.ndim == 2:
        records = replace(records, log_time=records.log_time[rows], width=records.width[rows])
    if covariate is not None and covariate.ndim == 2:
        covariate = covariate[rows]
    return records, covariate


def _maximise(
    errors: Errors, records: Records, covariate: Array | None, weights: Array, start: Array
) -> Fits:
    theta = start.copy()
    k = theta.shape[1]
    with np.errstate(all="ignore"):
        value, gradient, hessian = likelihood(errors, records, covariate, weights, theta)
        found = np.zeros(len(theta), dtype=np.bool_)
        active = np.flatnonzero(np.isfinite(value))
        rate = np.ones(len(theta))
        for _ in range(80):
            if not active.size:
                break
            curvature = -hessian[active]
            scale = np.maximum(np.trace(curvature, axis1=1, axis2=2), 1e-12)
            curvature = curvature + 1e-13 * scale[:, None, None] * np.eye(k)
            move = solve_each(curvature, gradient[active])
            gain = (gradient[active] * move).sum(axis=1)
            trial = theta[active] + rate[active, None] * move
            there, cov = _slice(records, covariate, active)
            new = likelihood(errors, there, cov, weights[active], trial)
            better = new[0] >= value[active] + 1e-4 * rate[active] * gain - 1e-9
            better &= (trial[:, 0] > 0) & np.isfinite(new[2]).all(axis=(1, 2))
            at = active[better]
            theta[at], value[at] = trial[better], new[0][better]
            gradient[at], hessian[at] = new[1][better], new[2][better]
            done = better & (gain < 1e-6) & (rate[active] == 1.0)
            found[active[done]] = True
            rate[active] = np.where(better, 1.0, 0.25 * rate[active])
            active = active[~done & (rate[active] > 1e-10) & np.isfinite(gain)]
    theta[~found] = np.nan
    return Fits(theta, np.where(found, value, -np.inf))
