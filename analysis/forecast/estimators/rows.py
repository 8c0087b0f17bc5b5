"""What the table says of one signal: shares, false alarms, leads, and differences to baselines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.alarm_rules import EARLY, Design
from observatory.analysis.forecast.estimators.event_times import EventTimes
from observatory.analysis.forecast.estimators.lead_time import LeadRegressions, regress_leads
from observatory.analysis.forecast.estimators.records import CLOCK, SignalRecords
from observatory.analysis.forecast.estimators.scored import Scored, SeedSets
from observatory.analysis.forecast.estimators.scores import (
    by_seed,
    difference_interval,
    difference_p,
    ratio_interval,
    share_interval,
    wider,
)
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.paired_tests import sign_flip_p

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Numbers = dict[str, float | None]

FEWEST_ONSETS = 5
"""Alarms that a regression on events needs."""


@dataclass(frozen=True)
class Compared:
    """All signals beside each other.

    Attributes:
        records: The replicas.
        design: Which of them are events, which negatives.
        sets: Seeds with an event, and resamples of them.
        scored: The signals by name.
        level: Coverage.
        n_flips: Of signs.
        rng: For flips and permutations.
    """

    records: SignalRecords
    design: Design
    sets: SeedSets
    scored: Mapping[str, Scored]
    level: float
    n_flips: int
    rng: np.random.Generator

    def seed_sums(self, values: Array | Mask) -> Array:
        """Sums over the replicas of each seed with an event, `[seed]`."""
        return by_seed(values, self.records.seed, self.sets.seeds)


def row_of(
    all_of: Compared,
    name: str,
    max_lead_share: float,
    nowcast_margin: float,
    lead_floor: float,
    n_permutations: int,
) -> tuple[Parameter, Numbers]:
    """The share of events that a signal forecast on held-out seeds, and its row.

    Args:
        all_of: The signals.
        name: Of the signal.
        max_lead_share: Largest lead, as a share of the event's time.
        nowcast_margin: Val accuracy above chance, and above its opening value, of a nowcast.
        lead_floor: Least lead of a permuted onset, as a share of the event's step.
        n_permutations: Of onsets.
    """
    records, mine = all_of.records, all_of.scored[name]
    sizes, own = all_of.seed_sums(all_of.design.event), all_of.seed_sums(mine.hit)
    limits = share_interval(own, sizes, all_of.level)
    share = Parameter(
        float(own.sum() / sizes.sum()), None, *wider(limits, mine.redrawn, all_of.level)
    )
    row: Numbers = {"events": float(sizes.sum()), "hits": float(own.sum())}
    row |= _false_alarms(records, all_of.design, mine.alarm, max_lead_share, all_of.level)
    row |= _leads(records, mine, nowcast_margin)
    row |= _order_within(all_of, mine)
    row |= _against_baselines(all_of, name, sizes)
    row |= _times(mine.times)
    onset, event = mine.alarm[mine.hit], records.t_hi[mine.hit]
    return share, row | _onsets(onset, event, lead_floor, n_permutations, all_of.rng)


def _false_alarms(
    records: SignalRecords, design: Design, alarm: Array, max_lead_share: float, level: float
) -> Numbers:
    """Held-out alarms on each kind of negatives, with their limits."""
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


def _leads(records: SignalRecords, scored: Scored, margin: float) -> Numbers:
    """Leads of the alarms that forecast, and how many of them came with the event under way."""
    alarm, hit = scored.alarm, scored.hit
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


def _order_within(all_of: Compared, scored: Scored) -> Numbers:
    """Concordance among replicas of one value of the control, 0.5 for none."""
    good, pairs = all_of.seed_sums(scored.good), all_of.seed_sums(scored.pairs)
    row: Numbers = dict.fromkeys(("within", "within_low", "within_high", "within_p"))
    row["pairs"] = float(pairs.sum())
    if row["pairs"]:
        limits = ratio_interval(good, pairs, all_of.sets.drawn, all_of.level)
        row["within"] = float(good.sum() / pairs.sum())
        row["within_low"], row["within_high"] = limits
        lean = good - 0.5 * pairs
        row["within_p"] = sign_flip_p(lean, all_of.n_flips, all_of.rng) if lean.any() else 1.0
    return row


def _against_baselines(all_of: Compared, name: str, sizes: Array) -> Numbers:
    """Difference, limits and p-values against the clock and the best other baseline.

    `every_p` is the largest p-value against any baseline that forecast fewer, 1 where one did not.
    """
    scored, flips = all_of.scored, (all_of.n_flips, all_of.rng)
    own = {other: all_of.seed_sums(one.hit) for other, one in scored.items()}
    baselines = [b for b in all_of.records.baselines if b in scored and b != name]
    rivals = {CLOCK: CLOCK} if name != CLOCK else {}
    if rest := [b for b in baselines if b != CLOCK]:
        rivals["best"] = max(rest, key=lambda b: own[b].sum())
    row: Numbers = {}
    for label in (CLOCK, "best"):
        row |= {f"{label}_{k}": None for k in ("difference", "low", "high", "p", "flips_p")}
        if label not in rivals:
            continue
        rival = own[rivals[label]]
        gap, draws = own[name] - rival, scored[name].redrawn - scored[rivals[label]].redrawn
        limits = difference_interval(own[name], rival, sizes, draws, all_of.level)
        row[f"{label}_difference"] = float(gap.sum() / sizes.sum())
        row[f"{label}_low"], row[f"{label}_high"] = limits
        row[f"{label}_p"], row[f"{label}_flips_p"] = difference_p(gap, draws, *flips)
    tests = [
        difference_p(gap, scored[name].redrawn - scored[b].redrawn, *flips)[0]
        if (gap := own[name] - own[b]).sum() > 0
        else 1.0
        for b in baselines
    ]
    return row | {"every_p": max(tests, default=None)}


def _onsets(
    onset: Array, event: Array, floor: float, n_permutations: int, rng: np.random.Generator
) -> Numbers:
    """Alarms regressed on events, beside what leads regressed on events always show."""
    names = [name for name in LeadRegressions.__dataclass_fields__ if name != "n"]
    if onset.size < FEWEST_ONSETS or np.ptp(event) == 0 or np.any(onset <= 0):
        return {f"onset_{name}": None for name in names}
    found = regress_leads(onset, event, floor, n_permutations, rng)
    return {f"onset_{name}": getattr(found, name) for name in names}


def _times(found: EventTimes | None) -> Numbers:
    """Forecasts of the event's time as numbers; None where there are none."""
    names = list(EventTimes.__dataclass_fields__)
    return {f"time_{name}": None if found is None else getattr(found, name) for name in names}
