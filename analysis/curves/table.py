"""Curves from a table of anyone or from the run store: a series per group, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.series import CurveLaw, Series
from observatory.analysis.tables.columns import Role, column_of, resolve
from observatory.analysis.tables.values import cells, missing, numbers, plain
from observatory.core.errors import ConfigError
from observatory.store.reader import Run, Study

Array = NDArray[np.float64]

MAX_CURVES = 2000
"""Groups of one table, of half a second each."""
SMALLEST, LARGEST = 1e-100, 1e100
"""Squares of larger and smaller numbers than these are beyond what a computer holds."""


@dataclass(frozen=True, kw_only=True)
class CurveColumns:
    """Which columns hold the curves, and what is known beside them; None: the usual.

    Attributes:
        step: Abscissa.
        value: Ordinate.
        group: What sets curves apart.
        lr: Learning rate, instead of a column of that name.
        weight_decay: Weight decay, likewise.
        steps_per_epoch: Optimizer steps per epoch.
        horizon_steps: Steps that were run.
    """

    step: str | None = None
    value: str | None = None
    group: Sequence[str] | None = None
    lr: float | None = None
    weight_decay: float | None = None
    steps_per_epoch: float | None = None
    horizon_steps: int | None = None


@dataclass(frozen=True)
class Curve:
    """A series and what it is of.

    Attributes:
        group: Values of the group's columns by name.
        series: Its points.
        notes: What was averaged or left out.
    """

    group: Mapping[str, Any]
    series: Series
    notes: Sequence[str]


def read_curves(table: pd.DataFrame | Study, columns: CurveColumns, law: CurveLaw) -> list[Curve]:
    """Every curve of a table.

    Args:
        table: As `open_table` gives it.
        columns: See `CurveColumns`.
        law: Whose usual columns are looked for.

    Raises:
        ConfigError: If a column is missing or holds what is no number, or one too large or small
            to be squared, or there are too many curves.
    """
    if isinstance(table, Study):
        frame, usual, horizon, epoch = _of_study(table, columns, law)
    else:
        frame, usual, horizon, epoch = table, (), None, None
    present = list(frame.columns)
    roles = {"step": ("step",), "value": (law.usual_value,)}
    named = resolve(
        {"step": columns.step, "value": columns.value},
        {role: Role(usual=names, required=True) for role, names in roles.items()},
        present,
    )
    asked = columns.group or usual
    group = [resolve({"group": name}, {"group": Role()}, present)["group"] for name in asked]
    for name in group:
        if missing(cells(frame, name)).any():
            raise ConfigError(f"`{name}` must say which curve a row belongs to, got empty cells.")
    x = numbers(frame, named["step"], "Fill or remove the row.")
    y = numbers(frame, named["value"], "Leave it empty where nothing was measured.", empty=True)
    keys = [tuple(map(plain, row)) for row in zip(*(frame[name] for name in group), strict=True)]
    names, which = _groups(keys, len(frame))
    if len(names) > MAX_CURVES:
        raise ConfigError(
            f"`group` must give at most {MAX_CURVES} curves, got {len(names)}. Name fewer columns."
        )
    found: list[Curve] = []
    for index, key in enumerate(names):
        rows = np.flatnonzero(which == index)
        step, value, notes = gathered(x[rows], y[rows], pooled=law.pooled)
        part = pd.DataFrame(frame.iloc[rows])
        require_size(named["step"], step)
        require_size(named["value"], value)
        series = Series(
            step,
            value,
            named["step"],
            named["value"],
            _shared(part, "lr", columns.lr),
            _shared(part, "weight_decay", columns.weight_decay),
            epoch if columns.steps_per_epoch is None else columns.steps_per_epoch,
            horizon if columns.horizon_steps is None else columns.horizon_steps,
        )
        found.append(Curve(dict(zip(asked, key, strict=True)), series, notes))
    return found


def require_size(name: str, values: Array) -> None:
    """Refuse numbers that are too large or too small to be squared.

    Args:
        name: Of what they are.
        values: Finite.

    Raises:
        ConfigError: If the largest one is out of range; 0 is not.
    """
    most = float(np.abs(values).max(initial=0.0))
    if most > 0 and not SMALLEST <= most <= LARGEST:
        raise ConfigError(
            f"`{name}` must lie between {SMALLEST:g} and {LARGEST:g} where it is largest, whatever "
            f"its sign, got {most:g}. Give it in another unit."
        )


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
    column = column_of(name, list(frame.columns))
    if given is None and column is not None:
        values = np.unique(numbers(frame, column, "Fill or remove the row.", empty=True))
        given = float(values[0]) if values.size == 1 and np.isfinite(values[0]) else None
    if given is not None:
        require_size(name, np.array([given], dtype=np.float64))
    return given


def _of_study(
    study: Study, columns: CurveColumns, law: CurveLaw
) -> tuple[pd.DataFrame, Sequence[str], int, float | None]:
    """The rows of a study, its usual groups, its horizon, and its steps per epoch where known."""
    value = columns.value or law.usual_value
    table = law.usual_table if columns.value is None else None
    whole = pd.concat([run_frame(run, table, value) for run in study.runs], ignore_index=True)
    usual = [name for name in ("run_id", "weight_decay", "layer") if name in whole.columns]
    if len(study.runs) == 1:
        usual.remove("run_id")
    epochs = {float(run.manifest["steps_per_epoch"]) for run in study.runs}
    horizon = min(int(run.manifest["horizon_steps"]) for run in study.runs)
    return whole, usual, horizon, epochs.pop() if len(epochs) == 1 else None


def run_frame(run: Run, table: str | None, value: str) -> pd.DataFrame:
    """A value of a run, a row per replica and step, and per layer where it has several.

    Layers, or whatever a list is of, are counted from 0.

    Args:
        run: The run.
        table: That holds the value; None: whichever does.
        value: Its column.

    Raises:
        ConfigError: If the run records no such value.
    """
    tables = run.tables() if table is None else (table,)
    holding = [(t, column) for t in tables for column in run.columns(t) if column.name == value]
    if not holding:
        known = sorted({c.name for name in tables for c in run.columns(name)})
        raise ConfigError(
            f"`value` must be recorded by the run, got {value!r}, which is none of {known}."
        )
    name, column = holding[0]
    frame = run.table(name, [value])
    if column.dims:
        dim = column.dims[0]
        lists = [() if v is None or np.ndim(v) == 0 else v for v in frame[value]]
        sizes = np.array([len(v) for v in lists])
        frame = pd.DataFrame(frame.iloc[np.repeat(np.arange(len(frame)), sizes)])
        frame[value] = np.concatenate([np.asarray(v, dtype=np.float64) for v in lists])
        frame[dim] = np.concatenate([np.arange(size) for size in sizes])
    settings = run.replicas()
    kept = [c for c in settings.columns if c == "replica" or c not in frame.columns]
    return pd.DataFrame(frame.merge(settings[kept], on="replica", how="left"))
