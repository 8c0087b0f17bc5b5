"""One signal on seeds that its rules have not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.alarm_rules import (
    Design,
    Reach,
    best_rules,
    reaches,
    transformed,
)
from observatory.analysis.forecast.estimators.concordance import (
    AtRisk,
    at_risk,
    concordance_by_fold,
    held_out_concordance,
)
from observatory.analysis.forecast.estimators.event_times import event_times, splits
from observatory.analysis.forecast.estimators.records import (
    Array,
    ForecastSettings,
    Ints,
    Mask,
    Numbers,
    SignalRecords,
)
from observatory.analysis.stats.resample import replica_weights


@dataclass(frozen=True)
class SeedSets:
    """Which seeds judge which rules, and which are drawn again.

    `seeds` are those with an event, rising, `[seed]`; `fold` is of each replica; `drawn` is how
    often each seed is in each resample, `[draw, seed]`, `copies` its replicas, `[draw, replica]`;
    `risk` is whom the replicas with an event are set beside.
    """

    seeds: Ints
    fold: Ints
    drawn: Ints
    copies: NDArray[np.float32]
    risk: Sequence[AtRisk]


@dataclass(frozen=True)
class Scored:
    """One signal on seeds that its rules have not seen.

    The rule of all seeds in words; step of the held-out alarm, NaN where there is none, whether it
    forecast the event, concordant and all pairs of the event, `[replica]` each; forecasts of the
    event's time; the share of the events of the seeds that each resample lacks, forecast by the
    rule that the resample chose, NaN where it lacks none, `[draw]`.
    """

    rule: str
    alarm: Array
    hit: Mask
    good: Array
    pairs: Array
    times: Numbers | None
    redrawn: Array


def seed_sets(
    records: SignalRecords, design: Design, n_folds: int, n_draws: int, rng: np.random.Generator
) -> SeedSets:
    """Folds of whole seeds, and resamples of the seeds with an event."""
    everyone = np.unique(records.seed)
    seeds = np.unique(records.seed[design.event])
    others = np.setdiff1d(everyone, seeds)
    order = np.concatenate([rng.permutation(seeds), rng.permutation(others)])
    number = {int(seed): i % min(n_folds, seeds.size) for i, seed in enumerate(order)}
    fold = np.array([number[int(seed)] for seed in records.seed], dtype=np.int64)
    with_event = np.isin(everyone, seeds)
    drawn = replica_weights(with_event.astype(np.int64), n_draws, rng)
    copies = drawn[:, np.searchsorted(everyone, records.seed)].astype(np.float32)
    return SeedSets(seeds, fold, drawn[:, with_event], copies, at_risk(records, design))


def score(
    records: SignalRecords, name: str, design: Design, sets: SeedSets, settings: ForecastSettings
) -> Scored:
    """One signal, its rules chosen without the seeds that they are scored on."""
    signal, fold = records.signals[name], sets.fold
    found = reaches(signal, design, settings.transforms)
    parts = np.unique(fold)
    held_out = fold == parts[:, None]
    training = np.vstack([~held_out, np.ones((1, records.n), np.bool_)]).astype(np.float64)
    chosen = best_rules(found, design, training, settings.alpha)
    raised = chosen.alarms(records.steps)[:-1]
    alarm = raised[held_out.argmax(axis=0), np.arange(records.n)]
    kinds = list(dict.fromkeys(reach.transform for reach in found))
    pairs = {
        kind: concordance_by_fold(transformed(signal, kind, design.opened), sets.risk, fold)
        for kind in kinds
    }
    good, total = held_out_concordance(pairs, fold)
    halves = splits(fold)  # rules that half of the other folds choose forecast the event's time
    training = np.stack([train for _, train, _ in halves]).astype(np.float64)
    timed = best_rules(found, design, training, settings.alpha).alarms(records.steps)
    return Scored(
        rule=chosen.text(parts.size),
        alarm=alarm,
        hit=_hits(alarm, records, design),
        good=good,
        pairs=total,
        times=event_times(timed, halves, records, design.event, settings.coverage),
        redrawn=_redrawn(found, design, sets.copies, settings.alpha),
    )


def _hits(alarm: Array, records: SignalRecords, design: Design) -> Mask:
    """Events that an alarm forecast: neither too early nor too late, `[replica]`."""
    at = np.searchsorted(records.steps, np.where(np.isfinite(alarm), alarm, np.inf), side="left")
    return design.event & np.isfinite(alarm) & (at > design.early) & (at <= design.last)


def _redrawn(
    found: list[Reach], design: Design, copies: NDArray[np.float32], alpha: float
) -> Array:
    """What rules forecast that resampled seeds chose, on the seeds that these lack, `[draw]`."""
    chosen = best_rules(found, design, copies, alpha)
    absent = design.event & (copies == 0)
    n = absent.sum(axis=1)
    hit = (chosen.forecast(design) & absent).sum(axis=1)
    return np.divide(hit, n, out=np.full(len(n), np.nan), where=n > 0)
