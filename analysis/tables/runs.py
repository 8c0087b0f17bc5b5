"""A table with a row per run: whether it grokked, and when."""

import numpy as np
import pandas as pd

from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.columns import known_columns
from observatory.analysis.tables.reading import (
    ENDED,
    Columns,
    Reading,
    control_words,
    in_order,
    twins,
)
from observatory.analysis.tables.values import (
    Array,
    Mask,
    cells,
    labels,
    refuse,
    steps,
    truths,
    weights_of,
)
from observatory.core.errors import ConfigError

IDENTITY = ("run_id", "replica")


def read_runs(
    frame: pd.DataFrame,
    columns: Columns,
    control: Array,
    event: str | None,
    horizon: int | None,
    *,
    timed: bool,
) -> Reading:
    """Observations of a table of runs.

    Raises:
        ConfigError: If a column is missing or a cell breaks its rule.
    """
    _require_event(columns, list(frame.columns), timed=timed)
    require_distinct_runs(frame)
    time, time_lo, watched = _times_of(frame, columns)
    grokked, watched, warnings = _grokked_of(frame, columns, time, watched)
    if timed:
        advice = "Give the time at which it had it, or leave the row out."
        rule = "must be given where a run had the event"
        refuse(grokked & np.isnan(time), str(columns.time), rule, advice)
    if time_lo is not None and (unsaid := grokked & np.isnan(time_lo) & ~np.isnan(time)).any():
        time_lo = np.where(unsaid, 0.0, time_lo)
        warnings.append(
            f"Rows with a time and an empty `{columns.t_lo}` ({int(unsaid.sum())}): the event may "
            "have come at any step up to that time. Where it is exact, give the time in both."
        )
    late = grokked & (time > watched)
    refuse(late, str(columns.time), f"must be at most `{columns.watched}`", "Check both columns.")
    reached = grokked
    competing = failed_at = None
    if columns.outcome is not None:
        ended = np.asarray(cells(frame, columns.outcome).isin(ENDED), dtype=np.bool_)
        competing = ended & ~(watched > (np.inf if horizon is None else horizon))
        if both := int((competing & grokked).sum()):
            what = " or ".join(ENDED)
            warnings.append(f"Rows with the event that {what} ({both}) count as without it.")
        grokked = grokked & ~competing
        failed_at = np.where(competing, watched, np.nan)
    same = [name for name in (columns.control, columns.group) if name is not None]
    warnings += twins(frame, same, f"the {' and the '.join(same)}") if columns.group else []
    if _pasted_twice(frame):
        warnings.append("The second half of the table repeats the first: was it pasted twice?")
    data = Observations(
        control,
        grokked,
        np.where(reached, time, np.nan),
        event or columns.success or columns.time or "grokked",
        None,
        None,
        time_lo=None if time_lo is None else np.where(reached, time_lo, np.nan),
        watched=None if np.isnan(watched).all() else watched,
        seed=None if columns.group is None else labels(frame, columns.group),
        weight=weights_of(frame, columns.weights),
        competing=competing,
        failed_at=failed_at,
        control=control_words(str(columns.control)),
    )
    roles = ("control", "success", "t_lo", "time", "watched", "group", "weights", "outcome")
    return Reading(in_order(data), warnings, columns.text(roles))


def _require_event(columns: Columns, present: list[str], *, timed: bool) -> None:
    """Refuse a table that does not say who grokked or, where a fit needs it, when."""
    if columns.success is None and columns.time is None:
        raise ConfigError(
            "`success` must name the column that says whether a run had the event (or `time` when, "
            f"or `n` and `n_grokked` how many), got none. {known_columns(present)}"
        )
    if timed and columns.time is None:
        raise ConfigError(
            "`time` must name the column of times, got none: this fit needs them. "
            f"{known_columns(present)}"
        )


def _grokked_of(
    frame: pd.DataFrame, columns: Columns, time: Array, watched: Array
) -> tuple[Mask, Array, list[str]]:
    """Whether each run grokked, steps watched, and a warning where a time means the latter."""
    if columns.success is None:
        return ~np.isnan(time), watched, []
    grokked = truths(frame, columns.success)
    spoken = ~grokked & ~np.isnan(time)
    if not spoken.any():
        return grokked, watched, []
    warning = (
        f"Rows without the event that have a time ({int(spoken.sum())}): it is read as the step at "
        "which watching ended."
    )
    return grokked, np.where(spoken & np.isnan(watched), time, watched), [warning]


def _times_of(frame: pd.DataFrame, columns: Columns) -> tuple[Array, Array | None, Array]:
    """When each run grokked, the look before (None without such a column), and steps watched."""
    nothing = np.full(len(frame), np.nan)

    def read(name: str | None) -> Array:
        advice = "Leave the cell empty where there is none."
        return nothing if name is None else steps(frame, name, advice)

    time, time_lo, watched = read(columns.time), read(columns.t_lo), read(columns.watched)
    for name, values in ((columns.time, time), (columns.watched, watched)):
        advice = "Steps start at 1; leave the cell empty where there is none."
        refuse(
            values <= 0,
            str(name),
            "must be positive",
            advice,
            None if name is None else cells(frame, name),
        )
    if columns.t_lo is None or np.isnan(time_lo).all():
        return time, None, watched
    if columns.time is None:
        raise ConfigError(f"`{columns.t_lo}` is a last look before a time: name the `time` too.")
    advice = "Leave the cell empty where there is none."
    refuse(time_lo < 0, columns.t_lo, "must be at least 0", advice, cells(frame, columns.t_lo))
    rule = f"must be at most `{columns.time}`"
    refuse(
        time_lo > time,
        columns.t_lo,
        rule,
        "The first look comes first.",
        cells(frame, columns.t_lo),
    )
    open_ended = np.isnan(time) & np.isnan(watched)
    return time, time_lo, np.where(open_ended, time_lo, watched)


def require_distinct_runs(frame: pd.DataFrame) -> None:
    """Refuse a table in which one run is twice; raises `ConfigError` naming the rows."""
    names = [name for name in IDENTITY if name in frame.columns]
    if len(names) < len(IDENTITY):
        return
    again = np.asarray(frame.duplicated(names), dtype=np.bool_)
    refuse(again, ", ".join(names), "must differ from row to row", "Remove what is twice.")


def _pasted_twice(frame: pd.DataFrame) -> bool:
    """Whether the rows of the second half are those of the first, in their order."""
    half = len(frame) // 2
    if len(frame) < 4 or len(frame) % 2:
        return False
    return bool(frame.iloc[:half].equals(frame.iloc[half:].reset_index(drop=True)))
