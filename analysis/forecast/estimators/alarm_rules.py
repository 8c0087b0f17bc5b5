"""Alarm rules: causal, chosen on some replicas so that false alarms stay rare, then frozen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import Signal, SignalRecords

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EARLY = "early"
IN_WORDS = {"level": "", "change": " per step", "ratio": " of its value as the window opens"}


@dataclass(frozen=True)
class Rule:
    """An alarm at the first look of the window at which `sign * x >= threshold`.

    Attributes:
        transform: What x is: the signal itself, its change, or its ratio to its opening value.
        sign: 1 where it must rise, -1 where it must fall.
        threshold: In signed units; infinite: never.
        hits: Events that it forecast in training.
        false: False alarms that it raised in training.
    """

    transform: str
    sign: int
    threshold: float
    hits: int
    false: int

    def __str__(self) -> str:
        if not np.isfinite(self.threshold):
            return "no alarm is rare enough"
        bound = "at least" if self.sign > 0 else "at most"
        what = "change" if self.transform == "change" else self.transform
        return f"{what} {bound} {self.sign * self.threshold:.4g}{IN_WORDS[self.transform]}"


@dataclass(frozen=True)
class Design:
    """Which looks count for what; the same for every signal.

    Attributes:
        window: Looks at which an alarm counts, `[replica, look]`.
        event: Replicas with an event that leaves room for an alarm, `[replica]`.
        early: The last look that is too early, -1 where there is none, `[replica]`.
        last: The last look that leaves the lead; of a negative, that of its record, `[replica]`.
        negatives: Replicas of each kind that the rules must be silent on, by kind, `[replica]`.
        others: Likewise, kinds that are counted and choose no rule.
        opened: First look of the window, `[replica]`.
    """

    window: Mask
    event: Mask
    early: NDArray[np.int64]
    last: NDArray[np.int64]
    negatives: Mapping[str, Mask]
    others: Mapping[str, Mask]
    opened: NDArray[np.int64]

    @property
    def has_early(self) -> Mask:
        """Events with a stretch that is too early for an alarm."""
        return self.event & (self.early >= self.opened)


@dataclass(frozen=True)
class Reach:
    """How far a signal goes under one transform and sign: all that a threshold needs.

    Attributes:
        path: Signed values within the window, minus infinity elsewhere, `[replica, look]`.
        early: Highest within the stretch that is too early, `[replica]`.
        last: Highest until the last look that counts, `[replica]`.
    """

    transform: str
    sign: int
    path: Array
    early: Array
    last: Array


def transformed(signal: Signal, transform: str, opened: NDArray[np.int64]) -> Array:
    """A signal as a rule looks at it, NaN where it is not defined, `[replica, look]`.

    Args:
        signal: The signal.
        transform: "level", "change" or "ratio".
        opened: First look of each window; its value is what ratios are to.
    """
    if transform == "change":
        return signal.change
    if transform == "level":
        return signal.value
    base = np.take_along_axis(signal.value, opened[:, None], axis=1)
    return np.divide(
        signal.value,
        base,
        out=np.full_like(signal.value, np.nan),
        where=np.isfinite(base) & (base > 0),
    )


def reaches(signal: Signal, design: Design, transforms: tuple[str, ...]) -> list[Reach]:
    """Every transform and sign of a signal, in the registered order."""
    found: list[Reach] = []
    allowed = [name for name in transforms if not signal.transforms or name in signal.transforms]
    for transform in allowed:
        x = transformed(signal, transform, design.opened)
        for sign in (1, -1):
            path = np.where(design.window & np.isfinite(x), sign * x, -np.inf)
            highest = np.maximum.accumulate(path, axis=1)
            early = np.take_along_axis(highest, np.maximum(design.early, 0)[:, None], axis=1)[:, 0]
            last = np.take_along_axis(highest, design.last[:, None], axis=1)[:, 0]
            early = np.where(design.early >= 0, early, -np.inf)
            found.append(Reach(transform, sign, path, early, last))
    return found


@dataclass(frozen=True)
class Chosen:
    """Rules that were chosen on several sets of replicas, one per set.

    Attributes:
        found: Transforms and signs that they were chosen from.
        which: Index in `found`, `[set]`.
        threshold: In signed units; infinite: never, `[set]`.
        hits: Events forecast in training, `[set]`.
        false: False alarms in training, `[set]`.
    """

    found: list[Reach]
    which: NDArray[np.int64]
    threshold: Array
    hits: Array
    false: Array

    def rule(self, index: int) -> Rule:
        """The rule of one set."""
        reach = self.found[int(self.which[index])]
        numbers = float(self.threshold[index]), int(self.hits[index]), int(self.false[index])
        return Rule(reach.transform, reach.sign, *numbers)

    def forecast(self, design: Design) -> Mask:
        """Events that each rule forecasts, whether it has seen them or not, `[set, replica]`."""
        last = np.stack([reach.last for reach in self.found])[self.which]
        early = np.stack([reach.early for reach in self.found])[self.which]
        level = self.threshold[:, None]
        return design.event & (last >= level) & (early < level)


def best_rules(found: list[Reach], design: Design, weights: Array, alpha: float) -> Chosen:
    """The rules that forecast most events of some replicas at false alarms that are rare enough.

    Of each kind of negatives at most a share `alpha` may raise an alarm, and of all together so
    few that one more replica would still leave the share there. Ties go to fewer false alarms,
    then to the rule that is registered first; the threshold lies in the middle of its plateau.

    Args:
        found: Transforms and signs, in the registered order.
        design: Which looks count.
        weights: How often each replica is in each training set, `[set, replica]`.
        alpha: Largest rate of false alarms.
    """
    n = len(weights)
    which, top = np.zeros(n, dtype=np.int64), np.zeros(n)
    threshold, hits, false = np.full(n, np.inf), np.zeros(n), np.zeros(n)
    for place, reach in enumerate(found):
        tally = _tally(reach, design, weights, alpha)
        if tally is None:
            continue
        score = tally.score.max(axis=1)
        for row in np.flatnonzero(score > top + 1e-12):
            known = np.flatnonzero(tally.known[row])
            plateau = np.flatnonzero(tally.score[row, known] >= score[row] - 1e-12)
            middle = int(plateau[plateau.size // 2])
            level = tally.levels[known[middle]]
            if middle > 0:
                below = tally.levels[known[middle - 1]]
                between = (level + below) / 2.0
                level = between if below < between <= level else level
            which[row], threshold[row], top[row] = place, level, score[row]
            hits[row] = tally.hits[row, known[middle]]
            false[row] = tally.false[row, known[middle]]
    return Chosen(found, which, threshold, hits, false)


@dataclass(frozen=True)
class _Tally:
    """Counts at every threshold, `[set, level]` each; `levels` rise, `known` are of the set."""

    levels: Array
    known: Mask
    hits: Array
    false: Array
    score: Array


def _tally(reach: Reach, design: Design, weights: Array, alpha: float) -> _Tally | None:
    event = np.flatnonzero(design.event)
    kinds = [(reach.last, np.flatnonzero(mask)) for mask in design.negatives.values()]
    kinds.append((reach.early, np.flatnonzero(design.has_early)))
    kinds = [(values[rows], rows) for values, rows in kinds if rows.size]
    parts = [(reach.last[event], event), (reach.early[event], event), *kinds]
    values = np.concatenate([part for part, _ in parts])
    levels = np.unique(values[np.isfinite(values)])
    if not levels.size or not kinds:
        return None
    everyone = _reached(values, weights[:, np.concatenate([rows for _, rows in parts])], levels)
    known = -np.diff(everyone, axis=1, append=0.0) > 0
    hits = _reached(*_of(parts[0], weights), levels) - _reached(*_of(parts[1], weights), levels)
    each = [
        (_reached(*_of(kind, weights), levels), weights[:, kind[1]].sum(axis=1)) for kind in kinds
    ]
    false = np.sum([count for count, _ in each], axis=0)
    total = np.sum([size for _, size in each], axis=0)[:, None]
    allowed = known & (false + 1.0 <= alpha * (total + 1.0) + 1e-9)
    for count, size in each:
        allowed &= count <= alpha * size[:, None] + 1e-9
    score = np.where(allowed & (hits > 0), hits - false / (total + 1.0), 0.0)
    return _Tally(levels, known, hits, false, score)


def _of(part: tuple[Array, NDArray[np.int64]], weights: Array) -> tuple[Array, Array]:
    return part[0], weights[:, part[1]]


def _reached(values: Array, weights: Array, levels: Array) -> Array:
    """Weight of the values that reach each level, `[set, level]`."""
    order = np.argsort(values, kind="stable")
    above = np.cumsum(weights[:, order[::-1]], axis=1)[:, ::-1]
    above = np.concatenate([above, np.zeros((len(weights), 1))], axis=1)
    return above[:, np.searchsorted(values[order], levels, side="left")]


def alarms(found: list[Reach], rule: Rule, steps: Array) -> Array:
    """Step of each replica's alarm, NaN where there is none, `[replica]`."""
    reach = next(r for r in found if (r.transform, r.sign) == (rule.transform, rule.sign))
    fired = reach.path >= rule.threshold
    return np.where(fired.any(axis=1), steps[fired.argmax(axis=1)], np.nan)


