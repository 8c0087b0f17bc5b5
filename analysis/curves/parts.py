"""Laws of curves as fits of a task: which law, of which curves of a table."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from observatory.analysis.curves.estimators.series import CurveLaw
from observatory.analysis.curves.table import Curve, CurveColumns, read_curves
from observatory.analysis.fit.settings import build, draw_seed, settings_of
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.tables.open import Table, open_table
from observatory.core.errors import FitRefusedError


def prepare_curves(table: Table, estimator: str, options: Mapping[str, Any]) -> Task:
    """A law and every curve of a table, both checked.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder, "mlflow:EXPERIMENT".
        estimator: Name of a file of conf/fit, with or without the question.
        options: As of `CurvesOptions`, checked by `known_options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: value for name, value in options.items() if value is not None}
    numbers = {name: given[name] for name in ("level", "n_bootstrap") if name in given}
    folder = given.get("config_dir")
    changes = {**numbers, **given.get("settings", {})}
    name, node = settings_of("curves", estimator, changes, folder)
    law: CurveLaw = build(name, node, trusted=folder is not None)
    seed = draw_seed(given.get("seed"))
    asked = {field.name: given.get(field.name) for field in fields(CurveColumns)}
    if isinstance(asked["group"], str):
        asked["group"] = [column.strip() for column in asked["group"].split(",")]
    opened = open_table(table, given.get("tracking_uri"))
    curves = read_curves(opened, CurveColumns(**asked), law)
    names = (curves[0].series.step_name, curves[0].series.value_name)
    return Task("curves", [curve_part(law, curve, seed) for curve in curves], names)


def curve_part(law: CurveLaw, curve: Curve, seed: int) -> Part:
    """One curve as a part of a task.

    Args:
        law: What is fitted.
        curve: To what.
        seed: Of the resampling.
    """
    series = curve.series

    def compute() -> Estimate:
        if not series.n:
            raise FitRefusedError(
                f"There is no finite reading of `{series.value_name}`, got 0 points. Name a column "
                "that holds some."
            )
        return law.estimate(series, seed)

    return Part(
        fit=law.fit_name,
        estimator=law.estimator,
        event=series.value_name,
        level=law.level,
        n=series.n,
        seed=seed,
        compute=compute,
        horizon_steps=series.horizon_steps,
        group=curve.group,
        warnings=curve.notes,
        curves={"data.step": series.step.tolist(), "data.value": series.value.tolist()},
    )
