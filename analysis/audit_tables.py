"""Signals, events and negatives for an audit, from studies of the run store or a long table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.fits.audit_records import (
    CLOCK,
    EVENT,
    FAILED,
    KINDS,
    NATURAL,
    NORM_CHANGE,
    TWIN,
    AuditRecords,
    Signal,
    clock_signal,
    on_looks,
)
from observatory.analysis.sources import Table
from observatory.analysis.study_outcomes import event_names
from observatory.analysis.study_outcomes import numbers as floats
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.files import read_table, require_table
from observatory.analysis.tables.values import cells, labels, missing, numbers, plain, refuse
from observatory.core.columns import Column
from observatory.core.errors import ConfigError
from observatory.store.reader import Run, Study

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EVALUATION = "evaluation"
NORM = "weight_norm"
PLAIN = ("train_loss", "val_loss", NORM, "logit_scale")
"""Baselines that are recorded, beside the clock and the change of the norm."""
OUTCOMES = ("train_acc", "val_acc")
"""What events are made of: no signal unless it is named."""
ALIASES = {"l2": NORM}
FIRST_EVENT = "first99"
MEM = "mem"
USUAL = {
    "replica": ("replica",),
    "seed": ("seed",),
    "cell": ("weight_decay", "cell"),
    "step": ("step",),
    "time": ("t_hi", "event_step", "t_grok", "time"),
    "t_lo": ("t_lo",),
    "opened": ("t_mem", "mem_hi", "t_mem_hi"),
    "kind": ("kind",),
}


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
class _Life:
    """One replica: facts, and steps and values of each of its series."""

    seed: int
    cell: float
    kind: str
    opened: float
    t_lo: float
    t_hi: float
    watched: float
    series: Mapping[str, tuple[Array, Array]]


def read_audit(tables: Sequence[Table], columns: AuditColumns, *, memorised: bool) -> AuditTable:
    """Read and check what an audit needs.

    Args:
        tables: One or several studies or their folders; or one frame, CSV or Parquet file.
        columns: See `AuditColumns`.
        memorised: Whether windows open when a replica has memorised; else at its first look.

    Raises:
        ConfigError: If a column or an event is missing or breaks its rule.
        StoreError: If a folder is no study.
    """
    if not tables:
        raise ConfigError("`table` must be given: a study, several, or a CSV or Parquet file.")
    studies = [_study(table) for table in tables]
    known = [study for study in studies if study is not None]
    if len(known) == len(studies):
        return _from_studies(known, columns, memorised=memorised)
    if len(tables) > 1:
        raise ConfigError("Several tables must all be studies. Join the rows of CSV files first.")
    table = tables[0]
    frame = table if isinstance(table, pd.DataFrame) else read_table(Path(str(table)))
    return _from_frame(frame, columns, memorised=memorised)


def _study(table: Table) -> Study | None:
    if isinstance(table, Study):
        return table
    if isinstance(table, pd.DataFrame) or not Path(str(table)).is_dir():
        return None
    return Study(str(table))


def _from_studies(
    studies: Sequence[Study], columns: AuditColumns, *, memorised: bool
) -> AuditTable:
    given = [n for n in ("replica", "seed", "step", "time", "t_lo", "opened", "kind")
             if getattr(columns, n) is not None]  # fmt: skip
    if given:
        raise ConfigError(f"{given} are columns of a table; a study knows them: leave them out.")
    runs = [run for study in studies for run in study.runs]
    twins = [_is_twin(run) for run in runs]
    if all(twins):
        raise ConfigError(
            "Every run has random labels, which nothing can generalise from. Give the study that "
            "they are the twins of as well."
        )
    horizon = min(int(run.manifest["horizon_steps"]) for run in runs)
    if columns.horizon is not None:
        if columns.horizon > horizon:
            raise ConfigError(
                f"`horizon_steps` must be at most {horizon}, the horizon that was run, got "
                f"{columns.horizon}. A record cannot show what was not run."
            )
        horizon = columns.horizon
    event, cell = columns.event or FIRST_EVENT, columns.cell or "weight_decay"
    lives: list[_Life] = []
    warnings: list[str] = []
    for run, twin in zip(runs, twins, strict=True):
        found, notes = _lives(run, event, cell, columns.signals, twin=twin, memorised=memorised)
        lives += found
        warnings += notes
    looks = np.unique(np.concatenate([s for life in lives for s, _ in [life.series["val_acc"]]]))
    classes = {int(run.manifest["task"]["n_classes"]) for run in runs}
    epochs = {float(run.manifest["steps_per_epoch"]) for run in runs}
    chance = columns.chance
    if chance is None and len(classes) == 1:
        chance = 1.0 / classes.pop()
    return _gather(
        lives,
        looks[looks <= horizon].astype(np.float64),
        columns.signals,
        warnings,
        event=event,
        knob=cell,
        horizon=horizon,
        chance=chance,
        epoch=epochs.pop() if len(epochs) == 1 else None,
    )


def _is_twin(run: Run) -> bool:
    return bool(run.manifest["config"].get("task", {}).get("random_labels", False))


def _lives(
    run: Run,
    event: str,
    cell: str,
    signals: Sequence[str] | None,
    *,
    twin: bool,
    memorised: bool,
) -> tuple[list[_Life], list[str]]:
    """The finished replicas of a run."""
    outcomes, warnings = run.outcomes(), list[str]()
    events = event_names(outcomes)
    for name in (event, MEM) if memorised else (event,):
        if name not in events:
            raise ConfigError(f"`event` {name} must be one of {events}: run {run.run_id} lacks it.")
    if cell not in outcomes.columns:
        raise ConfigError(
            f"`x` must be a setting of the replicas, got {cell!r}. "
            f"{known_columns(list(map(str, run.replicas().columns)), cell)}"
        )
    done = pd.DataFrame(outcomes.loc[outcomes["outcome"].notna()]).reset_index(drop=True)
    if lacking := len(outcomes) - len(done):
        warnings.append(f"Run {run.run_id}: {lacking} replicas have not finished: left out.")
    series = _series(run, signals)
    values = {n: floats(done, n) for n in ("seed", cell, "step")}
    low, high, seen = (floats(done, f"{event}_{end}") for end in ("lo", "hi", "observed"))
    opened = np.where(floats(done, f"{MEM}_observed") > 0, floats(done, f"{MEM}_hi"), np.nan) \
        if memorised else np.zeros(len(done))  # fmt: skip
    if np.any((seen > 0) & np.isnan(high)):
        raise ConfigError(f"`event` must have a time, {event} has none. Take another, as first99.")
    failed = np.isin(np.array(done["outcome"], dtype=np.str_), ["collapsed", "diverged"])
    lives: list[_Life] = []
    for i, replica in enumerate(done["replica"].to_numpy()):
        kind = TWIN if twin else EVENT if seen[i] > 0 else FAILED if failed[i] else NATURAL
        if twin and seen[i] > 0:
            warnings.append(f"Run {run.run_id}: twin {replica} reached {event}: left out.")
            continue
        lives.append(
            _Life(
                int(values["seed"][i]),
                float(values[cell][i]),
                kind,
                float(opened[i]),
                float(low[i]),
                float(high[i]),
                float(values["step"][i]),
                series[int(replica)],
            )
        )
    return lives, warnings


def _series(run: Run, signals: Sequence[str] | None) -> dict[int, dict[str, tuple[Array, Array]]]:
    """Every series of each replica by its name.

    A list, as of layers, is the mean over its entries, unless the run records that mean itself, or
    an entry is named: `s_bar@layer0`. A name that several tables have is told with its table.
    """
    tables = [n for n in run.tables() if n == EVALUATION or n.startswith("probes/")]
    columns = [(t, c) for t in tables for c in run.columns(t) if c.dtype == "float64"]
    scalars = [c.name for _, c in columns if not c.dims]
    again = {n for n in scalars if scalars.count(n) > 1}
    lists = [c.name for _, c in columns if c.dims]
    again |= {n for n in lists if lists.count(n) + scalars.count(n) > 1}
    found: dict[int, dict[str, tuple[Array, Array]]] = {}
    for table in tables:
        mine = [c for t, c in columns if t == table]
        if not mine:
            continue
        frame = run.table(table, [c.name for c in mine])
        wanted = {k: v for c in mine for k, v in _named(table, c, again, scalars, frame, signals)}
        replica = frame["replica"].to_numpy()
        steps = frame["step"].to_numpy(dtype=np.float64)
        starts = np.flatnonzero(np.r_[True, replica[1:] != replica[:-1]])
        for begin, end in zip(starts, np.r_[starts[1:], replica.size], strict=True):
            own = found.setdefault(int(replica[begin]), {})
            own |= {name: (steps[begin:end], y[begin:end]) for name, y in wanted.items()}
    return found


def _named(
    table: str,
    column: Column,
    again: set[str],
    scalars: Sequence[str],
    frame: pd.DataFrame,
    signals: Sequence[str] | None,
) -> list[tuple[str, Array]]:
    """The series of one column by the names that they go by."""
    short = table.removeprefix("probes/")
    name = f"{short}.{column.name}" if column.name in again else column.name
    name = ALIASES.get(name, name)
    values = frame[column.name]
    if not column.dims:
        return [(name, values.to_numpy(dtype=np.float64, na_value=np.nan))]
    dim = column.dims[0]
    base = name.removesuffix(f"_{dim}")
    rows = [None if v is None or np.ndim(v) == 0 else np.asarray(v, np.float64) for v in values]
    made: list[tuple[str, Array]] = []
    for asked in signals or ():
        head, at, entry = asked.partition(f"@{dim}")
        if at and head in (base, name) and entry.isdigit():
            index = int(entry)
            y = [np.nan if r is None or r.size <= index else r[index] for r in rows]
            made.append((asked, np.array(y, dtype=np.float64)))
    if base not in scalars and base not in ALIASES:
        y = [np.nan if r is None or not r.size else float(np.mean(r)) for r in rows]
        made.append((base, np.array(y, dtype=np.float64)))
    return made


def _gather(
    lives: Sequence[_Life],
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
    """All replicas on common looks."""
    if not lives:
        raise ConfigError("The table must hold a finished replica, got none. Wait, or add runs.")
    notes = list(warnings)
    recorded = set[str]().union(*(life.series for life in lives))
    names = sorted(recorded)
    if signals is not None:
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
        made[name] = _on_looks(lives, name, looks)
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
            val_acc=_on_looks(lives, "val_acc", looks).value if "val_acc" in recorded else None,
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


def _on_looks(lives: Sequence[_Life], name: str, looks: Array) -> Signal:
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


def _from_frame(frame: pd.DataFrame, columns: AuditColumns, *, memorised: bool) -> AuditTable:
    """A long table: a row per replica and step."""
    require_table(frame, "the table")
    frame = frame.rename(columns=str).reset_index(drop=True)
    present = list(map(str, frame.columns))
    names = {role: _column(role, getattr(columns, role), present) for role in USUAL}
    needed = ("replica", "seed", "step", "time")
    if lacking := [role for role in needed if names[role] is None]:
        raise ConfigError(
            f"`{lacking[0]}` must name a column of the table. {known_columns(present, lacking[0])}"
        )
    advice, warnings = "Fill or remove the row.", list[str]()
    key = [str(plain(v)) for v in cells(frame, str(names["replica"]))]
    step = numbers(frame, str(names["step"]), advice)
    frame = frame.assign(**{"": key}).iloc[np.lexsort((step, np.array(key)))]
    frame = pd.DataFrame(frame).reset_index(drop=True)
    key, step = np.array(frame.pop("")), numbers(frame, str(names["step"]), advice)
    again = np.r_[False, (key[1:] == key[:-1]) & (step[1:] == step[:-1])]
    refuse(again, str(names["replica"]), "must be once at each step, is there again",
           "Name the column that tells replicas apart by `--replica`.")  # fmt: skip
    taken = {name for name in names.values() if name is not None}
    series = {
        ALIASES.get(name, name): numbers(frame, name, "Leave it empty instead.", empty=True)
        for name in present
        if name not in taken and pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    }  # fmt: skip
    facts = {
        role: numbers(frame, name, advice, empty=role in ("time", "t_lo", "opened"))
        for role, name in names.items()
        if name is not None and role in ("time", "t_lo", "opened", "cell")
    }
    seed = labels(frame, str(names["seed"]))
    kinds = None
    if names["kind"] is not None:
        column = cells(frame, names["kind"])
        kinds = np.where(missing(column), "", np.array([str(v) for v in column], dtype=np.str_))
        refuse(~np.isin(kinds, ["", *KINDS]), names["kind"], f"must be one of {list(KINDS)}",
               "Leave it empty where a replica just never reached the event.", column)  # fmt: skip
    if memorised and names["opened"] is None:
        warnings.append(
            "No column says when a replica had memorised: alarms count from its first look. Name "
            "it by `--opened`."
        )
    lives = [
        _one(rows, step, facts, seed, kinds, series)
        for rows in np.split(np.arange(key.size), np.flatnonzero(key[1:] != key[:-1]) + 1)
    ]
    return _gather(
        lives,
        np.unique(step if columns.horizon is None else step[step <= columns.horizon]),
        columns.signals,
        warnings,
        event=columns.event or str(names["time"]),
        knob=str(names["cell"]) if names["cell"] is not None else "nothing",
        horizon=columns.horizon or int(step.max()),
        chance=columns.chance,
        epoch=None,
    )


def _one(
    rows: NDArray[np.int64],
    step: Array,
    facts: Mapping[str, Array],
    seed: NDArray[np.int64],
    kinds: NDArray[Any] | None,
    series: Mapping[str, Array],
) -> _Life:
    """One replica of a long table; raises where what it is told by differs from row to row."""
    own: dict[str, Any] = {name: values[rows] for name, values in facts.items()}
    for name, values in [*own.items(), ("seed", seed[rows])]:
        if np.unique(values[~np.isnan(values)]).size > 1 or 0 < np.isnan(values).sum() < rows.size:
            raise ConfigError(
                f"`{name}` must be the same in all rows of a replica, got {values[:3].tolist()}. "
                "It says when the event came, not whether it has come."
            )
    at, first = step[rows], int(rows[0])
    t_hi = float(own["time"][0])
    before = at[at < t_hi]
    t_lo = float(own["t_lo"][0]) if "t_lo" in own else float(before[-1]) if before.size else 0.0
    kind = EVENT if np.isfinite(t_hi) else NATURAL
    if kind != EVENT and kinds is not None and kinds[first] not in ("", EVENT):
        kind = str(kinds[first])
    return _Life(
        int(seed[first]),
        float(own["cell"][0]) if "cell" in own else 0.0,
        kind,
        float(own["opened"][0]) if "opened" in own else float(at[0]),
        t_lo if kind == EVENT else np.nan,
        t_hi,
        float(at[-1]),
        {name: (at, values[rows]) for name, values in series.items()},
    )


def _column(role: str, asked: str | None, present: Sequence[str]) -> str | None:
    """The column of a role; None where nobody named one and no usual name is there."""
    if asked is not None:
        found = column_of(asked, present)
        if found is None:
            raise ConfigError(
                f"`{role}` must name a column of the table, got {asked!r}. "
                f"{known_columns(present, asked)}"
            )
        return found
    return next((name for usual in USUAL[role] if (name := column_of(usual, present))), None)
