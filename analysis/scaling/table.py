"""An order parameter by size, control and seed, from a table of anyone or from the run store."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from observatory.analysis.tables.sources import Table

from observatory.analysis.scaling.estimators.sample import SizedRows
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.files import read_table, require_table
from observatory.analysis.tables.last_looks import last_looks
from observatory.analysis.tables.values import labels, numbers, refuse
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SizeColumns:
    """Which columns hold what; None: the usual name.

    Attributes:
        size: Size of the system: "size". Of a study, a setting such as task.p or model.d_model.
        control: What is varied at each size: "control"; of a study, "weight_decay".
        value: The order parameter: "value"; of a study, "val_acc" at the last look.
        group: What rows of one size share: "seed", where the table has it.
    """

    size: str | None = None
    control: str | None = None
    value: str | None = None
    group: str | None = None


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


def read_sized(table: Table, columns: SizeColumns) -> SizedTable:
    """Read and check a table.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        columns: See `SizeColumns`.

    Raises:
        ConfigError: If a column is missing, holds what is no number, or a seed recurs in a cell.
        StoreError: If a folder is no study.
    """
    frame, usual = _frame(table, columns)
    present = list(map(str, frame.columns))
    found = {role: _column(role, getattr(columns, role), usual[role], present) for role in usual}
    advice = "Fill or remove the row."
    names = {role: name for role, name in found.items() if name is not None}
    if twice := sorted({name for name in names.values() if list(names.values()).count(name) > 1}):
        raise ConfigError(f"A column can be one thing only, got {twice} for several.")
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
            "Keep the rows of one setting, or name the column that tells these runs apart.",
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


def _column(role: str, asked: str | None, usual: str, present: list[str]) -> str | None:
    """The column of a role; None for a group that nobody named and the table has not.

    Raises:
        ConfigError: If it is missing.
    """
    found = column_of(usual if asked is None else asked, present)
    if found is None and (role != "group" or asked is not None):
        name = "" if asked is None else f", got {asked!r}"
        raise ConfigError(
            f"`{role}` must name a column of the table{name}. "
            f"{known_columns(present, asked or usual)}"
        )
    return found


def _frame(table: Table, columns: SizeColumns) -> tuple[pd.DataFrame, dict[str, str]]:
    """The table, and the usual name of each role in it."""
    usual = {"size": "size", "control": "control", "value": "value", "group": "seed"}
    if isinstance(table, pd.DataFrame):
        require_table(table, "the table")
        return table.rename(columns=str), usual
    study = table if isinstance(table, Study) else None
    if study is None and Path(str(table)).is_dir():
        study = Study(str(table))
    if study is None:
        return read_table(Path(str(table))), usual
    usual |= {"control": "weight_decay", "value": "val_acc"}
    names = [getattr(columns, role) or usual[role] for role in ("size", "control", "value")]
    return last_looks(study, names), usual
