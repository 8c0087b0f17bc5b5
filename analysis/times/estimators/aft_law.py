"""The law t = A (weight_decay - critical)^-nu of median times, by censored likelihood.

A replica at or below the critical weight decay never groks: it adds nothing to the likelihood where
it is censored, and makes it zero where it grokked. The critical point so lies in [0, smallest
weight decay that grokked). In the letters of `aft`: nu = d / tau, ln A = (median - c) / tau.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from observatory.analysis.times.estimators.aft import RIGHT, Fits, Records, maximise
from observatory.analysis.times.estimators.aft_errors import Array, Errors
from observatory.analysis.times.estimators.power_law import CLOSEST


@dataclass(frozen=True)
class Laws:
    """Laws fitted to many tables, every array `[problem]`."""

    critical: Array
    nu: Array
    log_amplitude: Array  # ln of the median time at critical + 1
    sigma: Array  # scale of the errors of ln t
    loglik: Array  # log-likelihood of ln t
    theta: Array  # as the solver has them, `[problem, 3]`

    def aic(self, n_params: int) -> float:
        """Akaike's criterion of the first problem."""
        return 2.0 * n_params - 2.0 * float(self.loglik[0])

    def boundary(self, horizon: float) -> Array:
        """The weight decay at which the median time equals a horizon, `[problem]`.

        Without a bound, or at the critical point, where the times hardly depend on weight decay.
        """
        with np.errstate(over="ignore", divide="ignore"):
            return self.critical + np.exp((self.log_amplitude - np.log(horizon)) / self.nu)


def shares(n_grid: int) -> Array:
    """Critical points as shares of the highest one: even steps from 0, finer towards 1."""
    near = 1.0 - np.geomspace(1.0 / n_grid, CLOSEST, max(n_grid // 4, 2))
    return np.concatenate([np.linspace(0.0, 1.0, n_grid, endpoint=False)[:-1], near])


# how high points `[problem, point]` are, and what to start from near each, given such starts
_Height = Callable[[Array, Array | None], tuple[Array, Array]]


def searched(height: _Height, grid: Array, rounds: int) -> tuple[Array, Array]:
    """Where a function of one number is highest, for many at once: a grid, then finer ones.

    `grid` ascends, `[problem, point]`. In each of the rounds the neighbours of the best point are
    joined by seven points, themselves included, which divides their distance by three. The best
    point, `[problem]`, and the start that belongs to it.
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


@dataclass(frozen=True)
class Times:
    """Times of many tables with alike records, under one distribution of the errors."""

    errors: Errors
    records: Records
    weights: Array  # `[problem, record]`

    @property
    def highest(self) -> Array:
        """The smallest weight decay that grokked, `[problem]`; infinite where none did."""
        timed = (self.records.kind != RIGHT) & (self.weights > 0)
        return np.where(timed, self.records.control, np.inf).min(axis=1)

    def repeated(self, n_points: int) -> "Times":
        """Every problem `n_points` times, problem by problem."""
        records = self.records
        if records.log_time.ndim == 2:
            time, width = (np.repeat(a, n_points, 0) for a in (records.log_time, records.width))
            records = replace(records, log_time=time, width=width)
        return Times(self.errors, records, np.repeat(self.weights, n_points, axis=0))

    def _distance(self, critical: Array) -> tuple[Array, Array]:
        """The covariate ln(weight_decay - critical), and the weights above the critical point."""
        gap = self.records.control - critical[:, None]
        above = gap > 0
        return np.log(np.where(above, gap, 1.0)), self.weights * above

    def at_critical(self, critical: Array, start: Array | None = None) -> Laws:
        """Laws whose critical point is held, below every weight decay that grokked, `[problem]`."""
        u, kept = self._distance(critical)
        if start is None:  # no slope, the times' own mean and spread
            timed = self.records.log_time[..., : self.records.edges[2]]
            tau = 1.0 / max(float(np.std(timed)), 0.1)
            begin = [tau, self.errors.median - tau * float(np.mean(timed)), 0.0]
            start = np.tile(begin, (len(critical), 1))
        fits = maximise(self.errors, self.records, u, kept, start)
        tau, c, d = fits.theta.T
        log_amplitude = (self.errors.median - c) / tau
        return Laws(critical, d / tau, log_amplitude, 1.0 / tau, fits.loglik, fits.theta)

    def moved(self, shift: Array, weights: Array, start: Array) -> Fits:
        """Fits of spread and place alone, (tau, c), where a law is taken from ln t by a shift."""
        time = self.records.log_time + shift
        width = np.broadcast_to(self.records.width, time.shape)
        records = replace(self.records, log_time=time, width=width)
        return maximise(self.errors, records, None, weights, start)

    def at_exponent(self, critical: Array, nu: Array, start: Array) -> Array:
        """Log-likelihood where critical point and exponent are held, `[problem]`."""
        u, kept = self._distance(critical)
        return self.moved(nu[:, None] * u, kept, start).loglik

    def profile_critical(self, points: Array, start: Array | None) -> Laws:
        """Laws at critical points `[problem, point]` of each table, problem by problem."""
        flat = None if start is None else start.reshape(-1, 3)
        return self.repeated(points.shape[1]).at_critical(points.ravel(), flat)

    def free(self, n_grid: int, rounds: int, guess: Array | None = None) -> Laws:
        """Laws with a critical point of their own; `n_grid` as in `shares`, then `searched`.

        `guess` is the solver's start at each of the shares, `[point, 3]`.
        """
        grid = self.highest[:, None] * shares(n_grid)

        def height(points: Array, start: Array | None) -> tuple[Array, Array]:
            if start is None and guess is not None:
                start = np.broadcast_to(guess, (*points.shape, 3))
            found = self.profile_critical(points, start)
            return found.loglik.reshape(points.shape), found.theta.reshape(*points.shape, 3)

        return self.at_critical(*searched(height, np.where(np.isfinite(grid), grid, 0.0), rounds))

    def profile_exponent(
        self, nu: Array, begin: Array, critical: Array | None, n_grid: int
    ) -> Array:
        """Log-likelihood at held exponents `[problem]`, the rest fitted anew, `[problem]`.

        It starts from (tau, c), `[problem, 2]`; critical points are held too, or for None fitted.
        """

        def height(points: Array, start: Array | None) -> tuple[Array, Array]:
            n = points.shape[1]
            at, first = np.repeat(nu, n), np.repeat(begin, n, axis=0)
            value = self.repeated(n).at_exponent(points.ravel(), at, first)
            return value.reshape(points.shape), np.zeros((*points.shape, 1))

        if critical is None:
            grid = self.highest[:, None] * shares(n_grid)
            critical = searched(height, grid, 4)[0]
        return height(critical[:, None], None)[0][:, 0]
