"""The law t = A (weight_decay - critical)^-nu of median times, by censored likelihood.

A replica at or below the critical weight decay never groks: it adds nothing to the likelihood where
it is censored, and makes it zero where it grokked. The critical point so lies in [0, smallest
weight decay that grokked). In the letters of `aft`: nu = d / tau, ln A = (median - c) / tau.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.times.estimators.aft import RIGHT, Fits, Records, maximise
from observatory.analysis.times.estimators.aft_errors import Errors

Array = NDArray[np.float64]

_CLOSEST = 1e-4  # share of its highest value by which the critical point stays below it
_PROFILE_ROUNDS = 4  # refinements of the critical point along the profile of the exponent


@dataclass(frozen=True)
class Laws:
    """Laws fitted to many tables, every array `[problem]`."""

    critical: Array
    nu: Array
    log_amplitude: Array  # ln of the median time at critical + 1
    sigma: Array  # scale of the errors of ln t
    loglik: Array  # log-likelihood of ln t
    theta: Array  # as the solver has them, `[problem, 3]`

    def boundary(self, horizon: float) -> Array:
        """The weight decay at which the median time equals a horizon, `[problem]`.

        Without a bound, or at the critical point, where the times hardly depend on weight decay.
        """
        with np.errstate(over="ignore", divide="ignore"):
            return self.critical + np.exp((self.log_amplitude - np.log(horizon)) / self.nu)


def _laws(errors: Errors, critical: Array, fits: Fits) -> Laws:
    """The solver's numbers as _laws."""
    tau, c, d = fits.theta.T
    return Laws(critical, d / tau, (errors.median - c) / tau, 1.0 / tau, fits.loglik, fits.theta)


def distance(records: Records, critical: Array, weights: Array) -> tuple[Array, Array]:
    """The covariate ln(weight_decay - critical), and the weights above the critical point."""
    gap = records.control - critical[:, None]
    above = gap > 0
    return np.log(np.where(above, gap, 1.0)), weights * above


def _starting(errors: Errors, records: Records, n: int) -> Array:
    """Where a fit may start that knows nothing: no slope, the times' own mean and spread."""
    timed = records.log_time[..., : records.edges[2]]
    tau = 1.0 / max(float(np.std(timed)), 0.1)
    return np.tile([tau, errors.median - tau * float(np.mean(timed)), 0.0], (n, 1))


def at_critical(
    errors: Errors, records: Records, weights: Array, critical: Array, start: Array | None = None
) -> Laws:
    """Laws whose critical point is held, below every weight decay that grokked, `[problem]`.

    Without a `start` the solver starts from nothing.
    """
    u, kept = distance(records, critical, weights)
    start = _starting(errors, records, len(critical)) if start is None else start
    return _laws(errors, critical, maximise(errors, records, u, kept, start))


def at_exponent(
    errors: Errors, records: Records, weights: Array, critical: Array, nu: Array, start: Array
) -> Array:
    """Log-likelihood where critical point and exponent are held, `[problem]`."""
    u, kept = distance(records, critical, weights)
    moved = replace(
        records,
        log_time=records.log_time + nu[:, None] * u,
        width=np.broadcast_to(records.width, u.shape),
    )
    return maximise(errors, moved, None, kept, start).loglik


def highest_critical(records: Records, weights: Array) -> Array:
    """The smallest weight decay that grokked, `[problem]`; infinite where none did."""
    timed = (records.kind != RIGHT) & (weights > 0)
    return np.where(timed, records.control, np.inf).min(axis=1)


def shares(n_grid: int) -> Array:
    """Critical points as shares of the highest one: even steps from 0, finer towards 1."""
    near = 1.0 - np.geomspace(1.0 / n_grid, _CLOSEST, max(n_grid // 4, 2))
    return np.concatenate([np.linspace(0.0, 1.0, n_grid, endpoint=False)[:-1], near])


def repeated(records: Records, weights: Array, n_points: int) -> tuple[Records, Array]:
    """Every problem `n_points` times, problem by problem."""
    if records.log_time.ndim == 2:
        time, width = (np.repeat(a, n_points, axis=0) for a in (records.log_time, records.width))
        records = replace(records, log_time=time, width=width)
    return records, np.repeat(weights, n_points, axis=0)


# how high points `[problem, point]` are, and what to start from near each, given such starts
_Height = Callable[[Array, Array | None], tuple[Array, Array]]


def searched(height: _Height, grid: Array, rounds: int) -> tuple[Array, Array]:
    """Where a function of one number is highest, for many at once: a grid, then finer ones.

    `grid` ascends, `[problem, point]`. In each of the rounds the neighbours of the best point are
    joined by seven points, themselves included, which divides their distance by three.

    Returns:
        The best point, `[problem]`, and the start that belongs to it.
    """
    row = np.arange(len(grid))
    value, start = height(grid, None)
    for _ in range(rounds):
        best = np.argmax(value, axis=1)
        low = grid[row, np.maximum(best - 1, 0)][:, None]
        high = grid[row, np.minimum(best + 1, grid.shape[1] - 1)][:, None]
        near = np.repeat(start[row, best][:, None], 7, axis=1)
        grid = low + (high - low) * np.linspace(0.0, 1.0, 7)
        value, start = height(grid, near)
    best = np.argmax(value, axis=1)
    return grid[row, best], start[row, best]


def profile_critical(
    errors: Errors, records: Records, weights: Array, points: Array, start: Array | None
) -> Laws:
    """Laws at several critical points `[problem, point]` of each table, problem by problem."""
    several, each = repeated(records, weights, points.shape[1])
    flat = None if start is None else start.reshape(-1, 3)
    return at_critical(errors, several, each, points.ravel(), flat)


def free_laws(
    errors: Errors,
    records: Records,
    weights: Array,
    n_grid: int,
    rounds: int,
    guess: Array | None = None,
) -> Laws:
    """Laws with a critical point of their own; `n_grid` as in `shares`, `rounds` as in `searched`.

    `guess` is the solver's start at each of the shares, `[point, 3]`.
    """
    grid = highest_critical(records, weights)[:, None] * shares(n_grid)

    def height(points: Array, start: Array | None) -> tuple[Array, Array]:
        if start is None and guess is not None:
            start = np.broadcast_to(guess, (*points.shape, 3))
        found = profile_critical(errors, records, weights, points, start)
        return found.loglik.reshape(points.shape), found.theta.reshape(*points.shape, 3)

    critical, start = searched(height, np.where(np.isfinite(grid), grid, 0.0), rounds)
    return at_critical(errors, records, weights, critical, start)


def profile_exponent(
    errors: Errors,
    records: Records,
    weights: Array,
    nu: Array,
    begin: Array,
    critical: Array | None,
    n_grid: int,
) -> Array:
    """Log-likelihood at held exponents `[problem]`, the rest fitted anew, `[problem]`.

    It starts from (tau, c), `[problem, 2]`; critical points are held too, or fitted anew for None.
    """

    def height(points: Array, start: Array | None) -> tuple[Array, Array]:
        n = points.shape[1]
        several, each = repeated(records, weights, n)
        at, first = np.repeat(nu, n), np.repeat(begin, n, axis=0)
        value = at_exponent(errors, several, each, points.ravel(), at, first)
        return value.reshape(points.shape), np.zeros((*points.shape, 1))

    if critical is None:
        grid = highest_critical(records, weights)[:, None] * shares(n_grid)
        critical = searched(height, grid, _PROFILE_ROUNDS)[0]
    return height(critical[:, None], None)[0][:, 0]
