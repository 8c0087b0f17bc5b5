"""Limits by profile likelihood, those of many parameters and of many tables at once.

Letters as in `ascent`; a problem is one table, whose likelihood has its own counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.ascent import Array, Evaluate, best_of, climb

_Limits = tuple[float | None, float | None]
_MAX_PASSES = 20
"""Of the values of a profile, each from its neighbours; all that move stop before."""
_MOVED = 1e-6
"""Log-likelihood by which a neighbour's start must be better to be passed on."""
_ROUNDS = 4
"""The values looked at, then three times a thirteenth of the gap that holds the limit."""


@dataclass(frozen=True)
class Axis:
    """One parameter of one problem, whose profile is drawn."""

    problem: int
    index: int  # position of the parameter
    places: Array  # values looked at, rising


@dataclass
class _Side:
    """One limit that is searched, from the maximum outwards."""

    axis: Axis
    values: Array  # looked at next, outwards
    near: Array  # what is climbed from at each, `[start, param]`
    place: float | None  # the limit as it is known; None: the profile stays above

    def narrow(self, theta: Array, value: Array, best: Array, target: float) -> None:
        """Take the gap in which the profile, `[value]`, crosses the target outermost."""
        inside = np.flatnonzero(value >= target)
        outermost = int(inside[-1]) if inside.size else 0
        if outermost == self.values.size - 1:
            self.place, self.values = None, self.values[:0]
            return
        self.near = np.concatenate([theta[outermost : outermost + 2], best[None]])
        inner, outer = (float(v) for v in self.values[outermost : outermost + 2])
        above, below = (float(v) - target for v in value[outermost : outermost + 2])
        share = above / (above - below) if above > below else 0.5
        self.place = inner + (outer - inner) * share
        self.values = np.linspace(inner, outer, 13)


def profile_limits(
    evaluate: Evaluate,
    low: Array,
    high: Array,
    best: Array,
    starts: Array,
    axes: Sequence[Axis],
    drop: float,
    *,
    quick: bool,
) -> list[_Limits]:
    """Where the profile of each axis has fallen by `drop` below its maximum.

    All other parameters are fitted anew at every value, all values of all axes at once; the
    outermost crossing counts.

    Args:
        evaluate: The likelihood; the numbers of rows that it is given are those of problems.
        low: Lower ends of the box, `[param]`.
        high: Upper ends.
        best: The maxima, `[problem, param]`.
        starts: Other places to start from, `[problem, start, param]`.
        axes: What is looked at.
        drop: Half the chi-square quantile of the level wanted.
        quick: Whether the likelihood takes no time, so that values may start from their neighbours.

    Returns:
        Lower and upper limit of each axis; None where the profile stays above up to the end of the
        axis, or the maximum lies beyond that end.
    """
    target = evaluate(best, np.arange(len(best)))[0] - drop
    sides: list[_Side] = []
    for axis in axes:
        own, place = best[axis.problem], float(best[axis.problem, axis.index])
        near = np.concatenate([own[None], starts[axis.problem]])
        for sign in (-1, 1):
            beyond = axis.places[sign * (axis.places - place) > 0][::sign]
            values = np.array([place, *beyond]) if beyond.size else beyond
            sides.append(_Side(axis, values, near, place if beyond.size else None))
    for round_number in range(_ROUNDS):
        open_sides = [side for side in sides if side.values.size]
        if not open_sides:
            break
        heights = _Heights(evaluate, (low, high), open_sides, target, round_number == _ROUNDS - 1)
        theta, value = heights.maxima(quick)
        first = 0
        for side in open_sides:
            own = slice(first, first + side.values.size)
            first, of = own.stop, side.axis.problem
            side.narrow(theta[own], value[own], best[of], float(target[of]))
    return [
        (lower.place, upper.place) for lower, upper in zip(sides[::2], sides[1::2], strict=True)
    ]


@dataclass
class _Heights:
    """The maxima with one parameter held, at every value of several sides."""

    evaluate: Evaluate
    box: tuple[Array, Array]
    sides: Sequence[_Side]
    target: Array  # heights that decide, `[problem]`
    exact: bool  # whether more than being above the target matters
    held: Array = field(init=False)  # the value, `[value]`
    index: NDArray[np.int64] = field(init=False)  # the parameter that is held at it
    problem: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        sizes = [side.values.size for side in self.sides]
        self.held = np.concatenate([side.values for side in self.sides])
        self.index = np.repeat([side.axis.index for side in self.sides], sizes)
        self.problem = np.repeat([side.axis.problem for side in self.sides], sizes)

    def maxima(self, quick: bool) -> tuple[Array, Array]:
        """Parameters, `[value, param]`, and heights, `[value]`, climbed from the sides' starts."""
        near = [np.tile(side.near, (side.values.size, 1, 1)) for side in self.sides]
        theta, value = self._climbed(np.concatenate(near), np.arange(self.held.size))
        return self._passed_on(theta, value) if quick else (theta, value)

    def _climbed(self, begin: Array, at: NDArray[np.int64]) -> tuple[Array, Array]:
        """The best of `begin`, `[value, start, param]`, of the values `at`."""
        n_starts = begin.shape[1]
        row = np.repeat(at, n_starts)
        seeds = begin.reshape(row.size, -1).copy()
        lows, highs = (np.tile(end, (row.size, 1)) for end in self.box)
        every, column, problem = np.arange(row.size), self.index[row], self.problem[row]
        seeds[every, column] = lows[every, column] = highs[every, column] = self.held[row]

        def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
            return self.evaluate(theta, problem[rows])

        goal = None if self.exact else self.target[problem]
        return best_of(*climb(evaluate, seeds, lows, highs, 1e-9, goal), n_starts)

    def _passed_on(self, theta: Array, value: Array) -> tuple[Array, Array]:
        """Each value is climbed to from where its neighbours ended, until none gains by it."""
        ends = np.cumsum([side.values.size for side in self.sides])
        parts = np.split(np.arange(value.size), ends[:-1])
        before, after = (np.concatenate([np.roll(p, by) for p in parts]) for by in (1, -1))
        moved = np.ones(value.size, dtype=np.bool_)
        for _ in range(_MAX_PASSES):
            at = np.flatnonzero(moved[before] | moved[after])
            if not at.size:
                break
            both = np.stack([theta[before[at]], theta[after[at]]], axis=1)
            again, higher = self._climbed(both, at)
            gain = np.where(higher > value[at], higher - value[at], 0.0)  # both may be infinite
            better = at[gain > 0]
            theta[better], value[better] = again[gain > 0], higher[gain > 0]
            moved[:] = False
            moved[at[gain >= _MOVED]] = True
        return theta, value
