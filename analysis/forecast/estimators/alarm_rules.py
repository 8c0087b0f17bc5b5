"""Alarm rules: causal, chosen on some replicas so that false alarms stay rare, then frozen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import (
    FAILED,
    NATURAL,
    TWIN,
    Array,
    Ints,
    Mask,
    Signal,
    SignalRecords,
)
from observatory.analysis.forecast.estimators.thresholds import Thresholds

EARLY = "early"
_IN_WORDS = {"level": "", "change": " per step", "ratio": " of its value as the window opens"}


@dataclass(frozen=True)
class Design:
    """Which looks count for what; the same for every signal."""

    window: Mask  # looks at which an alarm counts, `[replica, look]`
    event: Mask  # replicas with an event that leaves room for an alarm, `[replica]`
    early: Ints  # the last look that is too early, -1 where there is none, `[replica]`
    last: Ints  # the last look that leaves the lead; of a negative, that of its record, `[replica]`
    # replicas of each kind that the rules must be silent on, `[replica]`
    negatives: Mapping[str, Mask]
    others: Mapping[str, Mask]  # likewise, kinds that are counted and choose no rule
    opened: Ints  # first look of the window, `[replica]`

    @property
    def has_early(self) -> Mask:
        """Events with a stretch that is too early for an alarm."""
        return self.event & (self.early >= self.opened)


@dataclass(frozen=True)
class Reach:
    """How far a signal goes under one transform and sign: all that a threshold needs.

    `path` holds signed values within the window, minus infinity elsewhere, `[replica, look]`;
    `early` and `last` the highest within the stretch that is too early, and until the last look
    that counts, `[replica]`.
    """

    transform: str
    sign: int
    path: Array
    early: Array
    last: Array


def transformed(signal: Signal, transform: str, opened: Ints) -> Array:
    """A signal as a rule looks at it, NaN where it is not defined, `[replica, look]`."""
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


def reaches(signal: Signal, design: Design, transforms: Sequence[str]) -> list[Reach]:
    """Every transform and sign of a signal, in the registered order."""
    found: list[Reach] = []
    for transform in transforms:
        if signal.transforms and transform not in signal.transforms:
            continue
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
class Rules:
    """Rules that were chosen on several sets of replicas: where `sign * x` reaches a threshold."""

    found: list[Reach]  # transforms and signs that they were chosen from
    which: Ints  # index in `found`, `[set]`
    threshold: Array  # in signed units; infinite: never, `[set]`

    def text(self, index: int) -> str:
        """The rule of one set in words."""
        reach, threshold = self.found[int(self.which[index])], float(self.threshold[index])
        if not np.isfinite(threshold):
            return "no alarm is rare enough"
        bound = "at least" if reach.sign > 0 else "at most"
        return f"{reach.transform} {bound} {reach.sign * threshold:.4g}{_IN_WORDS[reach.transform]}"

    def alarms(self, steps: Array) -> Array:
        """First look of the window at which each rule holds, NaN for none, `[set, replica]`."""
        pairs = zip(self.which, self.threshold, strict=True)
        fired = np.stack([self.found[int(which)].path >= level for which, level in pairs])
        return np.where(fired.any(axis=2), steps[fired.argmax(axis=2)], np.nan)

    def forecast(self, design: Design) -> Mask:
        """Events that each rule forecasts, whether it has seen them or not, `[set, replica]`."""
        last = np.stack([reach.last for reach in self.found])[self.which]
        early = np.stack([reach.early for reach in self.found])[self.which]
        level = self.threshold[:, None]
        return design.event & (last >= level) & (early < level)


def best_rules(
    found: list[Reach], design: Design, weights: NDArray[np.floating[Any]], alpha: float
) -> Rules:
    """The rules that forecast most events of some replicas at false alarms that are rare enough.

    Of each kind of negatives at most a share `alpha` may raise an alarm, and of all together so
    few that one more replica would still leave the share there. Ties go to fewer false alarms,
    then to the rule that is registered first; the threshold lies in the middle of its plateau.

    `weights` is how often each replica is in each training set, whole numbers, `[set, replica]`.
    """
    n = len(weights)
    which, top, threshold = np.zeros(n, dtype=np.int64), np.zeros(n), np.full(n, np.inf)
    for place, reach in enumerate(found):
        kinds = [(reach.last, mask) for mask in design.negatives.values()]
        thresholds = Thresholds.of(
            [(reach.last, design.event), (reach.early, design.event)],
            [*kinds, (reach.early, design.has_early)],
        )
        if thresholds is None:
            continue
        for start in range(0, n, thresholds.sets_at_once):
            rows = slice(start, start + thresholds.sets_at_once)
            score, level = thresholds.best(weights[rows], alpha, top[rows])
            better = np.isfinite(level)
            which[rows][better] = place
            threshold[rows][better], top[rows][better] = level[better], score[better]
    return Rules(found, which, threshold)


def design_of(
    records: SignalRecords, min_lead: float, max_lead_share: float, *, matched: bool
) -> Design:
    """Which looks and replicas count for what.

    Alarms lead by `min_lead` steps at least, and by `max_lead_share` of the event's time at most;
    `matched`: only negatives at controls with an event choose rules.
    """
    steps, window = records.steps, records.window()
    opened = np.where(window.any(axis=1), window.argmax(axis=1), 0)
    final = window.shape[1] - 1 - window[:, ::-1].argmax(axis=1)
    happened = records.happened
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
        for kind in (NATURAL, TWIN, FAILED)
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