def design_of(
    records: SignalRecords, min_lead: float, max_lead_share: float, *, matched: bool
) -> Design:
    """Which looks and replicas count for what.

    Args:
        records: The replicas.
        min_lead: Least steps from an alarm to the last look before the event.
        max_lead_share: Largest lead, as a share of the time of that look.
        matched: Whether only negatives at controls with an event choose rules.
    """
    steps, window = records.steps, records.window()
    opened = np.where(window.any(axis=1), window.argmax(axis=1), 0)
    final = window.shape[1] - 1 - window[:, ::-1].argmax(axis=1)
    happened = records.kind == "event"
    t_lo = np.where(happened, records.t_lo, np.inf)
    last = np.searchsorted(steps, t_lo - min_lead, side="right") - 1
    first = np.where(happened, records.t_lo * (1.0 - max_lead_share), -np.inf)
    early = np.searchsorted(steps, first, side="left") - 1
    room = last >= np.maximum(opened, early + 1)
    event = happened & window.any(axis=1) & room
    with_event = np.isin(records.control, np.unique(records.control[event]))
    open_negative = ~happened & window.any(axis=1)
    held = open_negative & (with_event if matched else np.ones_like(with_event))
    negatives = {
        kind: held & (records.kind == kind)
        for kind in ("natural", "twin", "failed")
        if (held & (records.kind == kind)).any()
    }
    apart = open_negative & ~held
    return Design(
        window=window,
        event=event,
        early=np.where(event, early, -1).astype(np.int64),
        last=np.where(event, np.maximum(last, 0), final).astype(np.int64),
        negatives=negatives,
        others={"unmatched": apart} if apart.any() else {},
        opened=opened.astype(np.int64),
    )
