"""A long table of anyone, a row per replica and step, as forecasts are made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.records import (
    EVENT,
    KINDS,
    NATURAL,
    Array,
    Ints,
)
from observatory.analysis.forecast.replica_records import (
    ALIASES,
    ReplicaRecord,
    SignalTable,
    gather,
)
from observatory.analysis.tables.columns import Role, columns_text, resolve
from observatory.analysis.tables.values import cells, labels, missing, numbers, plain, refuse
from observatory.core.errors import ConfigError

_ROLES = {
    "replica": Role(usual=("replica",), required=True),
    "group": Role(usual=("seed",), required=True),
    "step": Role(usual=("step",), required=True),
    "time": Role(usual=("t_hi", "event_step", "t_grok", "time"), required=True),
    "control": Role(usual=("weight_decay", "cell")),
    "t_lo": Role(usual=("t_lo",)),
    "opened": Role(usual=("t_mem", "mem_hi", "t_mem_hi")),
    "kind": Role(usual=("kind",)),
}
_ADVICE = "Fill or remove the row."


@dataclass(frozen=True)
class Rows:
    """A long table as arrays `[row]`, sorted by replica and step.

    `starts` is the first row of every replica but the first; `facts` are time, t_lo, opened and
    control where they are known; `kinds` is how a replica without the event came to be, empty where
    nobody says, None without such a column.
    """

    starts: Ints
    step: Array
    seed: Ints
    facts: Mapping[str, Array]
    kinds: NDArray[Any] | None
    series: Mapping[str, Array]


def from_frame(
    frame: pd.DataFrame,
    signals: Sequence[str] | None,
    options: Mapping[str, Any],
    *,
    memorised: bool,
) -> SignalTable:
    """The replicas of a long table, a row per replica and step; raises `ConfigError`."""
    names = _columns(options, list(frame.columns))
    if not memorised and options.get("opened") is not None:
        raise ConfigError(
            "`opened` has no use where alarms count from the first look: leave it out, or set "
            "`start` to memorised."
        )
    rows = _rows(frame, names, memorised=memorised)
    notes = [
        "No column says when a replica had memorised: alarms count from its first look. Name it by "
        "`opened`."
    ]
    horizon = options.get("horizon_steps")
    step = rows.step
    shared: dict[str, Any] = {
        "event": options.get("event") or names["time"],
        "control_name": names.get("control", "nothing"),
        "horizon_steps": horizon or int(step.max()),
        "chance": options.get("chance"),
        "steps_per_epoch": None,
    }
    replicas = [_one(rows, own) for own in np.split(np.arange(step.size), rows.starts)]
    looks = np.unique(step if horizon is None else step[step <= horizon])
    records, more = gather(replicas, looks, signals, shared)
    warned = notes if memorised and "opened" not in names else []
    return SignalTable(records, [*warned, *more], columns_text(names))


def _columns(options: Mapping[str, Any], present: Sequence[str]) -> dict[str, str]:
    """Which column is what; one that tells replicas apart may be their unit as well."""
    asked: dict[str, str | None] = {role: options.get(role) for role in _ROLES}
    if asked["replica"] is None or asked["replica"] != (asked["group"] or "seed"):
        return resolve(asked, _ROLES, present)
    others = {role: rule for role, rule in _ROLES.items() if role != "group"}
    found = resolve({role: asked[role] for role in others}, others, present)
    return {"replica": found["replica"], "group": found["replica"], **found}


def _rows(frame: pd.DataFrame, names: Mapping[str, str], *, memorised: bool) -> Rows:
    """The columns, sorted and checked; raises `ConfigError` where a cell breaks its rule."""
    key = np.array([str(plain(v)) for v in cells(frame, names["replica"])])
    order = np.lexsort((numbers(frame, names["step"], _ADVICE), key))
    frame, key = frame.iloc[order].reset_index(drop=True), key[order]
    step = numbers(frame, names["step"], _ADVICE)
    refuse(step < 0, names["step"], "must be at least 0", "Count steps from the start.")
    same = key[1:] == key[:-1]
    again = np.r_[False, same & (step[1:] == step[:-1])]
    advice = "Name the column that sets replicas apart by `replica`."
    refuse(again, names["replica"], "must be once at each step, is there again", advice)
    facts = {
        role: numbers(frame, names[role], _ADVICE, empty=role != "control")
        for role in ("time", "t_lo", "opened", "control")
        if role in names and (memorised or role != "opened")
    }
    if "opened" in facts and np.isnan(facts["opened"]).all():
        raise ConfigError(
            f"`{names['opened']}` must hold the step at which a replica had memorised, all are "
            "empty: no alarm could count. Fill it, name another column by `opened`, or count "
            "alarms from the first look by the setting start=first_look."
        )
    return Rows(
        starts=np.flatnonzero(~same) + 1,
        step=step,
        seed=labels(frame, names["group"]),
        facts=facts,
        kinds=_kinds(frame, names["kind"]) if "kind" in names else None,
        series=_series(frame, set(names.values())),
    )


def _series(frame: pd.DataFrame, taken: set[str]) -> dict[str, Array]:
    """Every numeric column that is nothing else, NaN where it is empty, `[row]`."""
    numeric = [
        name
        for name in map(str, frame.columns)
        if name not in taken
        and pd.api.types.is_numeric_dtype(frame[name])
        and not pd.api.types.is_bool_dtype(frame[name])
    ]
    return {
        ALIASES.get(name, name): numbers(frame, name, "Leave it empty instead.", empty=True)
        for name in numeric
    }


def _kinds(frame: pd.DataFrame, name: str) -> NDArray[Any]:
    """How each replica without the event came to be, empty where nobody says, `[row]`."""
    column = cells(frame, name)
    kinds = np.where(missing(column), "", np.array([str(v) for v in column], dtype=np.str_))
    advice = "Leave it empty where a replica just never reached the event."
    refuse(~np.isin(kinds, ["", *KINDS]), name, f"must be one of {list(KINDS)}", advice, column)
    return kinds


def _one(rows: Rows, own: Ints) -> ReplicaRecord:
    """One replica of a long table; raises where what is known of it differs from row to row."""
    facts: dict[str, Array] = {name: values[own] for name, values in rows.facts.items()}
    every: dict[str, NDArray[Any]] = {**facts, "group": rows.seed[own]}
    for name, values in every.items():
        known = values[~np.isnan(values)]
        if np.unique(known).size > 1 or 0 < known.size < own.size:
            raise ConfigError(
                f"`{name}` must be the same in all rows of a replica, got {values[:3].tolist()}. "
                "It says when the event came, not whether it has come."
            )
    at, first = rows.step[own], int(own[0])
    t_hi = float(facts["time"][0])
    before = at[at < t_hi]
    t_lo = float(facts["t_lo"][0]) if "t_lo" in facts else float(before[-1]) if before.size else 0.0
    kind = EVENT if np.isfinite(t_hi) else NATURAL
    if kind == EVENT and not 0 <= t_lo < t_hi:
        raise ConfigError(
            f"`time` must be a positive step, and `t_lo` an earlier one from 0 on, got {t_hi:g} "
            f"and {t_lo:g}. Leave `time` empty where the event never came."
        )
    if kind != EVENT and rows.kinds is not None and rows.kinds[first] not in ("", EVENT):
        kind = str(rows.kinds[first])
    return ReplicaRecord(
        seed=int(rows.seed[first]),
        control=float(facts["control"][0]) if "control" in facts else 0.0,
        kind=kind,
        opened=float(facts["opened"][0]) if "opened" in facts else float(at[0]),
        t_lo=t_lo if kind == EVENT else np.nan,
        t_hi=t_hi,
        watched=float(at[-1]),
        series={name: (at, values[own]) for name, values in rows.series.items()},
    )
