"""Replicas of runs, their probes and outcomes, as forecasts are made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.forecast.estimators.derived import base_of, derived, takes_lists
from observatory.analysis.forecast.estimators.records import (
    EVENT,
    FAILED,
    NATURAL,
    TWIN,
    Array,
)
from observatory.analysis.forecast.replica_records import (
    ALIASES,
    UNNAMED,
    ReplicaRecord,
    SignalTable,
    gather,
    signal_names,
)
from observatory.analysis.tables.columns import known_columns
from observatory.analysis.tables.outcomes import event_names
from observatory.analysis.tables.outcomes import numbers as floats
from observatory.analysis.tables.recorded import horizon_of, recorded, training_notes
from observatory.analysis.tables.watched import DRAWN, why_no_event
from observatory.core.columns import Column
from observatory.core.errors import ConfigError
from observatory.store.parts import to_frame
from observatory.store.reader import Run

_MEM = "mem"
_ALL = -1
"""In place of an entry of a list: all of them, not their mean."""
_OF_TABLES = ("replica", "group", "step", "time", "t_lo", "opened", "kind")
"""Options that name columns which a study knows."""


def from_runs(
    runs: Sequence[Run],
    signals: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    memorised: bool,
) -> SignalTable:
    """The replicas of runs as recorded; those with random labels are twins of the others.

    Windows open when a replica has `memorised`, else at its first look. `signals` None: all that
    are recorded.

    Raises:
        ConfigError: If an event, setting or signal is missing, or all runs are twins.
    """
    if why := why_no_event(runs):
        raise ConfigError(f"{why} {DRAWN}")
    if given := [name for name in _OF_TABLES if options.get(name) is not None]:
        raise ConfigError(f"{given} are columns of a table; a study knows them: leave them out.")
    configs = [run.manifest["config"].get("task", {}) for run in runs]
    twins = [bool(config.get("random_labels", False)) for config in configs]
    if all(twins):
        raise ConfigError(
            "Every run has random labels, which nothing can generalise from. Give the study that "
            "they are the twins of as well."
        )
    names = {n for run in runs for source in sources(run) for n in _named(source, signals)}
    names |= {name for name in signals or () if base_of(name) in names}
    signal_names(sorted(names), signals)  # refuses what no run records
    tables = [recorded([run]) for run in runs]
    every = pd.concat(tables, ignore_index=True)
    shared = _shared(runs, every, options)
    replicas: list[ReplicaRecord] = []
    warnings = training_notes(every)
    for run, outcomes, twin in zip(runs, tables, twins, strict=True):
        found, notes = _replicas(run, outcomes, shared, signals, twin=twin, memorised=memorised)
        replicas += found
        warnings += notes
    if not replicas:
        raise ConfigError("No replica has a record: there is nothing to compare yet. Wait.")
    looks = np.unique(np.concatenate([one.series["val_acc"][0] for one in replicas]))
    looks = looks[looks <= (shared["horizon_steps"] or np.inf)].astype(np.float64)
    records, notes = gather(replicas, looks, signals, shared)
    return SignalTable(records, [*warnings, *notes], f"control {shared['control_name']}")


def _shared(
    runs: Sequence[Run], outcomes: pd.DataFrame, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What all runs share; raises where a horizon was asked for that was not run."""
    horizon = horizon_of(runs, outcomes)
    asked = options.get("horizon_steps")
    if asked is not None and asked > horizon:
        raise ConfigError(
            f"`horizon_steps` must be at most {horizon}, the horizon that was run, got {asked}. A "
            "record cannot show what was not run."
        )
    tasks = [run.manifest["task"] for run in runs if "task" in run.manifest]  # not if observed
    classes = {int(task["n_classes"]) for task in tasks}
    epochs = {run.manifest["steps_per_epoch"] for run in runs}
    chance = options.get("chance")
    return {
        "event": options.get("event") or "first99",
        "control_name": options.get("control") or "weight_decay",
        "horizon_steps": horizon if asked is None else asked,
        "chance": 1.0 / classes.pop() if chance is None and len(classes) == 1 else chance,
        "steps_per_epoch": next(iter(epochs)) if len(epochs) == 1 else None,
    }


def _replicas(
    run: Run,
    outcomes: pd.DataFrame,
    shared: Mapping[str, Any],
    signals: Sequence[str] | None,
    *,
    twin: bool,
    memorised: bool,
) -> tuple[list[ReplicaRecord], list[str]]:
    """The replicas of a run that have a record, and what is left out of it."""
    event, control, warnings = shared["event"], shared["control_name"], list[str]()
    events = event_names(outcomes)
    for name in (event, _MEM) if memorised else (event,):
        if name not in events:
            raise ConfigError(f"`event` {name} must be one of {events}: run {run.run_id} lacks it.")
    if control not in outcomes.columns:
        raise ConfigError(
            f"`control` must be a setting of the replicas, got {control!r}. "
            f"{known_columns(list(map(str, run.replicas().columns)), control)}"
        )
    done = pd.DataFrame(outcomes.loc[outcomes["step"].notna()]).reset_index(drop=True)
    series = _series(run, signals)
    values = {name: floats(done, name) for name in ("seed", control, "step")}
    low, high, seen = (floats(done, f"{event}_{end}") for end in ("lo", "hi", "observed"))
    opened = np.zeros(len(done))
    if memorised:
        opened = np.where(floats(done, f"{_MEM}_observed") > 0, floats(done, f"{_MEM}_hi"), np.nan)
    if np.any((seen > 0) & np.isnan(high)):
        raise ConfigError(f"`event` must have a time, {event} has none. Take another, as first99.")
    failed = done["outcome"].isin(["collapsed", "diverged"]).to_numpy(dtype=np.bool_)
    replicas: list[ReplicaRecord] = []
    known = (values["seed"].astype(int), values[control], opened, low, high, values["step"])
    for i, replica in enumerate(done["replica"].to_numpy()):
        kind = TWIN if twin else EVENT if seen[i] > 0 else FAILED if failed[i] else NATURAL
        if twin and seen[i] > 0:
            warnings.append(f"Run {run.run_id}: twin {replica} reached {event}: left out.")
            continue
        seed, value, *steps = (column[i].item() for column in known)
        own = dict(zip(("opened", "t_lo", "t_hi", "watched"), steps, strict=True))
        replicas.append(ReplicaRecord(seed, value, kind, series=series[int(replica)], **own))
    return replicas, warnings


