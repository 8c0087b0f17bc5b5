"""Every threshold of an alarm rule, scored on many sets of replicas at once.

Counts of replicas are whole numbers below 2^24, which float32 holds exactly: half the memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import Array, Ints, Mask

_Counts = NDArray[np.float32]
_PAIRS = 100_000
"""Pairs of a set and a threshold that are worked on at once: their arrays fit a core's cache."""


@dataclass(frozen=True)
class _Part:
    """Some of the replicas, in falling order of what they reach."""

    replicas: Ints  # their numbers, `[part]`
    n_reaching: Ints  # how many of them reach each threshold, `[level]`

    def counted(self, weights: _Counts) -> tuple[_Counts, _Counts]:
        """Replicas at or above each threshold, `[set, level]`, and all of them, `[set, 1]`."""
        sums = np.zeros((len(weights), self.replicas.size + 1), dtype=np.float32)
        np.cumsum(np.take(weights, self.replicas, axis=1), axis=1, out=sums[:, 1:])
        return np.take(sums, self.n_reaching, axis=1), sums[:, -1:]


def _part_of(values: Array, mask: Mask, levels: Array) -> _Part:
    members = np.flatnonzero(mask)
    order = np.argsort(values[members], kind="stable")
    below = np.searchsorted(values[members][order], levels, side="left")
    return _Part(members[order[::-1]], members.size - below)


def _whole(limit: Array) -> _Counts:
    """The largest whole number up to a limit, which may itself be a rounded whole number."""
    return np.floor(limit + 1e-9).astype(np.float32)


@dataclass(frozen=True)
class Thresholds:
    """The thresholds of one transform and sign of a signal."""

    levels: Array  # what some replica reaches, rising, `[level]`
    events: Sequence[_Part]  # the events: those in time or too early, and those too early
    kinds: Sequence[_Part]  # replicas of each kind of false alarms

    @classmethod
    def of(
        cls, events: Sequence[tuple[Array, Mask]], kinds: Sequence[tuple[Array, Mask]]
    ) -> "Thresholds | None":
        """From what replicas reach, `[replica]`, and which count; None where there is nothing."""
        kinds = [(values, mask) for values, mask in kinds if mask.any()]
        reached = np.concatenate([values[mask] for values, mask in (*events, *kinds)])
        levels = np.unique(reached[np.isfinite(reached)])
        if not levels.size or not kinds:
            return None
        first, second = (
            [_part_of(values, mask, levels) for values, mask in parts] for parts in (events, kinds)
        )
        return cls(levels, first, second)

    @property
    def sets_at_once(self) -> int:
        """Sets of replicas that `best` should be given at once."""
        return max(1, _PAIRS // self.levels.size)

    def best(
        self, weights: NDArray[np.floating[Any]], alpha: float, above: Array
    ) -> tuple[Array, Array]:
        """The best score of each set, and the middle of the thresholds that have it, `[set]`.

        A score is the events that are forecast, less the share of false alarms among those that
        could be; 0 where none is rare enough.

        Args:
            weights: How often each replica is in each set, whole numbers, `[set, replica]`.
            alpha: Largest share of false alarms of each kind, and of all kinds and one more.
            above: Scores that must be exceeded, else the threshold is infinite, `[set]`.
        """
        each = weights.astype(np.float32)
        (late, _), (early, _) = (part.counted(each) for part in self.events)
        counted = [part.counted(each) for part in self.kinds]
        false, total = (np.sum(parts, axis=0) for parts in zip(*counted, strict=True))
        everyone = late + early + false
        known = everyone > 0  # thresholds that a replica of the set reaches and does not pass
        known[:, :-1] = everyone[:, :-1] > everyone[:, 1:]
        candidates = total.astype(np.float64) + 1.0
        allowed = known & (false <= _whole(alpha * candidates) - 1)
        for count, size in counted:
            allowed &= count <= _whole(alpha * size.astype(np.float64))
        hits = late - early
        most = np.where(allowed, hits, np.float32(0)).max(axis=1)
        allowed &= hits == most[:, None]
        fewest = np.where(allowed, false, np.float32(np.inf)).min(axis=1)
        allowed &= false == fewest[:, None]
        score = np.where(most > 0, most - fewest / candidates[:, 0], 0.0)
        level = np.full(len(weights), np.inf)
        for row in np.flatnonzero(score > above + 1e-12):
            level[row] = self._middle(known[row], np.flatnonzero(allowed[row]))
        return score, level

    def _middle(self, known: Mask, plateau: Ints) -> float:
        """Half way from the middle threshold of a plateau to the one below it that is known."""
        middle = int(plateau[plateau.size // 2])
        level, under = float(self.levels[middle]), np.flatnonzero(known[:middle])
        if not under.size:
            return level
        below = float(self.levels[under[-1]])
        between = (level + below) / 2.0
        return between if below < between <= level else level
