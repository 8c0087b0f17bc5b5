"""A study's replicas and their outcomes, as recorded and as a shorter horizon would have it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.core.errors import FitRefusedError
from observatory.core.settings import known_name
from observatory.events.censoring import at_horizon
from observatory.events.interval import Interval
from observatory.store.identity import LAYOUT, PER_REPLICA, WITHOUT_EFFECT

_ALIKE = (*WITHOUT_EFFECT, *LAYOUT, *PER_REPLICA, "probe", "event", "hydra")
"""Settings that change no replica, or that replicas.parquet has; all others set runs apart."""
HEAD = ("run_id", "replica", "seed", "weight_decay", "lr")
_TAIL = (
    *("outcome", "instant", "diverged_step", "steps_watched", "retire_reason"),
    *("t_mem_lo", "t_mem_hi"),
)


@dataclass(frozen=True)
class _Censored:
    """Replicas at one horizon, as arrays of one entry per replica; outcome "" where it trains."""

    weight_decay: NDArray[np.float64]
    outcome: NDArray[Any]
    grokked: NDArray[np.bool_]
    t_hi: NDArray[np.float64]
    t_lo: NDArray[np.float64]
    watched: NDArray[np.float64]
    seed: NDArray[np.int64]
    failed: NDArray[np.bool_]
    failed_at: NDArray[np.float64]


def numbers(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A column of any numeric type as float64, null as NaN, `[row]`."""
    return np.array([np.nan if pd.isna(x) else float(x) for x in frame[name]], dtype=np.float64)


def event_names(outcomes: pd.DataFrame) -> list[str]:
    """The event presets that the outcomes hold."""
    return [str(c).removesuffix("_observed") for c in outcomes.columns if c.endswith("_observed")]


def censored(outcomes: pd.DataFrame, event: str, horizon: int) -> _Censored:
    """Replicas as a shorter horizon would have recorded them.

    Diverged and collapsed replicas count as not grokked, if that happened within the horizon. Those
    without a record are left out.

    Args:
        outcomes: One row per replica as of `recorded`; `step` is the steps watched.
        event: Name of an event preset.
        horizon: Steps after which records are cut; at or beyond their ends nothing is.

    Raises:
        ConfigError: If the outcomes hold no such event.
        FitRefusedError: If an event without a time is to be cut, see `at_horizon`; if replicas
            still train, and are not recorded up to the horizon or not seen for such an event.
    """
    known_name("event", event, event_names(outcomes))
    rows = pd.DataFrame(outcomes.loc[outcomes["outcome"].notna() | outcomes["step"].notna()])
    _require_recorded(rows, event, horizon)
    low, high, watched = (numbers(rows, name) for name in (f"{event}_lo", f"{event}_hi", "step"))
    observed = numbers(rows, f"{event}_observed") > 0
    try:
        intervals = [
            at_horizon(
                Interval(
                    None if np.isnan(lo) else float(lo),
                    None if np.isnan(hi) else float(hi),
                    observed=bool(seen),
                    watched=int(steps),
                ),
                horizon,
            )
            for lo, hi, seen, steps in zip(low, high, observed, watched, strict=True)
        ]
    except ValueError as error:
        raise FitRefusedError(f"Event {event} at {horizon} steps: {error}") from error
    outcome = np.array(rows["outcome"].fillna(""), dtype=np.str_)
    ended = np.where(outcome == "diverged", numbers(rows, "diverged_step"), watched)
    failed = np.isin(outcome, ["diverged", "collapsed"]) & (ended <= horizon)
    grokked = np.array([interval.observed for interval in intervals], dtype=np.bool_) & ~failed
    ends = [
        (np.nan, np.nan) if i.t_lo is None or i.t_hi is None else (i.t_lo, i.t_hi)
        for i in intervals
    ]
    t_lo, t_hi = np.array(ends, dtype=np.float64).reshape(-1, 2).T
    return _Censored(
        numbers(rows, "weight_decay"),
        outcome,
        grokked,
        t_hi,
        t_lo,
        np.array([interval.watched for interval in intervals], dtype=np.float64),
        numbers(rows, "seed").astype(np.int64),
        failed,
        np.where(failed, ended, np.nan),
    )


def _require_recorded(rows: pd.DataFrame, event: str, horizon: int) -> None:
    going = pd.DataFrame(rows.loc[rows["outcome"].isna()])
    if going.empty:
        return
    until = int(numbers(going, "step").min())
    why = f"{len(going)} replicas still train, and those that ended are no sample of all."
    if horizon > until:
        raise FitRefusedError(
            f"Rates at {horizon} steps are not known: {why} Take a horizon of at most {until} "
            "steps, up to which all are recorded, or wait."
        )
    if going[f"{event}_observed"].isna().to_numpy().any():
        raise FitRefusedError(f"Event {event} cannot be seen before the end: {why} Wait.")


def replicas_table(outcomes: pd.DataFrame) -> pd.DataFrame:
    """One row per replica, in the columns and the order of `replicas.csv`.

    Where replicas were trained, the shard, is left out: it says nothing about them.
    """
    renamed = outcomes.rename(
        columns={"step": "steps_watched", "mem_lo": "t_mem_lo", "mem_hi": "t_mem_hi"}
    )
    parts = [
        f"{event}_{part}"
        for event in event_names(outcomes)
        if event != "mem"
        for part in ("lo", "hi", "observed")
    ]
    known = {*HEAD, *_TAIL, *parts, "shard", "mem_observed"}
    swept = [c for c in renamed.columns if c not in known]
    there = [name for name in (*HEAD, *swept, *_TAIL, *parts) if name in renamed.columns]
    return pd.DataFrame({name: renamed[name] for name in there})


def leaves(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of a nested mapping."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def settings_apart(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The settings, by dotted name, in which runs differ so that their replicas do."""
    return sorted(
        key
        for key in {key for config in configs for key in config}
        if not any(key == name or key.startswith(f"{name}.") for name in _ALIKE)
        and len({repr(config.get(key)) for config in configs}) > 1
    )


def with_settings(outcomes: pd.DataFrame, configs: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Outcomes with a column for every setting in which their runs differ, by its dotted name.

    Args:
        outcomes: As of `Study.replicas`.
        configs: The configuration of each run, by `run_id`. Of a component its class is named.
    """
    flat = {run_id: dict(leaves(config)) for run_id, config in configs.items()}
    made = outcomes.copy()
    for key in settings_apart(list(flat.values())):
        name = key.removesuffix("._target_")
        values = {run_id: config.get(key) for run_id, config in flat.items()}
        if name != key:
            values = {run: str(value).rpartition(".")[2] for run, value in values.items()}
        if name not in made.columns:
            held = {r: str(v) if isinstance(v, list) else v for r, v in values.items()}
            made[name] = [held[run_id] for run_id in made["run_id"]]
    return made


def pooling_caveats(outcomes: pd.DataFrame, manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets the replicas apart beside weight decay and seed."""
    swept = ["lr"] if len(np.unique(numbers(outcomes, "lr"))) > 1 else []
    apart = settings_apart([dict(leaves(manifest["config"])) for manifest in manifests])
    parts = [p for p in dict.fromkeys(k.partition(".")[0] for k in apart) if p != "horizon_steps"]
    if len({m["horizon_steps"] for m in manifests}) > 1:
        parts.append("horizon_steps (cut at the shortest)")
    if not swept and not parts:
        return []
    return [f"Replicas that differ in {', '.join([*swept, *parts])} are pooled."]
