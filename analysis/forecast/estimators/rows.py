"""What the table says of one signal: shares, false alarms, leads, and differences to baselines."""

from collections.abc import Mapping, Sequence

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


def share_forecast(
    records: SignalRecords, design: Design, scored: Scored, seeds: NDArray[np.int64], level: float
) -> tuple[Parameter, Numbers]:
    """The share of events that a signal forecast on held-out seeds, with its counts.

    Args:
        records: The replicas.
        design: Which of them are events.
        scored: The signal.
        seeds: Those with an event.
        level: Coverage.
    """
    sizes = by_seed(design.event, records.seed, seeds)
    own = by_seed(scored.hit, records.seed, seeds)
    low, high = wider(share_interval(own, sizes, level), scored.redrawn, level)
    n, hit = float(sizes.sum()), float(own.sum())
    return Parameter(hit / n, None, low, high), {"events": n, "hits": hit}


def false_alarms(
    records: SignalRecords, design: Design, alarm: Array, max_lead_share: float, level: float
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


def leads(records: SignalRecords, alarm: Array, hit: Mask, margin: float) -> Numbers:
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


def order_within(
    records: SignalRecords,
    scored: Scored,
    sets: SeedSets,
    level: float,
    n_flips: int,
    rng: np.random.Generator,
) -> Numbers:
    """Concordance among replicas of one value of the control, 0.5 for none.

    Args:
        records: The replicas.
        scored: The signal.
        sets: Seeds with an event, and resamples of them.
        level: Coverage.
        n_flips: Of signs.
        rng: For the flips.
    """
    good, pairs = (by_seed(x, records.seed, sets.seeds) for x in (scored.good, scored.pairs))
    row: Numbers = dict.fromkeys(("within", "within_low", "within_high", "within_p"))
    row["pairs"] = float(pairs.sum())
    if row["pairs"]:
        limits = ratio_interval(good, pairs, sets.drawn, level)
        row["within"] = float(good.sum() / pairs.sum())
        row["within_low"], row["within_high"] = limits
        lean = good - 0.5 * pairs
        row["within_p"] = sign_flip_p(lean, n_flips, rng) if lean.any() else 1.0
    return row


def against_baselines(
    records: SignalRecords,
    design: Design,
    scored: Mapping[str, Scored],
    name: str,
    seeds: NDArray[np.int64],
    level: float,
    n_flips: int,
    rng: np.random.Generator,
) -> Numbers:
    """Events that a signal forecast beside those of the clock, and of the other baselines.

    Args:
        records: The replicas.
        design: Which of them are events.
        scored: All signals by name.
        name: Of the signal.
        seeds: Those with an event.
        level: Coverage.
        n_flips: Of signs.
        rng: For the flips.

    Returns:
        Difference, limits and p-values against the clock and the best other baseline; `every_p`,
        the largest p-value against any baseline that forecast fewer, 1 where one did not.
    """
    sizes = by_seed(design.event, records.seed, seeds)
    own = {other: by_seed(one.hit, records.seed, seeds) for other, one in scored.items()}
    baselines = [b for b in records.baselines if b in scored and b != name]
    rivals = {CLOCK: CLOCK} if name != CLOCK else {}
    if rest := [b for b in baselines if b != CLOCK]:
        rivals["best"] = max(rest, key=lambda b: own[b].sum())
    row: Numbers = {}
    for label in (CLOCK, "best"):
        row |= {f"{label}_{k}": None for k in ("difference", "low", "high", "p", "flips_p")}
        if label not in rivals:
            continue
        gap = own[name] - own[rivals[label]]
        draws = scored[name].redrawn - scored[rivals[label]].redrawn
        limits = difference_interval(own[name], own[rivals[label]], sizes, draws, level)
        row[f"{label}_difference"] = float(gap.sum() / sizes.sum())
        row[f"{label}_low"], row[f"{label}_high"] = limits
        found = difference_p(gap, draws, n_flips, rng)
        row[f"{label}_p"], row[f"{label}_flips_p"] = found
    tests = [
        difference_p(gap, scored[name].redrawn - scored[b].redrawn, n_flips, rng)[0]
        if (gap := own[name] - own[b]).sum() > 0
        else 1.0
        for b in baselines
    ]
    return row | {"every_p": max(tests, default=None)}


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
    names = [name for name in LeadRegressions.__dataclass_fields__ if name != "n"]
    if onset.size < FEWEST_ONSETS or np.ptp(event) == 0 or np.any(onset <= 0):
        return {f"onset_{name}": None for name in names}
    found = regress_leads(onset, event, floor, n_permutations, rng)
    return {f"onset_{name}": getattr(found, name) for name in names}


def times(found: EventTimes | None) -> Numbers:
    """Forecasts of the event's time as numbers; None where there are none."""
    names: Sequence[str] = list(EventTimes.__dataclass_fields__)
    return {f"time_{name}": None if found is None else getattr(found, name) for name in names}
