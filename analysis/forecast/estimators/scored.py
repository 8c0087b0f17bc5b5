"""One signal on seeds that its rules have not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.alarm_rules import (
    Design,
    Reach,
    Rule,
    alarms,
    best_rules,
    reaches,
)
from observatory.analysis.forecast.estimators.event_times import EventTimes, event_times, splits
from observatory.analysis.forecast.estimators.records import SignalRecords
from observatory.analysis.forecast.estimators.scores import (
    concordance_pairs,
    held_out_concordance,
)
from observatory.analysis.stats.resample import replica_weights

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SeedSets:
    """Which seeds judge which rules, and which are drawn again.

    Attributes:
        seeds: Those with an event, rising, `[seed]`.
        fold: Of each replica, `[replica]`.
        drawn: How often each seed is in each resample, `[draw, seed]`.
        copies: The same for its replicas, `[draw, replica]`.
    """

    seeds: NDArray[np.int64]
    fold: NDArray[np.int64]
    drawn: NDArray[np.int64]
    copies: Array


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


def seed_sets(
    records: SignalRecords, design: Design, n_folds: int, n_draws: int, rng: np.random.Generator
) -> SeedSets:
    """Folds of whole seeds, and resamples of the seeds with an event.

    Seeds without an event are in folds as well.

    Args:
        records: The replicas.
        design: Which of them are events.
        n_folds: At most.
        n_draws: Resamples.
        rng: For both.
    """
    everyone = np.unique(records.seed)
    seeds = np.unique(records.seed[design.event])
    others = np.setdiff1d(everyone, seeds)
    order = np.concatenate([rng.permutation(seeds), rng.permutation(others)])
    number = {int(seed): i % min(n_folds, seeds.size) for i, seed in enumerate(order)}
    fold = np.array([number[int(seed)] for seed in records.seed], dtype=np.int64)
    with_event = np.isin(everyone, seeds)
    drawn = replica_weights(with_event.astype(np.int64), n_draws, rng)
    copies = drawn[:, np.searchsorted(everyone, records.seed)].astype(np.float64)
    return SeedSets(seeds, fold, drawn[:, with_event], copies)


def score(
    records: SignalRecords,
    name: str,
    design: Design,
    sets: SeedSets,
    transforms: tuple[str, ...],
    alpha: float,
    coverage: float,
) -> Scored:
    """One signal, its rules chosen without the seeds that they are scored on.

    Args:
        records: The replicas.
        name: Of the signal.
        design: Which looks and replicas count for what.
        sets: Folds and resamples.
        transforms: In the order that settles ties.
        alpha: Largest false-alarm rate in training.
        coverage: Of the forecast of the event's time.
    """
    signal, fold = records.signals[name], sets.fold
    found = reaches(signal, design, transforms)
    alarm, parts = np.full(records.n, np.nan), np.unique(fold)
    training = np.vstack([fold != part for part in parts] + [np.ones(records.n, np.bool_)])
    chosen = best_rules(found, design, training.astype(np.float64), alpha)
    for index, part in enumerate(parts):
        raised = alarms(found, chosen.rule(index), records.steps)
        alarm[fold == part] = raised[fold == part]
    kinds = list(dict.fromkeys(reach.transform for reach in found))
    pairs = {kind: concordance_pairs(signal, design, records, kind) for kind in kinds}
    good, total = held_out_concordance(pairs, records, fold)
    return Scored(
        rule=chosen.rule(parts.size),
        alarm=alarm,
        hit=hits(alarm, records, design),
        good=good,
        pairs=total,
        times=_times(records, design, found, fold, alpha, coverage),
        redrawn=_redrawn(found, design, sets.copies, alpha),
    )


def hits(alarm: Array, records: SignalRecords, design: Design) -> Mask:
    """Events that an alarm forecast: neither too early nor too late, `[replica]`."""
    at = np.searchsorted(records.steps, np.where(np.isfinite(alarm), alarm, np.inf), side="left")
    return design.event & np.isfinite(alarm) & (at > design.early) & (at <= design.last)


def _times(
    records: SignalRecords,
    design: Design,
    found: list[Reach],
    fold: NDArray[np.int64],
    alpha: float,
    coverage: float,
) -> EventTimes | None:
    """Forecasts of the event's time by rules that half of the other folds choose."""
    parts = splits(fold)
    training = np.stack([train for _, train, _ in parts]).astype(np.float64)
    chosen = best_rules(found, design, training, alpha)
    raised = [alarms(found, chosen.rule(i), records.steps) for i in range(len(parts))]
    return event_times(np.stack(raised), parts, records, design.event, coverage)


def _redrawn(found: list[Reach], design: Design, copies: Array, alpha: float) -> Array:
    """What rules forecast that resampled seeds chose, on the seeds that these lack, `[draw]`."""
    chosen = best_rules(found, design, copies, alpha)
    absent = design.event & (copies == 0)
    n = absent.sum(axis=1)
    hit = (chosen.forecast(design) & absent).sum(axis=1)
    return np.divide(hit, n, out=np.full(n.size, np.nan), where=n > 0)
