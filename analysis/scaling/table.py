"""An order parameter by size, control and seed, from a table of anyone or from the run store."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.analysis.scaling.estimators.sample import SizedRows
from observatory.analysis.tables.columns import Role, resolve
from observatory.analysis.tables.last_looks import last_looks
from observatory.analysis.tables.values import labels, numbers, refuse
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

ROLES = {
    "size": Role(usual=("size",), required=True),
    "control": Role(usual=("control",), required=True),
    "value": Role(usual=("value",), required=True),
    "group": Role(usual=("seed",)),
}
"""Size of a system, what is varied at each, the order parameter, what rows of one size share."""
STUDY_ROLES = {
    **ROLES,
    "control": Role(usual=("weight_decay",), required=True),
    "value": Role(usual=("val_acc",), required=True),
}
"""The same of a study, whose size is a setting such as task.p."""


@dataclass(frozen=True)
class SizedTable:
    """A table as the chain takes it.

    Attributes:
        rows: Size, control, value and seed of each row.
        columns: Which column was read as what, by role.
        warnings: What was left out.
    """

    rows: SizedRows
    columns: Mapping[str, str]
    warnings: list[str]


def read_sized(table: pd.DataFrame | Study, asked: Mapping[str, str | None]) -> SizedTable:
    """Read and check a table.

    Args:
        table: As `open_table` gives it.
        asked: Names of columns by role; of a study, also of settings of its runs.

    Raises:
        ConfigError: If a column is missing, holds what is no number, or a seed recurs in a cell.
    """
    roles, frame = ROLES, table
    if isinstance(frame, Study):
        roles = STUDY_ROLES
        wanted = [asked.get(role) or rule.usual[0] for role, rule in roles.items()]
        frame = last_looks(frame, wanted[:-1])
    names = resolve(asked, roles, list(frame.columns))
    advice = "Fill or remove the row."
    frame = frame.reset_index(drop=True)
    value = numbers(frame, names["value"], advice, empty=True)
    lost = np.isnan(value)
    warnings = [f"Rows without a value are left out ({int(lost.sum())})."] if lost.any() else []
    frame, value = pd.DataFrame(frame.loc[~lost]).reset_index(drop=True), value[~lost]
    if frame.empty:
        raise ConfigError(f"`{names['value']}` is empty in every row. Name another by `--value`.")
    size = numbers(frame, names["size"], advice)
    refuse(size <= 0, names["size"], "must be positive", "A size of 0 has no power.")
    control = numbers(frame, names["control"], advice)
    seed = labels(frame, names["group"]) if "group" in names else None
    if seed is not None:
        again = pd.DataFrame({"s": size, "c": control, "g": seed}).duplicated().to_numpy()
        refuse(
            again,
            names["group"],
            "must be once at each size and control, is there again",
            "Keep the rows of one setting, or name the column that sets these runs apart.",
        )
    order = np.lexsort((value, np.zeros(value.size) if seed is None else seed, control, size))
    rows = SizedRows(
        size[order],
        control[order],
        value[order],
        None if seed is None else seed[order],
        names["value"],
    )
    return SizedTable(rows, names, warnings)