@dataclass(frozen=True)
class Source:
    """Where a signal is recorded, and what it goes by: a list, as of layers, without its dimension.

    `whole`: whether the name is a signal; else only entries of the list are.
    """

    table: str
    column: Column
    name: str
    whole: bool


def sources(run: Run) -> list[Source]:
    """Every signal that a run records.

    A list, as of layers, is the mean over its entries, unless the run records that mean itself. A
    name that several tables have carries its table.
    """
    tables = [name for name in run.tables() if name == "evaluation" or name.startswith("probes/")]
    columns = [(t, c) for t in tables for c in run.columns(t) if c.dtype == "float64"]
    scalars = [c.name for _, c in columns if not c.dims]
    again = {n for n in scalars if scalars.count(n) > 1}
    lists = [c.name for _, c in columns if c.dims]
    again |= {n for n in lists if lists.count(n) + scalars.count(n) > 1}
    found: list[Source] = []
    for table, column in columns:
        short = table.removeprefix("probes/")
        full = f"{short}.{column.name}" if column.name in again else column.name
        full = ALIASES.get(full, full)
        name = full.removesuffix(f"_{column.dims[0]}") if column.dims else full
        whole = not column.dims or (name not in scalars and name not in ALIASES)
        found.append(Source(table, column, name, whole))
    return found


def _named(source: Source, signals: Sequence[str] | None) -> dict[str, int | None]:
    """The names that a source goes by, `s_bar@layer0` for an entry of a list; None: its mean."""
    made: dict[str, int | None] = {}
    dim = source.column.dims[0] if source.column.dims else ""
    for asked in map(base_of, signals or () if dim else ()):
        head, at, entry = asked.partition(f"@{dim}")
        if at and head in (source.name, f"{source.name}_{dim}") and entry.isdigit():
            made[asked] = int(entry)
    if dim and source.whole:
        whole = (n for n in signals or () if takes_lists(n) and base_of(n) == source.name)
        made |= dict.fromkeys(whole, _ALL)
    return {**made, source.name: None} if source.whole else made


def _series(run: Run, signals: Sequence[str] | None) -> dict[int, dict[str, tuple[Array, Array]]]:
    """The series of each replica by its name; where signals are named, these and the baselines."""
    found: dict[int, dict[str, tuple[Array, Array]]] = {}
    every = {source: _named(source, signals) for source in sources(run)}
    if signals is not None:
        kept = {*signals, *map(base_of, signals), *UNNAMED}
        every = {s: {n: i for n, i in names.items() if n in kept} for s, names in every.items()}
    read = [source for source, names in every.items() if names]
    for table in dict.fromkeys(source.table for source in read):
        mine = [source for source in read if source.table == table]
        rows = run.arrow(table, [source.column.name for source in mine])
        wanted: dict[str, Array] = {}
        for source in mine:  # one column at a time: lists take ten times their memory as objects
            [(_, column)] = to_frame(rows.select([source.column.name])).items()
            wanted |= _values(source, column, every[source])
        replica = rows["replica"].to_numpy()
        steps = rows["step"].to_numpy().astype(np.float64)
        starts = np.flatnonzero(np.r_[True, replica[1:] != replica[:-1]])
        for begin, end in zip(starts, np.r_[starts[1:], replica.size], strict=True):
            own = found.setdefault(int(replica[begin]), {})
            for name, y in wanted.items():
                y = y[begin:end]
                own[name] = steps[begin:end], derived(name, y) if y.ndim > 1 else y
    return found


def _values(source: Source, values: pd.Series, names: Mapping[str, int | None]) -> dict[str, Array]:
    """The values of a source by the names that it goes by, `[row]`."""
    if not source.column.dims:
        return {source.name: values.to_numpy(dtype=np.float64, na_value=np.nan)}
    cells = values.to_numpy()
    has = np.array([cell is not None and np.size(cell) > 0 for cell in cells], dtype=np.bool_)
    sizes = np.array([np.size(cell) for cell in cells[has]])
    most = int(sizes.max(initial=0))
    made = {
        name: np.full((len(cells), most) if entry == _ALL else len(cells), np.nan)
        for name, entry in names.items()
    }
    for size in np.unique(sizes):  # lists of one length at a time: one array instead of many
        alike = np.flatnonzero(has)[sizes == size]
        block = np.concatenate([np.ravel(cell) for cell in cells[alike]]).reshape(-1, size)
        for name, entry in names.items():
            if entry is None:
                made[name][alike] = block.mean(axis=1)
            elif entry == _ALL and size == most:
                made[name][alike] = block
            elif 0 <= entry < size:
                made[name][alike] = block[:, entry]
    return made
