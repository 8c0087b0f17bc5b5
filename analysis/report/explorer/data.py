"""What the page that moves is drawn from, as one block of plain values: nothing is fitted."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.bands import log_grid
from observatory.analysis.page.decay_axis import spread_positions
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import column, where
from observatory.analysis.page.records import Record, estimator_name, limits
from observatory.analysis.page.wording import (
    estimate,
    event_words,
    horizon_words,
    verdict_sentence,
    with_ends,
)
from observatory.core.secrets import without_secrets

Array = NDArray[np.float64]
BY_HORIZON = "by_horizon"
"""The fit whose records the page moves over."""
SERIES = {"val_acc": "val accuracy", "train_acc": "train accuracy"}
"""What is drawn of every replica, with its words."""
_POINTS, _LOOKS = 30_000, 48
"""Points of all curves together, and of one, at most."""
_AXES = ("weight_decay", "lr", "seed")
"""Settings of a sweep that are a replica's own."""
_SPREAD = 0.06
"""Decades over which the replicas of one weight decay stand side by side."""


def explorer_data(found: Sequence[Facts]) -> dict[str, Any] | None:
    """Rates, boundaries, verdicts, replicas and curves of the groups; None where nothing moves.

    Args:
        found: The groups of a study, each with its records.
    """
    moved = [(facts, _by_event(facts)) for facts in found]
    moved = [(facts, events) for facts, events in moved if events]
    if not moved:
        return None
    events = list(dict.fromkeys(event for _, own in moved for event in own))
    n_replicas = sum(len(facts.group.replicas) for facts, _ in moved)
    looks = max(6, min(_LOOKS, _POINTS // max(n_replicas, 1)))
    block: dict[str, Any] = {
        "groups": [facts.group.label or "all replicas" for facts, _ in moved],
        "events": {event: event_words(event, moved[0][0].config) for event in events},
        "steps": [],
        "fits": [],
        "rates": [],
        "replicas": [],
    }
    longest = max(len(records) for _, own in moved for records in own.values())
    for g, (facts, own) in enumerate(moved):
        steps = [record["horizon_steps"] for record in next(iter(own.values()))]
        block["steps"].append([*steps, *[steps[-1]] * (longest - len(steps))])
        for records in own.values():
            full = [*records, *[records[-1]] * (longest - len(records))]
            block["fits"] += [_fit(g, h, r, facts, records) for h, r in enumerate(full)]
            block["rates"] += [row for h, r in enumerate(full) for row in _rates(g, h, r, facts)]
        block["replicas"] += _replicas(g, facts, events, looks)
    return block


def _by_event(facts: Facts) -> dict[str, list[Record]]:
    """The records of each event, by rising horizon; the event of the study first."""
    found: dict[str, list[Record]] = {}
    for record in facts.records:
        if record["fit"] == BY_HORIZON:
            found.setdefault(record["event"], []).append(record)
    first = {event: found[event] for event in (facts.event,) if event in found}
    every = first | found
    return {e: sorted(rows, key=lambda row: row["horizon_steps"]) for e, rows in every.items()}


def _fit(g: int, h: int, record: Record, facts: Facts, records: Sequence[Record]) -> dict[str, Any]:
    """A boundary with its interval, and what is said of it, in words."""
    value, low, high = limits(record, "critical") or (None, None, None)
    steps = horizon_words(record["horizon_steps"], facts.group.steps_per_epoch)
    if value is None:
        said = f"No boundary within {steps}: {record['refused']}"
    else:
        level = f"{record['level']:.0%} {'bound' if None in (low, high) else 'interval'}, "
        said = (
            f"Within {steps} the boundary lies at λc = {with_ends(value, low, high)} "
            f"(Firth’s penalised likelihood, {level if (low, high) != (None, None) else ''}n = "
            f"{record['n']} replicas)."
        )
        if record["horizon_steps"] == facts.horizon:
            said += _beside(record["event"], facts)
    made = {"g": g, "e": record["event"], "h": h, "c": value, "lo": low, "hi": high}
    return made | {"said": said, "verdict": _verdict(record, facts, records)}


def _beside(event: str, facts: Facts) -> str:
    """What the headline of the page has for the same counts, where it is of another estimator."""
    lead = facts.boundaries[0] if facts.boundaries else None
    if lead is None or event != facts.event or not limits(lead, "critical"):
        return ""
    name = estimator_name(lead)
    if name == "Firth":
        return " The sentence at the top of the page has the same estimator."
    return (
        f" The sentence at the top has {estimate(lead, 'critical')}, by {name}, of the same "
        "counts: it has no answer where counts are separated, as at most short horizons."
    )


def _verdict(record: Record, facts: Facts, records: Sequence[Record]) -> str:
    """The verdict by the records up to this horizon, or up to the last one that has a verdict."""
    if record["event"] != facts.event:
        return f"The verdict is judged for the event {facts.event} alone."
    until = [
        r
        for r in records
        if "verdict" in r["extras"] and r["horizon_steps"] <= record["horizon_steps"]
    ]
    if not until:
        return "Verdict: none is made of so short a record."
    last = until[-1]
    if last["extras"]["verdict"] is None:
        said = f"Verdict: none. {last['extras']['verdict_refused']}"
    else:
        said = verdict_sentence(last["extras"]["verdict"])
    if last is record:
        return said
    return f"{said} (Judged at {last['horizon_steps']} steps, the last horizon before with one.)"


def _rates(g: int, h: int, record: Record, facts: Facts) -> list[dict[str, Any]]:
    rows = list(record["table"].values())
    places = _places([row["weight_decay"] for row in rows], facts)
    return [
        {
            **{"g": g, "e": record["event"], "h": h, "wd": row["weight_decay"], "x": x},
            **{"n": row["n"], "k": row["n_event"], "rate": _short(row["rate"])},
            **{"lo": _short(row["wilson_low"]), "hi": _short(row["wilson_high"])},
        }
        for row, x in zip(rows, places, strict=True)
    ]


def _places(weight_decays: Sequence[float], facts: Facts) -> list[float]:
    """Where weight decays stand on a log axis."""
    zero = _zero(column(facts.group.replicas, "weight_decay"))
    return [_short(value) if value > 0 else _short(zero) for value in weight_decays]


def _zero(decays: Array) -> float:
    """Where weight decay 0 stands on a log axis: below the smallest of its group."""
    smallest = float(decays[decays > 0].min(initial=np.inf))
    return smallest / 3.0 if np.isfinite(smallest) else 1.0


def _short(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")


def _replicas(g: int, facts: Facts, events: Sequence[str], looks: int) -> list[dict[str, Any]]:
    """A row per replica with its times, its command, and its thinned curves."""
    replicas = facts.group.replicas.reset_index(drop=True)
    runs = {run.run_id: run for run in facts.group.runs}
    curves = _curves(facts, looks)
    decays = column(replicas, "weight_decay")
    placed, zero = spread_positions(decays, _SPREAD), _zero(decays)
    spread = placed / np.where(decays > 0, decays, placed[decays == 0].mean() if 0 in decays else 1)
    rows: list[dict[str, Any]] = []
    for i, row in enumerate(replicas.to_dict("records")):
        own = {
            "g": g,
            "id": f"{row['run_id']}/{row['replica']}",
            "seed": _number(row.get("seed")),
            "wd": float(decays[i]),
            "x": _short((decays[i] if decays[i] > 0 else zero) * spread[i]),
            "lr": _number(row.get("lr")),
            "out": str(row["outcome"]) if pd.notna(row["outcome"]) else "still trains",
            "mem": _step(row, "mem", facts.horizon),
            "end": min(float(row["step"]), float(facts.horizon)) if pd.notna(row["step"]) else 0.0,
            "cmd": command(runs[row["run_id"]].manifest, row),
        }
        own |= {f"t_{event}": _step(row, event, facts.horizon) for event in events}
        rows.append({**own, **curves.get((row["run_id"], row["replica"]), {"s": []})})
    return rows


def _step(row: Mapping[str, Any], event: str, horizon: int) -> float | None:
    """The step of the look that shows the event, up to the horizon."""
    value = row.get(f"{event}_hi")
    return None if value is None or pd.isna(value) or value > horizon else float(value)


def _curves(facts: Facts, looks: int) -> dict[tuple[str, int], dict[str, list[float | None]]]:
    """Some looks of every replica, evenly on a log axis: steps `s` and a list for each series."""
    names = [name for name in SERIES if name in facts.group.columns("evaluation")]
    frame = facts.group.table("evaluation", names) if names else None
    if frame is None or frame.empty:
        return {}
    grid = log_grid(frame["step"].to_numpy(dtype=np.int64), looks)
    steps = column(frame, "step")
    frame = where(frame, np.isin(steps, grid) | (steps == 0))
    made: dict[tuple[str, int], dict[str, list[float | None]]] = {}
    for key, rows in frame.groupby(["run_id", "replica"]):
        run_id, replica = tuple(key)  # type: ignore[arg-type]
        own: dict[str, list[float | None]] = {"s": rows["step"].astype(float).tolist()}
        for name in names:
            own[name] = [_share(value) for value in column(rows, name)]
        made[str(run_id), int(replica)] = own
    return made


def _share(value: float) -> float | None:
    return round(float(value), 4) if np.isfinite(value) else None


def command(manifest: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    """The command that trains one replica again, alone; empty where its run does not give one.

    The settings are those of the run's own command, its sweep cut to this replica.
    """
    if any(_number(row.get(name)) is None for name in _AXES):
        return ""
    try:
        program, *words_of = shlex.split(without_secrets(str(manifest.get("command", "")))) or [""]
    except ValueError:  # quotes that do not close: a bundle may say anything
        return ""
    if PurePath(program).name != "observatory" or words_of[:1] not in (["map"], ["train"]):
        return ""
    cut = [f"++sweep.fixed.{name}={_value(row[name])}" for name in _AXES]
    kept = [w for w in words_of[1:] if "=" in w and not w.startswith(("study=", "sweep."))]
    again = f"study={manifest['study']}_replica_{row['replica']}"
    return shlex.join(["observatory", "train", *kept, *cut, "sweep.extra=[]", again])


def _number(value: Any) -> float | int | None:
    """A number of a row, whole where it is; None where it is missing."""
    if value is None or pd.isna(value) or not np.isfinite(value):
        return None
    return int(value) if isinstance(value, int | np.integer) else float(value)


def _value(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float) else str(int(value))
