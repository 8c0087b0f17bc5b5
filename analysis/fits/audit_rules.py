"""Alarm rules: causal, chosen on some replicas so that false alarms stay rare, then frozen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.audit_records import AuditRecords, Signal

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EARLY = "early"
SAID = {"level": "", "change": " per step", "ratio": " of its value as the window opens"}


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
        way = "at least" if self.sign > 0 else "at most"
        what = "change" if self.transform == "change" else self.transform
        return f"{what} {way} {self.sign * self.threshold:.4g}{SAID[self.transform]}"


@dataclass(frozen=True)
class Design:
    """Which looks count for what; the same for every signal.

    Attributes:
        window: Looks at which an alarm counts, `[replica, look]`.
        event: Replicas with an event that leaves room for an alarm, `[replica]`.
        early: The last look that is too early, -1 where there is none, `[replica]`.
        last: The last look that leaves the lead; of a negative, that of its record, `[replica]`.
        negatives: Replicas of each kind that the rules must be silent on, by kind, `[replica]`.
        others: Likewise, kinds that are told and not held.
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


def at_least(values: Array, thresholds: Array) -> NDArray[np.int64]:
    """How many values reach each threshold, `[threshold]`."""
    return values.size - np.searchsorted(np.sort(values), thresholds, side="left")


def best_rule(found: list[Reach], design: Design, rows: Mask, alpha: float) -> Rule:
    """The rule that forecasts most events of some replicas at false alarms that are rare enough.

    Of each kind of negatives at most a share `alpha` may raise an alarm, and of all together so
    few that one more replica would still leave the share there. Ties go to fewer false alarms,
    then to the rule that is registered first; the threshold lies in the middle of its plateau.

    Args:
        found: Transforms and signs, in the registered order.
        design: Which looks count.
        rows: The training replicas, `[replica]`.
        alpha: Largest rate of false alarms.
    """
    events = rows & design.event
    best = Rule(found[0].transform, found[0].sign, np.inf, 0, 0)
    for reach in found:
        kinds = [reach.last[rows & mask] for mask in design.negatives.values()]
        kinds.append(reach.early[rows & design.has_early])
        kinds = [kind for kind in kinds if kind.size]
        levels = np.concatenate([reach.last[events], reach.early[events], *kinds])
        levels = np.unique(levels[np.isfinite(levels)])
        if not levels.size or not kinds:
            continue
        hits = at_least(reach.last[events], levels) - at_least(reach.early[events], levels)
        false = np.array([at_least(kind, levels) for kind in kinds])
        sizes = np.array([kind.size for kind in kinds])
        allowed = (false <= alpha * sizes[:, None] + 1e-9).all(axis=0)
        allowed &= false.sum(axis=0) + 1 <= alpha * (sizes.sum() + 1) + 1e-9
        score = np.where(allowed & (hits > 0), hits - false.sum(axis=0) / (sizes.sum() + 1.0), 0.0)
        top = float(score.max())
        if top <= best.hits - best.false / (sizes.sum() + 1.0) + 1e-12:
            continue
        plateau = np.flatnonzero(score >= top - 1e-12)
        index = int(plateau[plateau.size // 2])
        level = float(levels[index])
        if index > 0 and level > (middle := (level + float(levels[index - 1])) / 2.0):
            level = middle if middle > levels[index - 1] else level
        best = Rule(
            reach.transform, reach.sign, level, int(hits[index]), int(false[:, index].sum())
        )
    return best


def alarms(found: list[Reach], rule: Rule, steps: Array) -> Array:
    """Step of each replica's alarm, NaN where there is none, `[replica]`."""
    reach = next(r for r in found if (r.transform, r.sign) == (rule.transform, rule.sign))
    fired = reach.path >= rule.threshold
    return np.where(fired.any(axis=1), steps[fired.argmax(axis=1)], np.nan)


def design_of(
    records: AuditRecords, min_lead: float, max_lead_share: float, *, matched: bool
) -> Design:
    """Which looks and replicas count for what.

    Args:
        records: The replicas.
        min_lead: Least steps from an alarm to the last look before the event.
        max_lead_share: Largest lead, as a share of the time of that look.
        matched: Whether only negatives of cells with an event are held.
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
    with_event = np.isin(records.cell, np.unique(records.cell[event]))
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
