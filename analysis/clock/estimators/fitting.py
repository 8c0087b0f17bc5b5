"""A table as records, and laws fitted to it: estimates, likelihoods, limits of a critical point."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.clock.estimators.laws import LAWS, ClockLaw, RecordAxes
from observatory.analysis.clock.estimators.likelihood import (
    HIGHEST_SHARE,
    LawProblem,
    begin,
    maximise,
)
from observatory.analysis.clock.estimators.rows import ClockRows
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.search import end_of_search
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.analysis.times.estimators.aft import RIGHT, Records, gathered, records_of
from observatory.analysis.times.estimators.aft_errors import Errors
from observatory.analysis.times.estimators.aft_law import shares

_CONSTANTS = (0.02, 0.5)  # constant parts to start from, as shares of the earliest time
_SHARES = np.array([0.02, 0.4, 0.8, 0.97])  # critical points to start from, of the highest


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

    def problem(self, law: ClockLaw, errors: Errors) -> LawProblem:
        """The law on all records."""
        return LawProblem(errors, self.records, self.axes, law, self.highest, self.weights)

    def without_units(self) -> Array:
        """Weights of the records without one unit of resampling at a time, `[unit, record]`."""
        units, own = self.rows.units, self.rows.data.weights
        left_out = np.arange(int(units.max()) + 1)
        each = np.where(units == left_out[:, None], 0.0, own)
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


def _starts(problem: LawProblem, share: Array) -> Array:
    """Starts from critical points and several constant parts, `[constant x share, number]`."""
    constants = np.array(_CONSTANTS if problem.law.constant else _CONSTANTS[:1])
    return begin(problem, np.repeat(constants, share.size), np.tile(share, constants.size))


def fit_law(sample: ClockSample, name: str, errors: Errors) -> LawFit:
    """The law of one table; a critical point between 0 and the smallest that had the event.

    Args:
        sample: The table.
        name: Of `LAWS`.
        errors: The distribution of ln t about its median.
    """
    law = LAWS[name]
    problem = sample.problem(law, errors)
    found = maximise(problem, _starts(problem, _SHARES if law.critical else _SHARES[:1]))
    best = int(np.argmax(found.loglik))
    theta = found.theta[best]
    critical = float(problem.critical(theta[None])[0])
    ended = law.critical and (
        end_of_search(float(theta[problem.place]), 0.0, HIGHEST_SHARE) == "highest"
    )
    return LawFit(name, theta, critical, float(found.loglik[best]), at_limit=ended)


def critical_limits(
    sample: ClockSample, fit: LawFit, errors: Errors, level: float, n_grid: int
) -> tuple[float, float | None]:
    """Limits of a critical point by profile likelihood; the upper None where it has no end."""
    problem = sample.problem(fit.law, errors)
    target = fit.loglik - 0.5 * chi2_quantile(level, 1)
    own = float(fit.theta[problem.place])
    grid = np.unique(np.append(HIGHEST_SHARE * shares(n_grid), own))
    found = maximise(problem, _starts(problem, grid), held=True)
    heights = found.loglik.reshape(-1, grid.size)
    at = np.argmax(heights, axis=0) * grid.size + np.arange(grid.size)
    theta, loglik = found.theta[at], found.loglik[at]
    centre = int(np.flatnonzero(grid == own)[0])
    theta[centre], loglik[centre] = fit.theta, fit.loglik

    def crossing(inside: int, outside: int) -> float:
        inner, outer = float(grid[inside]), float(grid[outside])
        above = below = 0.0
        for _ in range(2):
            points = np.linspace(inner, outer, 7)
            start = np.tile(theta[inside], (points.size, 1))
            start[:, problem.place] = points
            heights = maximise(problem, start, held=True).loglik - target
            first = max(int(np.argmax(heights < 0)), 1)
            inner, outer = float(points[first - 1]), float(points[first])
            above, below = float(heights[first - 1]), float(heights[first])
        return inner + (outer - inner) * (above / (above - below) if above > below else 0.5)

    within = np.flatnonzero(loglik >= target)
    first, last = int(within[0]), int(within[-1])
    low = 0.0 if first == 0 else sample.highest * crossing(first, first - 1)
    high = None if last == grid.size - 1 else sample.highest * crossing(last, last + 1)
    return low, high
