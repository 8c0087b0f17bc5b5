"""The finite-size chain and the table that it is for, both checked."""

from collections.abc import Mapping
from typing import Any

from observatory.analysis.fit.settings import build, draw_seed, settings_of
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.scaling.table import ROLES, SizedTable, read_sized
from observatory.analysis.tables.columns import columns_text
from observatory.analysis.tables.open import Table, open_table
from observatory.core.errors import ConfigError

MAX_DRAWN = 50_000_000
"""Rows of all resamples together."""


def prepare_scaling(table: Table, estimator: str | None, options: Mapping[str, Any]) -> Task:
    """The chain on a table.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder, "mlflow:EXPERIMENT".
        estimator: Name of a file of conf/fit, with or without the question.
        options: As of `ScalingOptions`, checked by `known_options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: value for name, value in options.items() if value is not None}
    numbers = {name: given[name] for name in ("level", "n_bootstrap") if name in given}
    folder = given.get("config_dir")
    changes = {**numbers, **given.get("settings", {})}
    name, node = settings_of("scaling", estimator, changes, folder)
    chain = build(name, node, trusted=folder is not None)
    opened = open_table(table, given.get("tracking_uri"))
    read = read_sized(opened, {role: given.get(role) for role in ROLES})
    n_draws, n_rows = max(node["n_bootstrap"], node["n_null"]), read.rows.value.size
    if n_rows * n_draws > MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` and `n_null` must be at most {MAX_DRAWN // n_rows} for {n_rows} rows, "
            f"got {n_draws}: every draw holds them all. Lower them, or thin the table."
        )
    part = chain_part(chain, read, draw_seed(given.get("seed")))
    return Task("scaling", [part], read.columns)


def chain_part(chain: Any, read: SizedTable, seed: int) -> Part:
    """The chain as a part of a task.

    Args:
        chain: A finite-size analysis.
        read: What it is of.
        seed: Of all draws.
    """
    return Part(
        fit=chain.fit_name,
        estimator=chain.estimator,
        event=read.rows.order_parameter,
        level=chain.level,
        n=read.rows.value.size,
        seed=seed,
        compute=lambda: chain.estimate(read.rows, seed),
        warnings=read.warnings,
        extras={"columns": columns_text(read.columns)},
    )
