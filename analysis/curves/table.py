"""Curves of a table of anyone or of the run store, a series per group, as parts of a task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_fit import CurveLaw
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.fit.settings import built, draw_seed
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.stats.estimate import Estimate, about
from observatory.analysis.tables.columns import Role, column_of, resolve
from observatory.analysis.tables.open import Table, caveats_of, open_table
from observatory.analysis.tables.values import cells, missing, numbers, plain
from observatory.analysis.tables.watched import (
    DRAWN,
    are_watched,
    why_no_setting,
    why_no_table,
)
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Run, Study

Array = NDArray[np.float64]

_MAX_CURVES = 2000
"""Groups of one table, of half a second each."""
_SMALLEST, _LARGEST = 1e-100, 1e100
"""Squares of larger and smaller numbers than these are beyond what a computer holds."""


@dataclass(frozen=True)
class Curve:
    """A series, the values of its group's columns by name, and what was averaged or left out."""

    group: Mapping[str, Any]
    series: Series
    notes: Sequence[str]


def _read_curves(
    table: pd.DataFrame | Study, options: Mapping[str, Any], law: CurveLaw
) -> list[Curve]:
    """Every curve of a table, in the usual columns of a law where `CurvesOptions` name no others.

    Raises:
        ConfigError: If a column is missing or holds what is no number, or one too large or small
            to be squared, or there are too many curves.
    """
    if isinstance(table, Study):
        frame, usual, horizon, epoch = _of_study(table, options, law)
    else:
        frame, usual, horizon, epoch = table, (), None, None
    present = list(frame.columns)
    roles = {"step": Role(usual=("step",), required=True)}
    roles["value"] = Role(usual=(law.usual_value,), required=True)
    named = resolve({role: options.get(role) for role in roles}, roles, present)
    asked = options.get("group") or usual
    group = [resolve({"group": name}, {"group": Role()}, present)["group"] for name in asked]
    for name in group:
        if missing(cells(frame, name)).any():
            raise ConfigError(f"`{name}` must say which curve a row belongs to, got empty cells.")
    x = numbers(frame, named["step"], "Fill or remove the row.")
    y = numbers(frame, named["value"], "Leave it empty where nothing was measured.", empty=True)
    rows_of = _groups(frame, group)
    if len(rows_of) > _MAX_CURVES:
        raise ConfigError(
            f"`group` must give at most {_MAX_CURVES} curves, got {len(rows_of)}. Name fewer "
            "columns."
        )
    found: list[Curve] = []
    for key, rows in rows_of.items():
        step, value, notes = gathered(x[rows], y[rows], pooled=law.pooled)
        part = pd.DataFrame(frame.iloc[rows])
        _require_size(named["step"], step)
        _require_size(named["value"], value)
        series = Series(
            step,
            value,
            named["step"],
            named["value"],
            _shared(part, "lr", options.get("lr")),
            _shared(part, "weight_decay", options.get("weight_decay")),
            options.get("steps_per_epoch", epoch),
            options.get("horizon_steps", horizon),
        )
        found.append(Curve(dict(zip(asked, key, strict=True)), series, notes))
    return found


def _require_size(name: str, values: Array) -> None:
    """Refuse finite numbers of which the largest is too large or small to be squared, but for 0."""
    most = float(np.abs(values).max(initial=0.0))
    if most > 0 and not _SMALLEST <= most <= _LARGEST:
        raise ConfigError(
            f"`{name}` must lie between {_SMALLEST:g} and {_LARGEST:g} where it is largest, "
            f"whatever its sign, got {most:g}. Give it in another unit."
        )


