"""A long table of anyone, a row per replica and step, as an audit reads it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import EVENT, KINDS, NATURAL
from observatory.analysis.forecast.replicas import ALIASES, AuditColumns, AuditTable, Life, gather
from observatory.analysis.tables.columns import column_of, known_columns
from observatory.analysis.tables.files import require_table
from observatory.analysis.tables.values import cells, labels, missing, numbers, plain, refuse
from observatory.core.errors import ConfigError

Array = NDArray[np.float64]

USUAL = {
    "replica": ("replica",),
    "seed": ("seed",),
    "cell": ("weight_decay", "cell"),
    "step": ("step",),
    "time": ("t_hi", "event_step", "t_grok", "time"),
    "t_lo": ("t_lo",),
    "opened": ("t_mem", "mem_hi", "t_mem_hi"),
    "kind": ("kind",),
}


def from_frame(frame: pd.DataFrame, columns: AuditColumns, *, memorised: bool) -> AuditTable:
    """The replicas of a long table: a row per replica and step.

    Args:
        frame: The table.
        columns: Which columns hold what, see `AuditColumns`.
        memorised: Whether windows open when a replica has memorised; else at its first look.

    Raises:
        ConfigError: If a column is missing or breaks its rule.
    """
    require_table(frame, "the table")
    frame = frame.rename(columns=str).reset_index(drop=True)
    present = list(map(str, frame.columns))
    names = {role: _column(role, getattr(columns, role), present) for role in USUAL}
    needed = ("replica", "seed", "step", "time")
    if lacking := [role for role in needed if names[role] is None]:
        raise ConfigError(
            f"`{lacking[0]}` must name a column of the table. {known_columns(present, lacking[0])}"
        )
    if not memorised and columns.opened is not None:
        raise ConfigError(
            "`opened` has no use where alarms count from the first look: leave it out, or set "
            "`start` to memorised."
        )
    advice, warnings = "Fill or remove the row.", list[str]()
    key = [str(plain(v)) for v in cells(frame, str(names["replica"]))]
    step = numbers(frame, str(names["step"]), advice)
    frame = frame.assign(**{"": key}).iloc[np.lexsort((step, np.array(key)))]
    frame = pd.DataFrame(frame).reset_index(drop=True)
    key, step = np.array(frame.pop("")), numbers(frame, str(names["step"]), advice)
    refuse(step < 0, str(names["step"]), "must be at least 0", "Count steps from the start.")
    again = np.r_[False, (key[1:] == key[:-1]) & (step[1:] == step[:-1])]
    refuse(again, str(names["replica"]), "must be once at each step, is there again",
           "Name the column that tells replicas apart by `--replica`.")  # fmt: skip
    taken = {name for name in names.values() if name is not None}
    series = {
        ALIASES.get(name, name): numbers(frame, name, "Leave it empty instead.", empty=True)
        for name in present
        if name not in taken and pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    }  # fmt: skip
    facts = {
        role: numbers(frame, name, advice, empty=role in ("time", "t_lo", "opened"))
        for role, name in names.items()
        if name is not None and role in ("time", "t_lo", "opened", "cell")
    }
    if not memorised:
        facts.pop("opened", None)
    elif "opened" in facts and np.isnan(facts["opened"]).all():
        raise ConfigError(
            f"`{names['opened']}` must hold the step at which a replica had memorised, all are "
            "empty: no alarm could count. Fill it, name another column by `--opened`, or count "
            "alarms from the first look by `--set start=first_look`."
        )
    seed = labels(frame, str(names["seed"]))
    kinds = None
    if names["kind"] is not None:
        column = cells(frame, names["kind"])
        kinds = np.where(missing(column), "", np.array([str(v) for v in column], dtype=np.str_))
        refuse(~np.isin(kinds, ["", *KINDS]), names["kind"], f"must be one of {list(KINDS)}",
               "Leave it empty where a replica just never reached the event.", column)  # fmt: skip
    if memorised and names["opened"] is None:
        warnings.append(
            "No column says when a replica had memorised: alarms count from its first look. Name "
            "it by `--opened`."
        )
    lives = [
        _one(rows, step, facts, seed, kinds, series)
        for rows in np.split(np.arange(key.size), np.flatnonzero(key[1:] != key[:-1]) + 1)
    ]
    return gather(
        lives,
        np.unique(step if columns.horizon is None else step[step <= columns.horizon]),
        columns.signals,
        warnings,
        event=columns.event or str(names["time"]),
        knob=str(names["cell"]) if names["cell"] is not None else "nothing",
        horizon=columns.horizon or int(step.max()),
        chance=columns.chance,
        epoch=None,
    )


def _one(
    rows: NDArray[np.int64],
    step: Array,
    facts: Mapping[str, Array],
    seed: NDArray[np.int64],
    kinds: NDArray[Any] | None,
    series: Mapping[str, Array],
) -> Life:
    """One replica of a long table; raises where what it is told by differs from row to row."""
    own: dict[str, Any] = {name: values[rows] for name, values in facts.items()}
    for name, values in [*own.items(), ("seed", seed[rows])]:
        if np.unique(values[~np.isnan(values)]).size > 1 or 0 < np.isnan(values).sum() < rows.size:
            raise ConfigError(
                f"`{name}` must be the same in all rows of a replica, got {values[:3].tolist()}. "
                "It says when the event came, not whether it has come."
            )
    at, first = step[rows], int(rows[0])
    t_hi = float(own["time"][0])
    before = at[at < t_hi]
    t_lo = float(own["t_lo"][0]) if "t_lo" in own else float(before[-1]) if before.size else 0.0
    kind = EVENT if np.isfinite(t_hi) else NATURAL
    if kind == EVENT and not 0 <= t_lo < t_hi:
        raise ConfigError(
            f"`time` must be a positive step, and `t_lo` an earlier one from 0 on, got {t_hi:g} "
            f"and {t_lo:g}. Leave `time` empty where the event never came."
        )
    if kind != EVENT and kinds is not None and kinds[first] not in ("", EVENT):
        kind = str(kinds[first])
    return Life(
        int(seed[first]),
        float(own["cell"][0]) if "cell" in own else 0.0,
        kind,
        float(own["opened"][0]) if "opened" in own else float(at[0]),
        t_lo if kind == EVENT else np.nan,
        t_hi,
        float(at[-1]),
        {name: (at, values[rows]) for name, values in series.items()},
    )


def _column(role: str, asked: str | None, present: Sequence[str]) -> str | None:
    """The column of a role; None where nobody named one and no usual name is there."""
    if asked is not None:
        found = column_of(asked, present)
        if found is None:
            raise ConfigError(
                f"`{role}` must name a column of the table, got {asked!r}. "
                f"{known_columns(present, asked)}"
            )
        return found
    return next((name for usual in USUAL[role] if (name := column_of(usual, present))), None)
