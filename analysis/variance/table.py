"""Outcomes with the levels that they share, from a table of anyone or from the run store."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from observatory.analysis.fit.task import ReadRows
from observatory.analysis.tables.columns import Role, column_of, resolve
from observatory.analysis.tables.last_looks import rows_of
from observatory.analysis.tables.values import codes_of, with_value
from observatory.analysis.variance.estimators.components import VarianceRows
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

USUAL = ("seed", "split")
"""Components that are looked for where none is named."""


def read_components(
    table: pd.DataFrame | Study, value: str | None, arm: str | None, group: Sequence[str] | None
) -> ReadRows:
    """Read and check a table: a row per run; columns that are None are the usual ones.

    Raises:
        ConfigError: If a column is missing, is asked for twice, or a value is no number.
    """
    value_role = Role(usual=["value", "val_acc"], required=True)
    roles = {"value": value_role, "arm": Role(), "group": Role(usual=group or USUAL, required=True)}
    frame = rows_of(table, {"value": value, "arm": arm}, roles)
    present = [str(name) for name in frame.columns]
    names = group or [name for name in USUAL if column_of(name, present)] or [None]
    columns: dict[str, str] = {}
    components: list[str] = []
    for name in names:
        columns = resolve({"value": value, "group": name, "arm": arm}, roles, present)
        components.append(columns["group"])
    if len(set(components)) < len(components):
        raise ConfigError(f"A column can be one thing only, got {components} for components.")
    frame, outcome, warnings = with_value(frame, columns["value"])
    levels = {
        str(name): codes_of(frame, column)[0]
        for name, column in zip(names, components, strict=True)
    }
    arms = np.zeros(outcome.size, dtype=np.int64)
    if "arm" in columns:
        arms = codes_of(frame, columns["arm"])[0]
    rows = VarianceRows(outcome, levels, arms, columns["value"])
    return ReadRows(rows, {**columns, "group": ", ".join(components)}, warnings)
