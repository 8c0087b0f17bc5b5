"""Replicas, each with its series, gathered on common looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observatory.analysis.forecast.estimators.derived import base_of, derived
from observatory.analysis.forecast.estimators.records import (
    CLOCK,
    EVENT,
    NATURAL,
    NORM_CHANGE,
    Array,
    Signal,
    SignalRecords,
    clock_signal,
    on_looks,
)
from observatory.analysis.tables.columns import known_columns
from observatory.core.errors import ConfigError

_NORM = "weight_norm"
_PLAIN = ("train_loss", "val_loss", _NORM, "logit_scale")
"""Baselines that are recorded, beside the clock and the change of the norm."""
_OUTCOMES = ("train_acc", "val_acc")
"""What events are made of: no signal unless it is named."""
UNNAMED = (*_PLAIN, *_OUTCOMES)
"""What is read whatever signals are named."""
ALIASES = {"l2": _NORM}


@dataclass(frozen=True)
class ReplicaRecord:
    """One replica as it was recorded, by the names of `SignalRecords`; series: steps and values."""

    seed: int
    control: float
    kind: str
    opened: float
    t_lo: float
    t_hi: float
    watched: float
    series: Mapping[str, tuple[Array, Array]]


@dataclass(frozen=True)
class SignalTable:
    """What a comparison reads of its tables: records, what was left out, which columns are what."""

    records: SignalRecords
    warnings: Sequence[str]
    columns: str


def gather(
    replicas: Sequence[ReplicaRecord],
    looks: Array,
    signals: Sequence[str] | None,
    shared: Mapping[str, Any],
) -> tuple[SignalRecords, list[str]]:
    """All replicas on common looks, and what a reader should know of their signals.

    `shared` is what all replicas share, by the names of `SignalRecords`.

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
            f"{shared['horizon_steps']}."
        )
    replicas = [with_derived(one, signals or ()) for one in replicas]
    recorded = sorted(set[str]().union(*(one.series for one in replicas)))
    names = signal_names(recorded, signals)
    made, baselines = _signals(replicas, names, looks)
    val_acc = _signal_of(replicas, "val_acc", looks).value if "val_acc" in recorded else None
    absent = [name for name in _PLAIN if name not in names]
    notes = [
        f"Baselines that are not recorded: {', '.join(absent)}. A signal is judged against the "
        "others only."
    ]
    return _records(replicas, looks, made, baselines, val_acc, shared), notes if absent else []


def with_derived(one: ReplicaRecord, signals: Sequence[str]) -> ReplicaRecord:
    """A replica with the series that are made of another one, where it has that."""
    made = {
        name: (one.series[base][0], derived(name, one.series[base][1]))
        for name in signals
        if (base := base_of(name)) in one.series and name not in one.series
    }
    return replace(one, series={**one.series, **made})


def signal_names(recorded: Sequence[str], signals: Sequence[str] | None) -> list[str]:
    """The baselines and signals that are judged; raises as `gather` does."""
    if signals is None:
        return [name for name in recorded if name not in _OUTCOMES]
    if twice := sorted({name for name in signals if list(signals).count(name) > 1}):
        raise ConfigError(
            f"`signals` must name each once, got {twice} again: tests are adjusted for how many "
            "there are. Leave the others out."
        )
    if plain := [n for n in signals if ALIASES.get(n, n) in (CLOCK, *_PLAIN, NORM_CHANGE)]:
        raise ConfigError(
            f"`signals` names {plain}: a baseline, which every signal is set beside anyway, and no "
            "part of the family. Leave it out, or name a signal."
        )
    if unknown := sorted(set(signals) - set(recorded)):
        raise ConfigError(
            f"`signals` must be recorded, got {unknown}. {known_columns(recorded, unknown[0])}"
        )
    return [name for name in recorded if name in _PLAIN or name in signals]


def _signals(
    replicas: Sequence[ReplicaRecord], names: Sequence[str], looks: Array
) -> tuple[dict[str, Signal], list[str]]:
    """Every signal on the looks, the clock first, and which of them are baselines."""
    made: dict[str, Signal] = {CLOCK: clock_signal(looks, len(replicas))}
    baselines = [CLOCK, *(name for name in _PLAIN if name in names)]
    for name in names:
        made[name] = _signal_of(replicas, name, looks)
        if name == _NORM:
            norm = made[name]
            made[NORM_CHANGE] = Signal(norm.value, norm.change, norm.readings, ("change",))
            baselines.append(NORM_CHANGE)
    return made, baselines


def _signal_of(replicas: Sequence[ReplicaRecord], name: str, looks: Array) -> Signal:
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
    shared: Mapping[str, Any],
) -> SignalRecords:
    """The replicas as columns, cut at the horizon: what comes later has not come."""
    end = np.inf if shared["horizon_steps"] is None else float(shared["horizon_steps"])
    names = ("seed", "control", "kind", "opened", "t_lo", "t_hi", "watched")
    of = {name: np.array([getattr(one, name) for one in replicas]) for name in names}
    of["kind"] = np.where((of["kind"] == EVENT) & ~(of["t_hi"] <= end), NATURAL, of["kind"])
    of |= {n: np.where(of["kind"] == EVENT, of[n], np.nan) for n in ("t_lo", "t_hi")}
    return SignalRecords(
        steps=looks,
        signals=signals,
        baselines=baselines,
        val_acc=val_acc,
        **{**of, "watched": np.minimum(of["watched"], end)},
        **shared,
    )
