"""Curves from a table of anyone or from the run store: a series per group, checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from observatory.analysis.tables.sources import Table

from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.curves.rules import require_size
from observatory.analysis.tables.files import read_table, require_table
from observatory.analysis.tables.values import cells, missing, numbers, plain
from observatory.core.errors import ConfigError
from observatory.store.reader import Run, Study

Array = NDArray[np.float64]

MAX_CURVES = 2000
"""Groups of one table, of half a second each."""


@dataclass(frozen=True)
class CurveColumns:
    """Which columns hold the curves, and what is known beside them.

    Attributes:
        step: Abscissa.
        value: Ordinate.
        group: What tells curves apart.
        table: Of the run store, where the table is a study.
        lr: Learning rate, instead of a column of that name.
        weight_decay: Weight decay, likewise.
        steps_per_epoch: Optimizer steps per epoch.
        horizon_steps: Steps that were run.
        pooled: Whether rows of one step are points of the curve, not readings to average.
    """

    step: str
    value: str
    group: Sequence[str] | None
    table: str | None
    lr: float | None
    weight_decay: float | None
    steps_per_epoch: float | None
    horizon_steps: int | None
    pooled: bool


@dataclass(frozen=True)
class Curve:
    """A series and what it is of.

    Attributes:
        group: Values of the group's columns by name.
        series: Its points.
        notes: What was averaged or left out.
    """

    group: dict[str, Any]
    series: Series
    notes: Sequence[str]


def read_curves(table: Table, columns: CurveColumns) -> list[Curve]:
    """Every curve of a table.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        columns: See `CurveColumns`.

    Raises:
        ConfigError: If a column is missing or holds what is no number, or one too large or small
            to be squared, or there are too many curves.
        StoreError: If a folder is no study.
    """
    frame, group, horizon, epoch = _frame(table, columns)
    wanted = [columns.step, columns.value, *group]
    if absent := [name for name in wanted if name not in frame.columns]:
        raise ConfigError(
            f"The table has no column {absent}, only {sorted(map(str, frame.columns))}. Name "
            "columns by `--step`, `--value` and `--group`."
        )
    for name in group:
        if missing(cells(frame, name)).any():
            raise ConfigError(f"`{name}` must say which curve a row belongs to, got empty cells.")
    x = numbers(frame, columns.step, "Fill or remove the row.")
    y = numbers(frame, columns.value, "Leave it empty where nothing was measured.", empty=True)
    keys = [plain_key(row) for row in zip(*(frame[name] for name in group), strict=True)]
    names, which = _groups(keys, len(frame))
    if len(names) > MAX_CURVES:
        raise ConfigError(
            f"`group` must give at most {MAX_CURVES} curves, got {len(names)}. Name fewer columns."
        )
    found: list[Curve] = []
    for index, name in enumerate(names):
        rows = np.flatnonzero(which == index)
        step, value, notes = gathered(x[rows], y[rows], pooled=columns.pooled)
        part = pd.DataFrame(frame.iloc[rows])
        require_size(columns.step, step)
        require_size(columns.value, value)
        series = Series(
            step,
            value,
            columns.step,
            columns.value,
            _shared(part, "lr", columns.lr),
            _shared(part, "weight_decay", columns.weight_decay),
            epoch if columns.steps_per_epoch is None else columns.steps_per_epoch,
            horizon if columns.horizon_steps is None else columns.horizon_steps,
        )
        found.append(Curve(dict(zip(group, name, strict=True)), series, notes))
    return found


def gathered(x: Array, y: Array, *, pooled: bool) -> tuple[Array, Array, list[str]]:
    """The points of one curve in rising order, readings of one step averaged.

    Where fewer rows have a step than others do, replicas have ended or were not read: those steps
    are left out, since a mean over other replicas is another curve.

    Args:
        x: Steps, `[row]`.
        y: Values, NaN where there is none, `[row]`.
        pooled: Leave all rows as they are.

    Returns:
        Steps, values, and what was done.
    """
    known = np.isfinite(y)
    lost = int((~known).sum())
    notes = [f"Rows without a value are left out ({lost})."] if lost else []
    x, y = x[known], y[known]
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order]
    if pooled or x.size == 0:
        return x, y, notes
    steps, where, counts = np.unique(x, return_inverse=True, return_counts=True)
    most = int(counts.max())
    if most == 1:
        return x, y, notes
    means = np.bincount(where, weights=y) / counts
    whole = counts == most
    notes.append(f"Values are means of {most} rows per step.")
    if not whole.all():
        notes.append(
            f"Steps that some of these have not are left out ({int((~whole).sum())} of "
            f"{steps.size}, the last one kept is {steps[whole][-1]:g})."
        )
    return steps[whole], means[whole], notes


def plain_key(row: Sequence[Any]) -> tuple[Any, ...]:
    """The values of a group's columns as plain Python values."""
    return tuple(plain(value) for value in row)


