"""What a comparison of forecasts refuses, and what a reader of it could take wrongly."""

import math
from collections.abc import Sequence

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import Design
from observatory.analysis.forecast.estimators.records import ForecastSettings, SignalRecords
from observatory.analysis.stats.solvers import alpha_of
from observatory.core.errors import FitRefusedError

_FEW_SEEDS = 10
_FEW_NEGATIVES = 10


def require_enough(records: SignalRecords, design: Design, settings: ForecastSettings) -> None:
    """Refuse what no choice of rules could decide.

    Raises:
        FitRefusedError: If there are too few events, seeds or negatives, and how many are missing.
    """
    alpha, min_events, min_seeds = settings.alpha, settings.min_events, settings.min_seeds
    events, seeds = int(design.event.sum()), np.unique(records.seed[design.event]).size
    if events < min_events:
        happened = records.happened
        n, shut = int(happened.sum()), int((happened & np.isnan(records.opened)).sum())
        why = f"; {shut} of them never memorised, so that no window opened" if shut else ""
        near = ", or set `start` to first_look" if shut else ", or lower `min_lead`"
        raise FitRefusedError(
            f"{events} events leave room for an alarm {settings.min_lead:g} steps ahead (of {n}"
            f"{why}), at least {min_events} are needed. Add {min_events - events} replicas that "
            f"reach {records.event}{near if n > events else ''}."
        )
    if seeds < min_seeds:
        raise FitRefusedError(
            f"The events have {seeds} seeds, at least {min_seeds} are needed, since rules "
            f"are chosen on some and judged on others. Add {min_seeds - seeds} seeds."
        )
    held = sum(int(mask.sum()) for mask in design.negatives.values())
    held += int(design.has_early.sum())
    per_seed = math.ceil(held / min(settings.n_folds, seeds)) if held else 0
    need = math.ceil(1.0 / alpha - 1e-9) - 1
    if held - per_seed < need:
        apart = sum(int(mask.sum()) for mask in design.others.values())
        more = f" ({apart} more are of other values of {records.control_name})" if apart else ""
        raise FitRefusedError(
            f"{held} negatives{more}, of which a fold leaves {held - per_seed} for training: "
            f"a false-alarm rate of {alpha:g} needs at least {need} there. Add replicas "
            "that never reach the event at the same values: random-label twins "
            "(task.random_labels=true) are the cheapest."
        )


def doubts(
    records: SignalRecords,
    design: Design,
    names: Sequence[str],
    n_seeds: int,
    m: int,
    settings: ForecastSettings,
) -> list[str]:
    """What a reader could take wrongly of a family of `m` tests of these signals."""
    return [
        *_few_negatives(records, design),
        *_few_seeds(n_seeds, m, alpha_of(settings.level), settings.n_bootstrap),
        *_unread(records, design, names),
        *_late_or_early(records, design, settings.min_lead),
    ]


def _few_negatives(records: SignalRecords, design: Design) -> list[str]:
    """Warnings of negatives of one kind, or of few."""
    notes: list[str] = []
    if len(design.negatives) < 2:
        kind = f"of one kind ({next(iter(design.negatives))})" if design.negatives else "absent"
        notes.append(
            f"Negatives that never reach the event are {kind} at the values of "
            f"{records.control_name} at which it happens. A signal can pass one kind by what it is "
            "made of: add random-label twins, or seeds at values where only some replicas reach it."
        )
    sizes = {kind: int(mask.sum()) for kind, mask in design.negatives.items()}
    if few := {kind: n for kind, n in sizes.items() if n < _FEW_NEGATIVES}:
        notes.append(
            f"Few negatives: {', '.join(f'{n} {kind}' for kind, n in few.items())}. Not one "
            "may raise an alarm in training, so single replicas decide rules, and their "
            "held-out rate means little. Add some."
        )
    return notes


def _few_seeds(seeds: int, m: int, alpha: float, n_bootstrap: int) -> list[str]:
    """A warning where no p-value can be small, or intervals are too narrow."""
    if 2.0 ** (1 - seeds) * m >= alpha:
        most = max(int(alpha * 2 ** (seeds - 1) - 1e-9), 0)
        need = math.ceil(1 + math.log2(m / alpha) + 1e-9)
        return [
            f"With {seeds} seeds in a family of {m} no p-value can be below {alpha:.3g} once "
            f"adjusted. Register at most {most} by `signals`, or add seeds up to {need}."
        ]
    if 2.0 / (n_bootstrap + 1) * m >= alpha:
        return [
            f"With {n_bootstrap} resamples in a family of {m} no p-value can be below {alpha:.3g} "
            f"once adjusted. Set `n_bootstrap` to {math.ceil(4 * m / alpha)}."
        ]
    if seeds < _FEW_SEEDS:
        return [
            f"The bootstrap draws whole seeds, of which there are {seeds}: with fewer than "
            f"{_FEW_SEEDS} its intervals are too narrow. Sign flips bound the p-values."
        ]
    return []


def _unread(records: SignalRecords, design: Design, names: Sequence[str]) -> list[str]:
    """Warnings of negatives that can raise no alarm."""
    notes: list[str] = []
    held = np.any(list(design.negatives.values()), axis=0)
    unread = {
        name: int(((signal.readings == 0) & held).sum())
        for name, signal in records.signals.items()
        if name in names
    }
    if some := {name: n for name, n in unread.items() if n}:
        notes.append(
            "Negatives without a reading in their window cannot raise an alarm: "
            f"{', '.join(f'{name} {n}' for name, n in some.items())}. False-alarm rates of these "
            "signals are too low."
        )
    shut = ~records.happened & ~design.window.any(axis=1)
    if shut.any():
        notes.append(
            f"{int(shut.sum())} negatives are left out: no window opened, since they never "
            "memorised, so no alarm of theirs could count."
        )
    return notes


def _late_or_early(records: SignalRecords, design: Design, min_lead: float) -> list[str]:
    """Warnings of events near the end of the record, and of those that leave no room."""
    notes: list[str] = []
    horizon = records.horizon_steps
    times = records.t_hi[records.happened]
    late = float(np.mean(times > 0.75 * horizon)) if horizon else 0.0
    if late > 0.1:
        notes.append(
            f"{late:.0%} of the events come in the last quarter of the horizon: some negatives "
            "may be replicas that would have reached it soon. Train longer."
        )
    if without := int(records.happened.sum() - design.event.sum()):
        notes.append(
            f"{without} events are left out of every row: they come within {min_lead:g} "
            "steps of the opening of their window, or before it, where no rule could."
        )
    return notes
