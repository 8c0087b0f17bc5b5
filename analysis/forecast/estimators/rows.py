"""What the table says of one signal: shares, false alarms, leads, and differences to baselines."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import EARLY, Design
from observatory.analysis.forecast.estimators.event_times import TIMES
from observatory.analysis.forecast.estimators.lead_time import LEADS, regress_leads
from observatory.analysis.forecast.estimators.records import (
    CLOCK,
    Array,
    ForecastSettings,
    Mask,
    Numbers,
    SignalRecords,
)
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

_FEWEST_ONSETS = 5
"""Alarms that a regression on events needs."""


@dataclass(frozen=True)
class Compared:
    """All signals beside each other, and where flips and permutations come from."""

    records: SignalRecords
    design: Design
    sets: SeedSets
    scored: Mapping[str, Scored]
    settings: ForecastSettings
    rng: np.random.Generator

    def seed_sums(self, values: Array | Mask) -> Array:
        """Sums over the replicas of each seed with an event, `[seed]`."""
        return by_seed(values, self.records.seed, self.sets.seeds)


def row_of(all_of: Compared, name: str) -> tuple[Parameter, Numbers]:
    """The share of events that a signal forecast on held-out seeds, and its row."""
    mine, level = all_of.scored[name], all_of.settings.level
    sizes, own = all_of.seed_sums(all_of.design.event), all_of.seed_sums(mine.hit)
    limits = wider(share_interval(own, sizes, level), mine.redrawn, level)
    share = Parameter(float(own.sum() / sizes.sum()), None, *limits)
    row: Numbers = {"events": float(sizes.sum()), "hits": float(own.sum())}
    row |= _false_alarms(all_of, mine.alarm)
    row |= _leads(all_of.records, mine, all_of.settings.nowcast_margin)
    row |= _order_within(all_of, mine)
    row |= _against_baselines(all_of, name, sizes)
    row |= {f"time_{n}": None if mine.times is None else mine.times[n] for n in TIMES}
    return share, row | _onsets(all_of, mine)


def _false_alarms(all_of: Compared, alarm: Array) -> Numbers:
    """Held-out alarms on each kind of negatives, with their limits."""
    records, design, settings = all_of.records, all_of.design, all_of.settings
    row: Numbers = {}
    fired = np.isfinite(alarm)
    too_soon = fired & (alarm < records.t_lo * (1.0 - settings.max_lead_share))
    kinds = [(k, m, fired) for k, m in {**design.negatives, **design.others}.items()]
    for kind, mask, false in [*kinds, (EARLY, design.has_early, too_soon)]:
        seed, seeds = records.seed[mask], np.unique(records.seed[mask])
        n, k = (by_seed(values[mask], seed, seeds) for values in (np.ones(records.n), false))
        row[f"false_{kind}"], row[f"n_{kind}"] = float(k.sum()), float(n.sum())
        limits = share_interval(k, n, settings.level)
        row[f"false_{kind}_low"], row[f"false_{kind}_high"] = limits
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
        limits = ratio_interval(good, pairs, all_of.sets.drawn, all_of.settings.level)
        row["within"] = float(good.sum() / pairs.sum())
        row["within_low"], row["within_high"] = limits
        lean = good - 0.5 * pairs
        flips = all_of.settings.n_flips
        row["within_p"] = sign_flip_p(lean, flips, all_of.rng) if lean.any() else 1.0
    return row


def _against_baselines(all_of: Compared, name: str, sizes: Array) -> Numbers:
    """Difference, limits and p-values against the clock and the best other baseline.

    `every_p` is the largest p-value against any baseline that forecast fewer, 1 where one did not.
    """
    scored, flips = all_of.scored, (all_of.settings.n_flips, all_of.rng)
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
        limits = difference_interval(own[name], rival, sizes, draws, all_of.settings.level)
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


def _onsets(all_of: Compared, scored: Scored) -> Numbers:
    """Alarms regressed on events, beside what leads regressed on events always show."""
    onset, event = scored.alarm[scored.hit], all_of.records.t_hi[scored.hit]
    if onset.size < _FEWEST_ONSETS or np.ptp(event) == 0 or np.any(onset <= 0):
        return {f"onset_{name}": None for name in LEADS[1:]}
    settings = all_of.settings
    found = regress_leads(onset, event, settings.lead_floor, settings.n_permutations, all_of.rng)
    return {f"onset_{name}": found[name] for name in LEADS[1:]}
