"""Replicas as an audit reads them, gathered on common looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import (
    CLOCK,
    EVENT,
    NATURAL,
    NORM_CHANGE,
    AuditRecords,
    Signal,
    clock_signal,
    on_looks,
)
from observatory.analysis.tables.columns import known_columns
from observatory.core.errors import ConfigError

Array = NDArray[np.float64]

NORM = "weight_norm"
PLAIN = ("train_loss", "val_loss", NORM, "logit_scale")
"""Baselines that are recorded, beside the clock and the change of the norm."""
OUTCOMES = ("train_acc", "val_acc")
"""What events are made of: no signal unless it is named."""
ALIASES = {"l2": NORM}


@dataclass(frozen=True)
class AuditColumns:
    """Which columns of a long table hold what; None: the usual names.

    Attributes:
        replica: What tells records apart.
        seed: The unit of folds and resampling.
        cell: The knob that negatives are matched on.
        step: Of a row.
        time: First look that shows the event, the same in all rows of a replica; empty: never.
        t_lo: Last look before it; without it, the replica's look before `time`.
        opened: Step from which alarms count, such as memorising; empty: never.
        kind: How a replica without the event came to be: natural, twin or failed.
        signals: Names of the signals; None: all. `name@layer0` is one entry of a list.
        event: Event preset of a study, or what the event is called.
        horizon: Step at which records are cut; None: where they end.
        chance: Accuracy of guessing; None: 1 / number of classes of a study.
    """

    replica: str | None = None
    seed: str | None = None
    cell: str | None = None
    step: str | None = None
    time: str | None = None
    t_lo: str | None = None
    opened: str | None = None
    kind: str | None = None
    signals: Sequence[str] | None = None
    event: str | None = None
    horizon: int | None = None
    chance: float | None = None


@dataclass(frozen=True)
class AuditTable:
    """A table as the audit takes it.

    Attributes:
        records: Replicas, signals, events.
        warnings: What was left out or is missing.
    """

    records: AuditRecords
    warnings: Sequence[str]


@dataclass(frozen=True)
class Life:
    """One replica: facts, and steps and values of each of its series."""

    seed: int
    cell: float
    kind: str
    opened: float
    t_lo: float
    t_hi: float
    watched: float
    series: Mapping[str, tuple[Array, Array]]


def gather(
    lives: Sequence[Life],
    looks: Array,
    signals: Sequence[str] | None,
    warnings: Sequence[str],
    *,
    event: str,
    knob: str,
    horizon: int | None,
    chance: float | None,
    epoch: float | None,
) -> AuditTable:
    """All replicas on common looks.

    Args:
        lives: The replicas.
        looks: Steps at which alarms can be raised, rising, `[look]`.
        signals: Names of the signals; None: all that are recorded.
        warnings: What was left out so far.
        event: Name of the event.
        knob: Name of the knob.
        horizon: Where records end at the latest; None where nobody knows.
        chance: Accuracy of guessing, likewise.
        epoch: Optimizer steps per epoch, likewise.

    Raises:
        ConfigError: If there is no replica or no look, or a signal is not recorded, named twice
            or a baseline.
    """
    if not lives:
        raise ConfigError("The table must hold a finished replica, got none. Wait, or add runs.")
    notes = list(warnings)
    recorded = set[str]().union(*(life.series for life in lives))
    names = sorted(recorded)
    if not looks.size:
        every = [steps[0] for life in lives for steps, _ in life.series.values() if steps.size]
        first = min(every, default=0.0)
        raise ConfigError(
            f"`horizon_steps` must reach the first look, step {first:g}, got {horizon}."
        )
    if signals is not None:
        _require_family(signals)
        if unknown := sorted(set(signals) - recorded):
            raise ConfigError(
                f"`signal` must be recorded, got {unknown}. {known_columns(names, unknown[0])}"
            )
        names = [n for n in names if n in PLAIN or n in signals]
    else:
        names = [n for n in names if n not in OUTCOMES]
    base = [n for n in PLAIN if n in names]
    if absent := [n for n in PLAIN if n not in names]:
        notes.append(
            f"Baselines that are not recorded: {', '.join(absent)}. A signal is judged against the "
            "others only."
        )
    made: dict[str, Signal] = {CLOCK: clock_signal(looks, len(lives))}
    for name in names:
        made[name] = signal_of(lives, name, looks)
        if name == NORM:
            norm = made[name]
            made[NORM_CHANGE] = Signal(norm.value, norm.change, norm.readings, ("change",))
            base.append(NORM_CHANGE)
    end = np.inf if horizon is None else float(horizon)
    t_hi = np.array([life.t_hi for life in lives])
    kept = t_hi <= end
    kind = np.array([life.kind for life in lives])
    kind = np.where((kind == EVENT) & ~kept, NATURAL, kind)
    happened = kind == EVENT
    return AuditTable(
        AuditRecords(
            steps=looks,
            signals=made,
            baselines=[CLOCK, *base],
            val_acc=signal_of(lives, "val_acc", looks).value if "val_acc" in recorded else None,
            chance=chance,
            seed=np.array([life.seed for life in lives], dtype=np.int64),
            cell=np.array([life.cell for life in lives]),
            kind=kind,
            opened=np.array([life.opened for life in lives]),
            t_lo=np.where(happened, np.array([life.t_lo for life in lives]), np.nan),
            t_hi=np.where(happened, t_hi, np.nan),
            watched=np.minimum(np.array([life.watched for life in lives]), end),
            event=event,
            knob=knob,
            horizon_steps=horizon,
            steps_per_epoch=epoch,
        ),
        notes,
    )


def _require_family(signals: Sequence[str]) -> None:
    """Refuse a registered family whose size would be counted wrongly."""
    if twice := sorted({name for name in signals if list(signals).count(name) > 1}):
        raise ConfigError(
            f"`signal` must name each once, got {twice} again: tests are adjusted for how many "
            "there are. Leave the others out."
        )
    if plain := [n for n in signals if ALIASES.get(n, n) in (CLOCK, *PLAIN, NORM_CHANGE)]:
        raise ConfigError(
            f"`signal` names {plain}: a baseline, which every signal is set beside anyway, and no "
            "part of the family. Leave it out, or name a signal."
        )


def signal_of(lives: Sequence[Life], name: str, looks: Array) -> Signal:
    """One signal of every replica as it is known at common looks."""
    value = np.full((len(lives), looks.size), np.nan)
    change, readings = value.copy(), np.zeros(len(lives), dtype=np.int64)
    for row, life in enumerate(lives):
        if name not in life.series:
            continue
        steps, y = life.series[name]
        value[row], change[row] = on_looks(steps, y, looks)
        end = life.t_lo if life.kind == EVENT else life.watched
        readings[row] = int((np.isfinite(y) & (steps >= life.opened) & (steps <= end)).sum())
    return Signal(value, change, readings)
