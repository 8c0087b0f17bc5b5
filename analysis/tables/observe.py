"""From a table with named columns to observations, in whichever layout it has."""

import pandas as pd

from observatory.analysis.tables.columns import resolve
from observatory.analysis.tables.counts import read_counts
from observatory.analysis.tables.files import require_table
from observatory.analysis.tables.reading import ROLES, Columns, Reading
from observatory.analysis.tables.replicas import preset_names, read_replicas
from observatory.analysis.tables.runs import read_runs
from observatory.analysis.tables.values import control_of
from observatory.core.errors import ConfigError


def observe(
    frame: pd.DataFrame,
    asked: Columns,
    event: str | None,
    horizon_steps: int | None,
    *,
    timed: bool,
) -> Reading:
    """A table as fits take it.

    It is a table of replicas where it has columns of an event preset (`first99_observed` and so
    on) and no success is named; a table of counts where it has `n` and `n_grokked`; else a table of
    runs, a row each.

    Args:
        frame: The table.
        asked: Names of columns.
        event: What grokked means: an event preset in a table of replicas, else any word.
        horizon_steps: Where records will be cut, see `cut`, or the horizon that the counts belong
            to; None where nobody knows.
        timed: Whether the fit needs the times.

    Returns:
        Observations, sorted and not cut yet, with warnings.

    Raises:
        ConfigError: If a column is missing or a cell breaks its rule.
    """
    require_table(frame, "table")
    if horizon_steps is not None and horizon_steps <= 0:
        raise ConfigError(f"`horizon_steps` must be positive, got {horizon_steps}. Give steps.")
    frame = frame.reset_index(drop=True).rename(columns=str)
    present = list(frame.columns)
    columns = Columns(**resolve(vars(asked), ROLES, present))
    control = control_of(frame, str(columns.control))
    named = asked.success or asked.time or asked.n_grokked
    if not named and preset_names(present):
        return read_replicas(frame, columns, control, event, horizon_steps)
    counted = columns.n is not None and columns.n_grokked is not None
    if counted and asked.success is None and asked.time is None:
        if timed:
            raise ConfigError(
                "`time` must name a column: a table of counts has no times. Give a row per run."
            )
        return read_counts(frame, columns, control, event or "grokked", horizon_steps)
    return read_runs(frame, columns, control, event, horizon_steps, timed=timed)
