"""Limits of critical weight decay and exponent by profile likelihood, and their joint region."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from observatory.analysis.stats.search import end_of_search
from observatory.analysis.stats.solvers import Array, chi2_quantile, chi2_tail
from observatory.analysis.times.estimators.aft_law import Laws, Times, shares

_N_REGION = 31  # points of each axis of the joint region
PROFILE_GRID = 12  # points of the search along the profile of nu


def crossings(height: Callable[[Array], Array], inside: Array, outside: Array) -> Array:
    """Where a function turns negative, each between a point where it is not and one where it is."""
    row = np.arange(inside.size)
    above, below = np.zeros(row.size), np.full(row.size, -np.inf)
    for _ in range(4 if row.size else 0):
        points = np.linspace(inside, outside, 9, axis=1)
        heights = height(points.ravel()).reshape(points.shape)
        first = np.maximum(np.argmax(heights < 0, axis=1), 1)
        inside, outside = points[row, first - 1], points[row, first]
        above, below = heights[row, first - 1], heights[row, first]
    fall = np.where(np.isfinite(below), above - below, 1.0)
    share = np.where(np.isfinite(below), above / fall, 0.5)
    return inside + share * (outside - inside)


def _outermost(
    height: Callable[[Array], Array], points: Array, values: Array
) -> tuple[float, float]:
    """The outermost points at which a function is not negative, refined between grid points.

    `points` ascend; where the function is not negative at an end, that end is the limit.
    """
    inside = np.flatnonzero(values >= 0)
    low, high = int(inside[0]), int(inside[-1])
    at = [(end, by) for end, by in ((low, -1), (high, 1)) if 0 <= end + by < points.size]
    inner, outer = np.array([end for end, _ in at], int), np.array([sum(pair) for pair in at], int)
    found = crossings(height, points[inner], points[outer]).tolist()
    lower = points[0] if low == 0 else found.pop(0)
    upper = points[-1] if high == points.size - 1 else found.pop()
    return float(lower), float(upper)


@dataclass(frozen=True)
class Table:
    """One table and the law fitted to it, about which profiles are drawn."""

    of: Times  # one problem
    law: Laws  # one problem
    n_grid: int  # points of the search for the critical point

    @property
    def begin(self) -> Array:
        """The scale and place (tau, c) from which a fit with a held exponent starts, `[2]`."""
        tau = self.law.theta[0, 0]
        return np.array([tau, self.of.errors.median - tau * self.law.log_amplitude[0]])

    @property
    def at_limit(self) -> bool:
        """Whether the critical point lies at the end of its search: then it is no estimate."""
        share = float(self.law.critical[0] / self.of.highest[0])
        return end_of_search(share, 0.0, float(shares(self.n_grid)[-1])) == "highest"

    def drop(self, level: float, degrees: int) -> float:
        """The log-likelihood at the edge of a region of that level."""
        return float(self.law.loglik[0]) - 0.5 * chi2_quantile(level, degrees)

    def at(self, critical: Array) -> Array:
        """Log-likelihood at critical points, `[point]`."""
        start = np.repeat(self.law.theta, critical.size, axis=0)
        return self.of.repeated(critical.size).at_critical(critical, start).loglik

    def critical_limits(self, level: float, degrees: int = 1) -> tuple[float, float]:
        """Limits of the critical point in [0, smallest weight decay that grokked).

        Limits at the ends of that range are the ends themselves: a critical weight decay cannot be
        negative, nor above one that grokked. Where the truth is 0 the two-sided interval covers it
        in (1 + level) / 2: it is conservative there.
        """
        highest = float(self.of.highest[0])
        grid = np.append(highest * shares(self.n_grid), self.law.critical)
        points = np.unique(grid)
        target = self.drop(level, degrees)

        def height(critical: Array) -> Array:
            return self.at(critical) - target

        low, high = _outermost(height, points, height(points))
        return low, highest if high == points[-1] else high

    def upper_limit(self, level: float) -> float:
        """One-sided upper limit of the critical point."""
        return self.critical_limits(2.0 * level - 1.0)[1]

    def exponent_limits(
        self, level: float, free: bool, degrees: int = 1
    ) -> tuple[float | None, float | None]:
        """Limits of the exponent, a free critical point fitted anew; None: unbounded."""
        target = self.drop(level, degrees)
        centre = float(self.law.nu[0])

        def height(nu: Array) -> Array:
            begin = np.tile(self.begin, (nu.size, 1))
            held = None if free else np.repeat(self.law.critical, nu.size)
            several = self.of.repeated(nu.size)
            return several.profile_exponent(nu, begin, held, PROFILE_GRID) - target

        inside, outside = np.full(2, centre), np.full(2, np.nan)
        step, looking = 0.05 * max(abs(centre), 0.1), np.ones(2, dtype=np.bool_)
        for _ in range(12):  # both sides at once, until both have turned negative
            tried = inside + np.array([-step, step])
            turned = np.zeros(2, dtype=np.bool_)
            turned[looking] = height(tried[looking]) < 0
            outside[turned] = tried[turned]
            looking &= ~turned
            inside[looking] = tried[looking]
            step *= 2.0
            if not looking.any():
                break
        known = np.flatnonzero(~looking)
        found = crossings(height, inside[known], outside[known])
        limits: list[float | None] = [None, None]
        for side, value in zip(known.tolist(), found.tolist(), strict=True):
            limits[side] = value
        return limits[0], limits[1]

    def joint_region(self, level: float) -> dict[str, list[float | None]]:
        """Twice the fall of the log-likelihood on a grid of (critical, nu) about its maximum.

        Columns `critical`, `nu`, `delta`, the critical point running fastest; the region of the
        level is where delta is below the chi-square quantile of two degrees of freedom. None where
        the law is impossible.
        """
        low, high = self.critical_limits(level, degrees=2)
        nus = self.exponent_limits(level, free=True, degrees=2)
        centre = float(self.law.nu[0])
        first, last = (
            centre * f if limit is None else limit for limit, f in zip(nus, (0.0, 3.0), strict=True)
        )
        points = np.linspace(low, high * (1.0 - 1e-6), _N_REGION)
        critical, nu = np.meshgrid(points, np.linspace(first, last, _N_REGION))
        start = np.tile(self.begin, (critical.size, 1))
        value = self.of.repeated(critical.size).at_exponent(critical.ravel(), nu.ravel(), start)
        delta = 2.0 * (self.law.loglik[0] - value)
        columns = {"critical": critical.ravel(), "nu": nu.ravel(), "delta": delta}
        return {name: six_digits(values) for name, values in columns.items()}


def six_digits(values: Array) -> list[float | None]:
    """Numbers to six digits, None where not finite."""
    return [float(f"{x:.6g}") if np.isfinite(x) else None for x in values]


def chi_bar_square(lr: float) -> float:
    """The chance that a likelihood ratio exceeds `lr` where the null is the end of the range.

    Half of the time the estimate lies at the end and the ratio is 0, else it is chi-square with one
    degree of freedom.

    Source:
        Self and Liang (1987), J. Am. Stat. Assoc. 82, 605, case 5. Deviation: none.
    """
    return 0.5 * chi2_tail(lr, 1) if lr > 0 else 1.0
