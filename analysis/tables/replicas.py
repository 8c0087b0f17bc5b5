"""A table of replicas as the run store writes it: every event preset as an interval."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.reading import ENDED, Columns, Reading, control_words, in_order
from observatory.analysis.tables.runs import require_distinct_runs
from observatory.analysis.tables.values import (
    Array,
    cells,
    labels,
    missing,
    refuse,
    steps,
    truths,
    weights_of,
)
from observatory.core.errors import ConfigError
from observatory.core.settings import known_name

_MIRRORED = {"metrics.cell/weight_decay", "metrics.cell/replicas", "metrics.rate/grokked"}
"""Columns of an MLflow experiment that mirrors a study."""
_MAIN = "first99"
"""The event preset that is read where none is named, and there are several."""
ADVICE = "The table was changed by hand: write it anew."


def preset_names(present: Sequence[str]) -> list[str]:
    """The event presets of a table: those with a `_lo`, `_hi` and `_observed` column.

    Example:
        >>> preset_names(["first99_lo", "first99_hi", "first99_observed", "event_observed"])
        ['first99']
    """
    names = [name.removesuffix("_observed") for name in present if name.endswith("_observed")]
    return [name for name in names if {f"{name}_lo", f"{name}_hi"} <= set(present)]


def is_ours(present: Sequence[str]) -> bool:
    """Whether a table comes from the run store, by a file or by MLflow."""
    return bool(preset_names(present)) or set(present) >= _MIRRORED


def read_replicas(
    frame: pd.DataFrame,
    columns: Columns,
    control: Array,
    event: str | None,
    horizon: int | None,
) -> Reading:
    """Replicas with a record, with one event preset as what grokked means.

    A replica that collapsed or diverged within the horizon has not grokked and can no longer.

    Raises:
        ConfigError: If the table has no such event, or a replica is in it twice, or if replicas
            still train and are not recorded up to the horizon.
    """
    presets = preset_names(list(frame.columns))
    only = presets[0] if len(presets) == 1 else _MAIN
    name = only if event is None else event
    known_name("event", name, presets)
    require_distinct_runs(frame)
    watched = np.full(len(frame), np.nan)
    if columns.watched is not None:
        watched = steps(frame, columns.watched, ADVICE)
    finished = np.ones(len(frame), dtype=np.bool_)
    if columns.outcome is not None:
        finished = ~missing(cells(frame, columns.outcome))
    warnings = _require_recorded(frame, name, finished, watched, horizon)
    finished = finished | ~np.isnan(watched)
    seen = cells(frame, f"{name}_observed").astype(object).where(finished, False)
    frame = frame.assign(**{f"{name}_observed": seen})
    low, high = (steps(frame, f"{name}_{end}", ADVICE) for end in ("lo", "hi"))
    refuse(low > high, f"{name}_lo", f"must be at most `{name}_hi`", ADVICE)
    observed = truths(frame, f"{name}_observed")
    ended = watched
    if "diverged_step" in frame.columns:
        diverged = steps(frame, "diverged_step", ADVICE)
        ended = np.where(np.isnan(diverged), watched, diverged)
    failed = np.zeros(len(frame), dtype=np.bool_)
    if columns.outcome is not None:
        failed = np.asarray(cells(frame, columns.outcome).isin(ENDED), dtype=np.bool_)
    failed = failed & ~(ended > (np.inf if horizon is None else horizon))
    grokked = observed & ~failed
    data = Observations(
        control,
        grokked,
        np.where(observed, high, np.nan),
        name,
        None,
        None,
        time_lo=np.where(observed, low, np.nan),
        watched=None if np.isnan(watched).all() else watched,
        seed=None if columns.group is None else labels(frame, columns.group),
        weight=weights_of(frame, columns.weights),
        competing=failed,
        failed_at=np.where(failed, ended, np.nan),
        control=control_words(str(columns.control)),
    )
    read = columns.text(("control", "watched", "group", "weights", "outcome"))
    return Reading(in_order(data.take(finished)), warnings, f"event {name}, {read}")


def _require_recorded(
    frame: pd.DataFrame,
    event: str,
    finished: NDArray[np.bool_],
    watched: Array,
    horizon: int | None,
) -> list[str]:
    """Warnings on replicas that have not ended; raises where rates would be of those that have."""
    begun = ~finished & ~np.isnan(watched)
    left = int((~finished & ~begun).sum())
    if left == len(frame):
        raise ConfigError("`outcome` is empty in every row: no replica has a record. Wait.")
    warnings = [f"Replicas without a record yet are left out ({left})."] if left else []
    if not begun.any():
        return warnings
    until, n = int(watched[begun].min()), int(begun.sum())
    why = f"{n} replicas still train, and those that ended are no sample of all"
    if horizon is None or horizon > until:
        raise ConfigError(
            f"`horizon_steps` must be at most {until}, up to which all are recorded: {why}."
        )
    if missing(cells(frame, f"{event}_observed"))[begun].any():
        raise ConfigError(f"`event` {event} cannot be seen before the end: {why}. Wait.")
    return [*warnings, f"Replicas still train: all are cut at {horizon} steps ({n})."]