def _groups(
    keys: Sequence[tuple[Any, ...]], n_rows: int
) -> tuple[list[tuple[Any, ...]], NDArray[np.int64]]:
    """Distinct keys, sorted where they can be, and which each row has."""
    if not keys:
        return [()], np.zeros(n_rows, dtype=np.int64)
    distinct = list(dict.fromkeys(keys))
    try:
        distinct.sort()
    except TypeError:
        distinct.sort(key=str)
    place = {key: index for index, key in enumerate(distinct)}
    return distinct, np.array([place[key] for key in keys], dtype=np.int64)


def _shared(frame: pd.DataFrame, name: str, given: float | None) -> float | None:
    """A number that all rows of a curve share; None where there is none, or more than one."""
    if given is None and name in frame.columns:
        values = np.unique(numbers(frame, name, "Fill or remove the row.", empty=True))
        given = float(values[0]) if values.size == 1 and np.isfinite(values[0]) else None
    if given is not None:
        require_size(name, np.array([given], dtype=np.float64))
    return given


def _frame(
    table: Table, columns: CurveColumns
) -> tuple[pd.DataFrame, Sequence[str], int | None, float | None]:
    """The table, its groups, and horizon and steps per epoch where a study knows them."""
    if isinstance(table, pd.DataFrame):
        require_table(table, "the table")
        return table, columns.group or (), None, None
    study = table if isinstance(table, Study) else None
    if study is None and Path(str(table)).is_dir():
        study = Study(str(table))
    if study is None:
        return read_table(Path(str(table))), columns.group or (), None, None
    frames = [run_frame(run, columns) for run in study.runs]
    whole = pd.concat(frames, ignore_index=True)
    usual = [name for name in ("run_id", "weight_decay", "layer") if name in whole.columns]
    if len(study.runs) == 1:
        usual.remove("run_id")
    epochs = {float(run.manifest["steps_per_epoch"]) for run in study.runs}
    horizon = min(int(run.manifest["horizon_steps"]) for run in study.runs)
    return whole, columns.group or usual, horizon, epochs.pop() if len(epochs) == 1 else None


def run_frame(run: Run, columns: CurveColumns) -> pd.DataFrame:
    """A value of a run, a row per replica and step, and per layer where it has several.

    Layers, or whatever a list is of, are counted from 0.

    Raises:
        ConfigError: If the run records no such value.
    """
    tables = run.tables() if columns.table is None else (columns.table,)
    holding = [
        (name, column)
        for name in tables
        for column in run.columns(name)
        if column.name == columns.value
    ]
    if not holding:
        known = sorted({c.name for name in tables for c in run.columns(name)})
        raise ConfigError(
            f"`value` must be recorded by the run, got {columns.value!r}, which is none of {known}."
        )
    name, column = holding[0]
    frame = run.table(name, [columns.value])
    if column.dims:
        dim = column.dims[0]
        lists = [() if v is None or np.ndim(v) == 0 else v for v in frame[columns.value]]
        sizes = np.array([len(v) for v in lists])
        frame = pd.DataFrame(frame.iloc[np.repeat(np.arange(len(frame)), sizes)])
        frame[columns.value] = np.concatenate([np.asarray(v, dtype=np.float64) for v in lists])
        frame[dim] = np.concatenate([np.arange(size) for size in sizes])
    settings = run.replicas()
    kept = [c for c in settings.columns if c == "replica" or c not in frame.columns]
    return pd.DataFrame(frame.merge(settings[kept], on="replica", how="left"))
