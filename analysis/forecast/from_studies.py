"""Replicas of studies, their probes and outcomes, as an audit reads them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import EVENT, FAILED, NATURAL, TWIN
from observatory.analysis.forecast.replicas import ALIASES, AuditColumns, AuditTable, Life, gather
from observatory.analysis.tables.columns import known_columns
from observatory.analysis.tables.outcomes import event_names
from observatory.analysis.tables.outcomes import numbers as floats
from observatory.core.columns import Column
from observatory.core.errors import ConfigError
from observatory.store.reader import Run, Study

Array = NDArray[np.float64]

EVALUATION = "evaluation"
FIRST_EVENT = "first99"
MEM = "mem"


def from_studies(studies: Sequence[Study], columns: AuditColumns, *, memorised: bool) -> AuditTable:
    """The finished replicas of studies; runs with random labels are twins of the others.

    Args:
        studies: At least one.
        columns: Event, knob, signals, horizon.
        memorised: Whether windows open when a replica has memorised; else at its first look.

    Raises:
        ConfigError: If an event, setting or signal is missing, or all runs are twins.
    """
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
    lives: list[Life] = []
    warnings: list[str] = []
    for run, twin in zip(runs, twins, strict=True):
        found, notes = _lives(run, event, cell, columns.signals, twin=twin, memorised=memorised)
        lives += found
        warnings += notes
    if not lives:
        raise ConfigError("No replica has finished: there is nothing to audit yet. Wait.")
    looks = np.unique(np.concatenate([s for life in lives for s, _ in [life.series["val_acc"]]]))
    classes = {int(run.manifest["task"]["n_classes"]) for run in runs}
    epochs = {float(run.manifest["steps_per_epoch"]) for run in runs}
    chance = columns.chance
    if chance is None and len(classes) == 1:
        chance = 1.0 / classes.pop()
    return gather(
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
) -> tuple[list[Life], list[str]]:
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
    lives: list[Life] = []
    for i, replica in enumerate(done["replica"].to_numpy()):
        kind = TWIN if twin else EVENT if seen[i] > 0 else FAILED if failed[i] else NATURAL
        if twin and seen[i] > 0:
            warnings.append(f"Run {run.run_id}: twin {replica} reached {event}: left out.")
            continue
        lives.append(
            Life(
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
