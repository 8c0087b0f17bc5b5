"""A table with learning rates as the clock's rows: each rate is read as fits of runs read it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.clock.estimators.clock import Clock
from observatory.analysis.clock.estimators.rows import ClockRows, joined
from observatory.analysis.fit.observed import Opened, open_runs
from observatory.analysis.fit.settings import built, draw_seed
from observatory.analysis.fit.source import Source, replica_source
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.stats.estimate import about
from observatory.analysis.tables.columns import Role, resolve
from observatory.analysis.tables.open import Table
from observatory.analysis.tables.values import numbers, refuse
from observatory.core.errors import ConfigError

_LR = {"lr": Role(usual=("lr", "learning_rate"), required=True)}
_MOST = 50


def by_lr(source: Source, name: str | None) -> tuple[dict[float, Source], str]:
    """A table for each learning rate, rising, and the column that holds them.

    Raises:
        ConfigError: If there is no such column, a cell is no positive number, or there are more
            than fifty learning rates.
    """
    frame = source.frame.reset_index(drop=True)
    column = resolve({"lr": name}, _LR, [str(found) for found in frame.columns])["lr"]
    lr = numbers(frame, column, "Fill or remove the row.")
    refuse(lr <= 0, column, "must be positive", "A learning rate of 0 trains nothing.")
    values = np.unique(lr)
    if values.size > _MOST:
        raise ConfigError(
            f"`lr` must have at most {_MOST} values, got {values.size} in {column}. Round it."
        )
    return {
        float(value): replace(source, frame=pd.DataFrame(frame.loc[lr == value]))
        for value in values
    }, column


def prepare_clock(table: Table, estimator: str | None, options: Mapping[str, Any]) -> Task:
    """The clock on a table, with the options of `ClockOptions`, checked by `known_options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: value for name, value in options.items() if value is not None}
    given |= {"level": given.get("level")}
    settings = dict(given.get("settings") or {})
    if "window_max" in given:
        settings["window_max"] = given["window_max"]
    fit: Clock = built("clock", estimator, {**given, "settings": settings})[0]
    seed = draw_seed(given.get("seed"))
    source = replica_source(table, given)
    parts, column = by_lr(source, given.get("lr"))
    own = {name: value for name, value in given.items() if name not in ("lr", "where")}
    opened = {lr: open_runs(part, own, timed=True) for lr, part in parts.items()}
    rows, warnings = _joined(opened)
    known = {**rows.data.about, "n": rows.data.n}
    part = Part(
        **about(fit, seed),
        **known,
        compute=lambda: fit.estimate(rows, seed),
        warnings=warnings,
        extras={
            "columns": f"lr {column}, {next(iter(opened.values())).columns}",
            "control": rows.data.control,
        },
    )
    return Task("clock", [part], rows)


def _joined(opened: Mapping[float, Opened]) -> tuple[ClockRows, list[str]]:
    """The records of all learning rates at their horizon, and what is to be said of them once."""
    said: list[str] = []
    parts = {}
    for lr, one in opened.items():
        parts[lr], notes = one.cut()
        said += [*one.warnings, *(f"At learning rate {lr:g}: {note}" for note in notes)]
    return joined(parts), list(dict.fromkeys(said))
