"""An order parameter by size, control and seed, from any table, and the chain that is for it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.settings import built, draw_seed
from observatory.analysis.fit.task import ReadRows, Task, rows_part
from observatory.analysis.scaling.estimators.sample import SizedRows
from observatory.analysis.tables.columns import Role, resolve
from observatory.analysis.tables.last_looks import last_looks
from observatory.analysis.tables.open import Table, caveats_of, open_table
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
_STUDY_ROLES = {
    **ROLES,
    "control": Role(usual=("weight_decay",), required=True),
    "value": Role(usual=("val_acc",), required=True),
}
"""The same of a study, whose size is a setting such as task.p."""
_MAX_DRAWN = 50_000_000  # rows of all resamples together


def read_sized(table: pd.DataFrame | Study, asked: Mapping[str, str | None]) -> ReadRows:
    """Read and check a table, its columns named by role; of a study also settings of its runs.

    Raises:
        ConfigError: If a column is missing, holds what is no number, or a seed recurs in a cell.
    """
    roles, frame = ROLES, table
    if isinstance(frame, Study):
        roles = _STUDY_ROLES
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
        rule = "must be once at each size and control, is there again"
        cure = "Keep the rows of one setting, or name the column that sets these runs apart."
        refuse(again, names["group"], rule, cure)
    order = np.lexsort((value, np.zeros(value.size) if seed is None else seed, control, size))
    size, control, value = size[order], control[order], value[order]
    seed = None if seed is None else seed[order]
    return ReadRows(SizedRows(size, control, value, seed, names["value"]), names, warnings)


def prepare_scaling(table: Table, estimator: str | None, options: Mapping[str, Any]) -> Task:
    """The chain on a table, with the options of `ScalingOptions`, checked by `known_options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: value for name, value in options.items() if value is not None}
    chain, node = built("scaling", estimator, given)
    opened = open_table(table, given.get("tracking_uri"), given.values())
    read = read_sized(opened, {role: given.get(role) for role in ROLES})
    read = replace(read, warnings=[*caveats_of(opened), *read.warnings])
    n_draws, n_rows = max(node["n_bootstrap"], node["n_null"]), read.rows.value.size
    if n_rows * n_draws > _MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` and `n_null` must be at most {_MAX_DRAWN // n_rows} for {n_rows} rows, "
            f"got {n_draws}: every draw holds them all. Lower them, or thin the table."
        )
    part = rows_part(chain, read, draw_seed(given.get("seed")))
    return Task("scaling", [part], read.columns)