def gathered(x: Array, y: Array, *, pooled: bool) -> tuple[Array, Array, list[str]]:
    """The points of one curve in rising order, readings of one step averaged.

    Where fewer rows have a step than others do, replicas have ended or were not read: those steps
    are left out, since a mean over other replicas is another curve.

    `pooled` leaves all rows as they are. Gives steps, values, and what was done.
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


def _groups(frame: pd.DataFrame, names: Sequence[str]) -> dict[tuple[Any, ...], list[int]]:
    """The rows of each distinct key, the keys sorted where they can be."""
    if not names:
        return {(): list(range(len(frame)))}
    found: dict[tuple[Any, ...], list[int]] = {}
    for row, cells_of_row in enumerate(zip(*(frame[name] for name in names), strict=True)):
        found.setdefault(tuple(map(plain, cells_of_row)), []).append(row)
    try:
        return {key: found[key] for key in sorted(found)}
    except TypeError:
        return {key: found[key] for key in sorted(found, key=str)}


def _shared(frame: pd.DataFrame, name: str, given: float | None) -> float | None:
    """A number that all rows of a curve share; None where there is none, or more than one."""
    column = column_of(name, list(frame.columns))
    if given is None and column is not None:
        values = np.unique(numbers(frame, column, "Fill or remove the row.", empty=True))
        given = float(values[0]) if values.size == 1 and np.isfinite(values[0]) else None
    if given is not None:
        _require_size(name, np.array([given], dtype=np.float64))
    return given


def _of_study(
    study: Study, options: Mapping[str, Any], law: CurveLaw
) -> tuple[pd.DataFrame, Sequence[str], int, float | None]:
    """The rows of a study, its usual groups, its horizon, and its steps per epoch where known.

    Raises:
        ConfigError: If a column was not recorded, or its trainings are watched and say not enough.
    """
    runs, value = study.runs, options.get("value")
    column = law.usual_value if value is None else value
    only = law.usual_table if value is None else None
    parts = [_run_frame(run, column, only, law.usual_table) for run in runs]
    whole = pd.concat(parts, ignore_index=True)
    usual = [name for name in ("run_id", "weight_decay", "layer") if name in whole.columns]
    if len(runs) == 1:
        usual.remove("run_id")
    if are_watched(runs):
        _require_settings(study.replicas(), options, law)
        if "weight_decay" in usual and missing(cells(whole, "weight_decay")).any():
            usual.remove("weight_decay")  # a run is one training: it sets the curves apart
    epochs = {run.manifest["steps_per_epoch"] for run in runs}
    horizon = min(int(run.manifest["horizon_steps"]) for run in runs)
    known = epochs.pop() if len(epochs) == 1 else None
    return whole, usual, horizon, None if known is None else float(known)


def _require_settings(replicas: pd.DataFrame, options: Mapping[str, Any], law: CurveLaw) -> None:
    """Refuse watched trainings without a setting that the law is of."""
    for name, example in law.settings.items():
        if options.get(name) is not None:
            continue
        used = f"{law.what[:1].lower()}{law.what[1:]} depends on it"
        option = f"name it for all, `--{name.replace('_', '-')} {example:g}`"
        if why := why_no_setting(replicas, name, example, used, option):
            raise ConfigError(f"{why} {DRAWN}")


def _run_frame(run: Run, value: str, only: str | None, usual: str | None) -> pd.DataFrame:
    """A value of a run, a row per replica and step, and per layer where it has several.

    Layers, or whatever a list is of, are counted from 0. "massive_mlp_out.ratio" is the column
    `ratio` of that table, and called so here too; a name that several tables have is that of the
    usual one.
    """
    if only is not None and (why := why_no_table(run, only)):
        raise ConfigError(f"{why} {DRAWN}")
    tables = run.tables() if only is None else (only,)
    within, _, name = value.rpartition(".")
    if within:
        tables = tuple(each for each in tables if within in {each, each.rpartition("/")[2]})
    holding = {t: column for t in tables for column in run.columns(t) if column.name == name}
    if not holding:
        known = sorted({c.name for each in tables or run.tables() for c in run.columns(each)})
        raise ConfigError(
            f"`value` must be recorded by the run, got {value!r}, which is none of {known}."
        )
    if len(holding) > 1 and usual not in holding:
        named = [f"{each.rpartition('/')[2]}.{name}" for each in holding]
        raise ConfigError(
            f"`value` must say of which table, got {value!r}. Give one of {', '.join(named)}."
        )
    source = usual if usual in holding else next(iter(holding))
    assert source is not None
    column = holding[source]
    frame = run.table(source, [name]).rename(columns={name: value})
    if column.dims:
        dim = column.dims[0]
        lists = [() if v is None or np.ndim(v) == 0 else v for v in frame[value]]
        sizes = np.array(
            [len(v) for v in lists], dtype=np.int64
        )  # none, where a run has just begun
        frame = pd.DataFrame(frame.iloc[np.repeat(np.arange(len(frame)), sizes)])
        frame[value] = np.concatenate([np.empty(0), *(np.asarray(v, np.float64) for v in lists)])
        frame[dim] = np.concatenate([np.arange(0), *(np.arange(size) for size in sizes)])
    settings = run.replicas()
    kept = [c for c in settings.columns if c == "replica" or c not in frame.columns]
    return pd.DataFrame(frame.merge(settings[kept], on="replica", how="left"))


def prepare_curves(table: Table, estimator: str, options: Mapping[str, Any]) -> Task:
    """A law and every curve of a table, both checked.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: value for name, value in options.items() if value is not None}
    law: CurveLaw = built("curves", estimator, given)[0]
    seed = draw_seed(given.get("seed"))
    if isinstance(given.get("group"), str):
        given["group"] = [column.strip() for column in given["group"].split(",")]
    opened = open_table(table, given.get("tracking_uri"), given.values())
    curves = _read_curves(opened, given, law)
    names = (curves[0].series.step_name, curves[0].series.value_name)
    parts = [curve_part(law, curve, seed) for curve in curves]
    said = caveats_of(opened)
    parts = [replace(part, warnings=[*said, *part.warnings]) for part in parts]
    return Task("curves", parts, names)


def curve_part(law: CurveLaw, curve: Curve, seed: int) -> Part:
    """One curve as a part of a task; `seed` is that of the resampling."""
    series = curve.series

    def compute() -> Estimate:
        if not series.n:
            raise FitRefusedError(
                f"There is no finite reading of `{series.value_name}`, got 0 points. Name a column "
                "that holds some."
            )
        return law.estimate(series, seed)

    return Part(
        **about(law, seed),
        event=series.value_name,
        n=series.n,
        compute=compute,
        horizon_steps=series.horizon_steps,
        group=curve.group,
        warnings=curve.notes,
        curves={"data.step": series.step.tolist(), "data.value": series.value.tolist()},
    )
