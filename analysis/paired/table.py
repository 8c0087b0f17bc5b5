"""Outcomes by arm and pair, from a table of anyone or from the run store."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.task import ReadRows
from observatory.analysis.paired.estimators.rows import PairedRows
from observatory.analysis.tables.columns import Role, resolve
from observatory.analysis.tables.last_looks import rows_of
from observatory.analysis.tables.values import codes_of, refuse, with_value
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

ROLES = {
    "value": Role(usual=["value", "val_acc"], required=True),
    "arm": Role(usual=["arm"], required=True),
    "pair": Role(usual=["seed"], required=True),
    "family": Role(),
}


def read_paired(table: pd.DataFrame | Study, options: Mapping[str, Any]) -> ReadRows:
    """Read and check a table, a row per pair, arm and condition, by the options of a comparison.

    Raises:
        ConfigError: If a column is missing, a value is no number, a pair recurs in an arm, or
            there is no such arm.
    """
    asked, reference = {role: options.get(role) for role in ROLES}, options.get("reference")
    frame = rows_of(table, asked, ROLES)
    columns = resolve(asked, ROLES, [str(name) for name in frame.columns])
    frame, value, warnings = with_value(frame, columns["value"])
    arm, arms = codes_of(frame, columns["arm"])
    pair, _ = codes_of(frame, columns["pair"])
    condition, conditions = np.zeros(value.size, dtype=np.int64), [""]
    if "family" in columns:
        condition, conditions = codes_of(frame, columns["family"])
    refuse(
        pd.DataFrame({"a": arm, "p": pair, "c": condition}).duplicated().to_numpy(),
        columns["pair"],
        "must be once in each arm and condition, is there again",
        "Average its rows, or name the column that tells them apart by `--family`.",
    )
    if reference is not None:
        if reference not in arms:
            raise ConfigError(f"`reference` must be one of {arms}, got {reference!r}.")
        first = arms.index(reference)
        arm = np.where(arm == first, 0, arm + (arm < first))
        arms = [arms[first], *arms[:first], *arms[first + 1 :]]
    outcome, against_first = columns["value"], reference is not None
    rows = PairedRows(value, arm, pair, condition, arms, conditions, outcome, against_first)
    return ReadRows(rows, columns, warnings)
