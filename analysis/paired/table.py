"""Outcomes by arm and pair, from a table of anyone or from the run store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from observatory.analysis.tables.sources import Table

from observatory.analysis.paired.estimators.rows import PairedRows
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.files import read_table, require_table
from observatory.analysis.tables.last_looks import last_looks
from observatory.analysis.tables.values import cells, missing, numbers, plain, refuse
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

USUAL = {"value": "value", "arm": "arm", "pair": "seed", "family": None}


@dataclass(frozen=True)
class PairedColumns:
    """Which columns hold what; None: the usual name.

    Attributes:
        value: The outcome: "value"; of a study, "val_acc" at the last look.
        arm: What is compared: "arm".
        pair: What the arms share: "seed".
        family: What tells conditions or outcomes apart; None: nothing does.
        reference: The arm that all others are compared with; None: every two arms.
    """

    value: str | None = None
    arm: str | None = None
    pair: str | None = None
    family: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class PairedTable:
    """A table as the comparison takes it.

    Attributes:
        rows: Outcomes by arm, pair and condition.
        columns: Which column was read as what, by role.
        warnings: What was left out.
    """

    rows: PairedRows
    columns: Mapping[str, str]
    warnings: list[str]


def read_paired(table: Table, columns: PairedColumns) -> PairedTable:
    """Read and check a table: a row per pair, arm and condition.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        columns: See `PairedColumns`.

    Raises:
        ConfigError: If a column is missing, a value is no number, a pair recurs in an arm, or
            there is no such arm.
        StoreError: If a folder is no study.
    """
    asked = [
        name
        for role in ("arm", "pair", "family")
        if (name := getattr(columns, role) or USUAL[role]) is not None
    ]
    frame, value_name = table_frame(table, columns.value, asked)
    usual = {**USUAL, "value": value_name}
    present = list(map(str, frame.columns))
    names: dict[str, str] = {}
    for role, name in usual.items():
        asked = getattr(columns, role) or name
        if asked is None:
            continue
        found = column_of(asked, present)
        if found is None:
            raise ConfigError(
                f"`{role}` must name a column of the table, got {asked!r}. "
                f"{known_columns(present, asked)}"
            )
        names[role] = found
    if twice := sorted({name for name in names.values() if list(names.values()).count(name) > 1}):
        raise ConfigError(f"A column can be one thing only, got {twice} for several.")
    frame = frame.reset_index(drop=True)
    value = numbers(frame, names["value"], "Fill or remove the row.", empty=True)
    lost = np.isnan(value)
    warnings = [f"Rows without a value are left out ({int(lost.sum())})."] if lost.any() else []
    frame, value = pd.DataFrame(frame.loc[~lost]).reset_index(drop=True), value[~lost]
    if frame.empty:
        raise ConfigError(f"`{names['value']}` is empty in every row. Name another by `--value`.")
    arm, arms = codes_of(frame, names["arm"])
    pair, _ = codes_of(frame, names["pair"])
    condition, conditions = np.zeros(value.size, dtype=np.int64), [""]
    if "family" in names:
        condition, conditions = codes_of(frame, names["family"])
    again = pd.DataFrame({"a": arm, "p": pair, "c": condition}).duplicated().to_numpy()
    refuse(
        again,
        names["pair"],
        "must be once in each arm and condition, is there again",
        "Average its rows, or name the column that tells them apart by `--family`.",
    )
    if columns.reference is not None:
        if columns.reference not in arms:
            raise ConfigError(f"`reference` must be one of {arms}, got {columns.reference!r}.")
        first = arms.index(columns.reference)
        arm = np.where(arm == first, 0, arm + (arm < first))
        arms = [arms[first], *arms[:first], *arms[first + 1 :]]
    rows = PairedRows(
        value, arm, pair, condition, arms, conditions, names["value"], columns.reference is not None
    )
    return PairedTable(rows, names, warnings)


def codes_of(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, list[str]]:
    """A column of names as indices, and the names: numbers in rising order, else by text."""
    column = cells(frame, name)
    refuse(missing(column), name, "must be filled, got an empty cell", "Fill or remove the row.")
    if not pd.api.types.is_numeric_dtype(column):
        column = column.map(str)
    codes, distinct = pd.factorize(column, sort=True)
    shown = [plain(value) for value in distinct]
    return codes.astype(np.int64), [f"{v:g}" if isinstance(v, float) else str(v) for v in shown]


def table_frame(table: Table, value: str | None, asked: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """The rows of a table, and the usual name of the outcome in it.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        value: Column of the outcome, where it was named.
        asked: Further columns that are wanted of a study.
    """
    if isinstance(table, pd.DataFrame):
        require_table(table, "the table")
        return table.rename(columns=str), "value"
    study = table if isinstance(table, Study) else None
    if study is None and Path(str(table)).is_dir():
        study = Study(str(table))
    if study is None:
        return read_table(Path(str(table))), "value"
    names = [value or "val_acc", *asked]
    return last_looks(study, names), "val_acc"
