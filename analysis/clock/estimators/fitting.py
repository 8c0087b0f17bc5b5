"""A table as records, and laws fitted to it: estimates, likelihoods, limits of a critical point."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.clock.estimators.laws import LAWS, ClockLaw, RecordAxes
from observatory.analysis.clock.estimators.likelihood import LawProblem, begin, maximise
from observatory.analysis.clock.estimators.rows import ClockRows
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.search import end_of_search
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.analysis.times.estimators.aft import RIGHT, Records, gathered, records_of
from observatory.analysis.times.estimators.aft_errors import Errors
from observatory.analysis.times.estimators.aft_law import shares

_ROUNDS = 3  # refinements of a critical point, each five times as fine
_STARTS = (0.02, 0.5)  # constant parts to start from, as shares of the earliest time


@dataclass(frozen=True)
class ClockSample:
    """One table as records; equal ones once."""

    rows: ClockRows
    records: Records  # its `control` is the number of the cell
    index: NDArray[np.int64]  # record of each row, `[row]`
    weights: Array  # replicas that each record stands for, `[1, record]`
    axes: RecordAxes

    @property
    def highest(self) -> float:
        """The smallest weight decay with the event: no critical point is above it."""
        seen = self.records.kind != RIGHT
        return float(self.axes.weight_decay[seen].min())

    def problem(self, law: ClockLaw, errors: Errors, critical: Array) -> LawProblem:
        """The law at critical points, `[problem]`."""
        return LawProblem(errors, self.records, self.axes, law, critical, self.weights)

    def without_units(self) -> Array:
        """Weights of the records without one unit of resampling at a time, `[unit, record]`."""
        units, own = self.rows.units, self.rows.data.weights
        each = np.where(units == np.arange(units.max() + 1)[:, None], 0.0, own)
        return gathered(each, self.index)


def sample_of(rows: ClockRows) -> ClockSample:
    """The records of a table; a replica that failed is followed to the horizon."""
    cells, index = rows.cells
    numbered = replace(rows.data, weight_decay=index + 1.0)
    records, of_row = records_of(numbered)
    lr, decay = cells[records.control.astype(np.int64) - 1].T
    weights = gathered(rows.data.weights[None], of_row)
    return ClockSample(rows, records, of_row, weights, RecordAxes.of(lr, decay))


@dataclass(frozen=True)
class LawFit:
    """A law fitted to one table."""

    name: str  # of `LAWS`
    theta: Array  # see `likelihood`, `[number]`
    critical: float  # 0 for a law without
    loglik: float  # of ln t
    at_limit: bool  # whether the critical point lies at the upper end of its search

    @property
    def law(self) -> ClockLaw:
        """What it has free."""
        return LAWS[self.name]

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * self.law.n_params - 2.0 * self.loglik


def _best(problem: LawProblem, starts: list[Array]) -> tuple[Array, Array]:
    """The best maximum of each problem over several starts."""
    n = len(problem.critical)
    several = replace(
        problem,
        critical=np.tile(problem.critical, len(starts)),
        weights=np.tile(problem.weights, (len(starts), 1))
        if len(problem.weights) > 1
        else problem.weights,
    )
    found = maximise(several, np.concatenate(starts))
    loglik = found.loglik.reshape(len(starts), n)
    best = np.argmax(loglik, axis=0)
    at = best * n + np.arange(n)
    return found.theta[at], found.loglik[at]


def at_critical(
    sample: ClockSample, law: ClockLaw, errors: Errors, critical: Array
) -> tuple[Array, Array]:
    """Maxima with the critical point held, `[problem, number]` and `[problem]`."""
    problem = sample.problem(law, errors, critical)
    starts = [begin(problem, share) for share in (_STARTS if law.constant else _STARTS[:1])]
    return _best(problem, starts)


def fit_law(sample: ClockSample, name: str, errors: Errors, n_grid: int) -> LawFit:
    """The law of one table; a critical point between 0 and the smallest that had the event.

    Args:
        sample: The table.
        name: Of `LAWS`.
        errors: The distribution of ln t about its median.
        n_grid: Critical points that are tried first.
    """
    law = LAWS[name]
    if not law.critical:
        theta, loglik = at_critical(sample, law, errors, np.zeros(1))
        return LawFit(name, theta[0], 0.0, float(loglik[0]), at_limit=False)
    grid = sample.highest * shares(n_grid)
    theta, loglik = at_critical(sample, law, errors, grid)
    best = int(np.argmax(loglik))
    place, top, height = grid[best], theta[best], float(loglik[best])
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, grid.size - 1)]
    for _ in range(_ROUNDS):
        points = np.linspace(low, high, 7)
        start = np.tile(top, (points.size, 1))
        found = maximise(sample.problem(law, errors, points), start)
        at = int(np.argmax(found.loglik))
        if found.loglik[at] > height:
            place, top, height = points[at], found.theta[at], float(found.loglik[at])
        step = points[1] - points[0]
        low, high = max(place - step, 0.0), min(place + step, grid[-1])
    ended = end_of_search(float(place / grid[-1]), 0.0, 1.0) == "highest"
    return LawFit(name, top, float(place), height, at_limit=ended)


def critical_limits(
    sample: ClockSample, fitted: LawFit, errors: Errors, level: float, n_grid: int
) -> tuple[float, float | None]:
    """Limits of a critical point by profile likelihood; the upper None where it has no end."""
    target = fitted.loglik - 0.5 * chi2_quantile(level, 1)
    grid = np.unique(np.append(sample.highest * shares(n_grid), fitted.critical))
    theta, loglik = at_critical(sample, fitted.law, errors, grid)
    centre = int(np.flatnonzero(grid == fitted.critical)[0])
    theta[centre], loglik[centre] = fitted.theta, fitted.loglik

    def crossing(inside: int, outside: int) -> float:
        inner, outer = float(grid[inside]), float(grid[outside])
        above = float(loglik[inside]) - target
        below = float(loglik[outside]) - target
        for _ in range(2):
            points = np.linspace(inner, outer, 7)
            start = np.tile(theta[inside], (points.size, 1))
            heights = maximise(sample.problem(fitted.law, errors, points), start).loglik - target
            first = max(int(np.argmax(heights < 0)), 1)
            inner, outer = float(points[first - 1]), float(points[first])
            above, below = float(heights[first - 1]), float(heights[first])
        return inner + (outer - inner) * (above / (above - below) if above > below else 0.5)

    within = np.flatnonzero(loglik >= target)
    first, last = int(within[0]), int(within[-1])
    low = 0.0 if first == 0 else crossing(first, first - 1)
    high = None if last == grid.size - 1 else crossing(last, last + 1)
    return low, high
