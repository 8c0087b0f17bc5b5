"""What is told of one audited signal: false alarms, leads, and its alarms against its events."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.alarm_rules import EARLY, Design, Rule
from observatory.analysis.forecast.estimators.event_times import EventTimes
from observatory.analysis.forecast.estimators.lead_time import LeadTimes, lead_times
from observatory.analysis.forecast.estimators.records import AuditRecords
from observatory.analysis.forecast.estimators.scores import by_seed, share_interval

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = dict[str, float | None]

FEWEST_ONSETS = 5
"""Alarms that a regression on events needs."""


@dataclass(frozen=True)
class Scored:
    """One signal on seeds that its rules have not seen.

    Attributes:
        rule: The rule of all seeds, to be used from now on.
        alarm: Step of the held-out alarm, NaN where there is none, `[replica]`.
        hit: Events that were forecast, `[replica]`.
        good: Concordant pairs of each event, `[replica]`.
        pairs: All pairs, likewise.
        times: Forecasts of the event's time; None where there are too few.
        redrawn: Share of the events of the seeds that each resample lacks, forecast by the rule
            that the resample chose, NaN where it lacks none, `[draw]`.
    """

    rule: Rule
    alarm: Array
    hit: Mask
    good: Array
    pairs: Array
    times: EventTimes | None
    redrawn: Array


def hits(alarm: Array, records: AuditRecords, design: Design) -> Mask:
    """Events that an alarm forecast: neither too early nor too late, `[replica]`."""
    at = np.searchsorted(records.steps, np.where(np.isfinite(alarm), alarm, np.inf), side="left")
    return design.event & np.isfinite(alarm) & (at > design.early) & (at <= design.last)


def false_alarms(
    records: AuditRecords, design: Design, alarm: Array, max_lead_share: float, level: float
) -> Numbers:
    """Held-out alarms on each kind of negatives, with their limits.

    Args:
        records: The replicas.
        design: Which of them are negatives.
        alarm: Steps of held-out alarms, `[replica]`.
        max_lead_share: Largest lead, as a share of the event's time.
        level: Coverage.
    """
    row: Numbers = {}
    fired = np.isfinite(alarm)
    too_soon = fired & (alarm < records.t_lo * (1.0 - max_lead_share))
    kinds = [(k, m, fired) for k, m in {**design.negatives, **design.others}.items()]
    for kind, mask, false in [*kinds, (EARLY, design.has_early, too_soon)]:
        seeds = np.unique(records.seed[mask])
        n, k = (
            by_seed(np.ones(int(mask.sum())), records.seed[mask], seeds),
            by_seed(false[mask], records.seed[mask], seeds),
        )
        row[f"false_{kind}"], row[f"n_{kind}"] = float(k.sum()), float(n.sum())
        row[f"false_{kind}_low"], row[f"false_{kind}_high"] = share_interval(k, n, level)
    return row


def leads(records: AuditRecords, alarm: Array, hit: Mask, margin: float) -> Numbers:
    """Leads of the alarms that forecast, and how many of them came with the event under way.

    Args:
        records: The replicas.
        alarm: Steps of held-out alarms, `[replica]`.
        hit: Events that they forecast, `[replica]`.
        margin: Val accuracy above chance, and above its opening value, of a nowcast.
    """
    lead = records.t_lo[hit] - alarm[hit]
    row: Numbers = {
        "lead": float(np.median(lead)) if lead.size else None,
        "lead_share": float(np.median(lead / records.t_lo[hit])) if lead.size else None,
        "nowcast": None,
    }
    if records.val_acc is None or not lead.size:
        return row
    opened = np.searchsorted(records.steps, records.opened[hit], side="left")
    at = np.searchsorted(records.steps, alarm[hit], side="left")
    acc = records.val_acc[hit]
    rows = np.arange(lead.size)
    base = np.nan_to_num(acc[rows, opened], nan=0.0)
    if records.chance is not None:
        base = np.maximum(base, records.chance)
    row["nowcast"] = float(np.mean(acc[rows, at] > base + margin))
    return row


def onsets(
    onset: Array, event: Array, floor: float, n_permutations: int, rng: np.random.Generator
) -> Numbers:
    """Alarms regressed on events, beside what leads regressed on events always show.

    Args:
        onset: Steps of alarms that forecast, `[event]`.
        event: Steps of their events, `[event]`.
        floor: Least lead of a permuted onset, as a share of the event's step.
        n_permutations: Of onsets.
        rng: For the draws.
    """
    names = [name for name in LeadTimes.__dataclass_fields__ if name != "n"]
    if onset.size < FEWEST_ONSETS or np.ptp(event) == 0 or np.any(onset <= 0):
        return {f"onset_{name}": None for name in names}
    found = lead_times(onset, event, floor, n_permutations, rng)
    return {f"onset_{name}": getattr(found, name) for name in names}


def told_times(times: EventTimes | None) -> Numbers:
    """Forecasts of the event's time as numbers; None where there are none."""
    names = list(EventTimes.__dataclass_fields__)
    return {f"time_{name}": None if times is None else getattr(times, name) for name in names}
