"""Replicas, each with its series, gathered on common looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import (
    CLOCK,
    EVENT,
    NATURAL,
    NORM_CHANGE,
    Signal,
    SignalRecords,
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
class ReplicaRecord:
    """One replica as it was recorded.

    Attributes:
        seed: The unit of folds and of resampling.
        control: Value of what is varied.
        kind: Event, or how the replica without one came to be.
        opened: Step from which alarms count, NaN where never.
        t_lo: Last look before the event, NaN where there is none.
        t_hi: First look that shows it, likewise.
        watched: Last step of the record.
        series: Steps and values of each signal, `[reading]`.
    """

    seed: int
    control: float
    kind: str
    opened: float
    t_lo: float
    t_hi: float
    watched: float
    series: Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class Shared:
    """What all replicas of a table share.

    Attributes:
        event: Name of the event.
        control_name: Name of the control.
        horizon_steps: Where records end at the latest; None where nobody knows.
        chance: Accuracy of guessing, likewise.
        steps_per_epoch: Optimizer steps per epoch, likewise.
    """

    event: str
    control_name: str
    horizon_steps: int | None
    chance: float | None
    steps_per_epoch: float | None


@dataclass(frozen=True)
class SignalTable:
    """A table or studies, read and checked.

    Attributes:
        records: Replicas, signals, events.
        warnings: What was left out or is missing.
        columns: Which column was read as what.
    """

    records: SignalRecords
    warnings: Sequence[str]
    columns: str


def gather(
    replicas: Sequence[ReplicaRecord],
    looks: Array,
    signals: Sequence[str] | None,
    shared: Shared,
) -> tuple[SignalRecords, list[str]]:
    """All replicas on common looks, and what a reader should know of their signals.

    Args:
        replicas: At least one.
        looks: Steps at which alarms can be raised, rising, `[look]`.
        signals: Names of the signals; None: all that are recorded.
        shared: What all replicas share.

    Raises:
        ConfigError: If there is no replica or no look, or a signal is not recorded, named twice
            or a baseline.
    """
    if not replicas:
        raise ConfigError("The table must hold a finished replica, got none. Wait, or add runs.")
    if not looks.size:
        every = [at[0] for one in replicas for at, _ in one.series.values() if at.size]
        first = min(every, default=0.0)
        raise ConfigError(
            f"`horizon_steps` must reach the first look, step {first:g}, got "
            f"{shared.horizon_steps}."
        )
    recorded = sorted(set[str]().union(*(one.series for one in replicas)))
    names = _named(recorded, signals)
    made, baselines = _signals(replicas, names, looks)
    val_acc = signal_of(replicas, "val_acc", looks).value if "val_acc" in recorded else None
    absent = [name for name in PLAIN if name not in names]
    notes = [
        f"Baselines that are not recorded: {', '.join(absent)}. A signal is judged against the "
        "others only."
    ]
    return _records(replicas, looks, made, baselines, val_acc, shared), notes if absent else []


def _named(recorded: Sequence[str], signals: Sequence[str] | None) -> list[str]:
    """The baselines and signals that are judged; raises as `gather` does."""
    if signals is None:
        return [name for name in recorded if name not in OUTCOMES]
    if twice := sorted({name for name in signals if list(signals).count(name) > 1}):
        raise ConfigError(
            f"`signals` must name each once, got {twice} again: tests are adjusted for how many "
            "there are. Leave the others out."
        )
    if plain := [n for n in signals if ALIASES.get(n, n) in (CLOCK, *PLAIN, NORM_CHANGE)]:
        raise ConfigError(
            f"`signals` names {plain}: a baseline, which every signal is set beside anyway, and no "
            "part of the family. Leave it out, or name a signal."
        )
    if unknown := sorted(set(signals) - set(recorded)):
        raise ConfigError(
            f"`signals` must be recorded, got {unknown}. {known_columns(recorded, unknown[0])}"
        )
    return [name for name in recorded if name in PLAIN or name in signals]


def _signals(
    replicas: Sequence[ReplicaRecord], names: Sequence[str], looks: Array
) -> tuple[dict[str, Signal], list[str]]:
    """Every signal on the looks, the clock first, and which of them are baselines."""
    made: dict[str, Signal] = {CLOCK: clock_signal(looks, len(replicas))}
    baselines = [CLOCK, *(name for name in PLAIN if name in names)]
    for name in names:
        made[name] = signal_of(replicas, name, looks)
        if name == NORM:
            norm = made[name]
            made[NORM_CHANGE] = Signal(norm.value, norm.change, norm.readings, ("change",))
            baselines.append(NORM_CHANGE)
    return made, baselines


def signal_of(replicas: Sequence[ReplicaRecord], name: str, looks: Array) -> Signal:
    """One signal of every replica as it is known at common looks."""
    value = np.full((len(replicas), looks.size), np.nan)
    change, readings = value.copy(), np.zeros(len(replicas), dtype=np.int64)
    for row, one in enumerate(replicas):
        if name not in one.series:
            continue
        steps, y = one.series[name]
        value[row], change[row] = on_looks(steps, y, looks)
        end = one.t_lo if one.kind == EVENT else one.watched
        readings[row] = int((np.isfinite(y) & (steps >= one.opened) & (steps <= end)).sum())
    return Signal(value, change, readings)


def _records(
    replicas: Sequence[ReplicaRecord],
    looks: Array,
    signals: Mapping[str, Signal],
    baselines: Sequence[str],
    val_acc: Array | None,
    shared: Shared,
) -> SignalRecords:
    """The replicas as columns, cut at the horizon: what comes later has not come."""
    end = np.inf if shared.horizon_steps is None else float(shared.horizon_steps)
    t_hi = np.array([one.t_hi for one in replicas])
    kind = np.array([one.kind for one in replicas])
    kind = np.where((kind == EVENT) & ~(t_hi <= end), NATURAL, kind)
    happened = kind == EVENT
    return SignalRecords(
        steps=looks,
        signals=signals,
        baselines=baselines,
        val_acc=val_acc,
        chance=shared.chance,
        seed=np.array([one.seed for one in replicas], dtype=np.int64),
        control=np.array([one.control for one in replicas]),
        kind=kind,
        opened=np.array([one.opened for one in replicas]),
        t_lo=np.where(happened, np.array([one.t_lo for one in replicas]), np.nan),
        t_hi=np.where(happened, t_hi, np.nan),
        watched=np.minimum(np.array([one.watched for one in replicas]), end),
        event=shared.event,
        control_name=shared.control_name,
        horizon_steps=shared.horizon_steps,
        steps_per_epoch=shared.steps_per_epoch,
    )
