"""Where every number comes from: runs, seeds, versions, machine, cost, meaning of columns."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from observatory.analysis.page.frames import words
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH, number
from observatory.analysis.report.explorer.data import command
from observatory.analysis.tables.recorded import common_step
from observatory.analysis.tables.watched import of_checkpoints
from observatory.core.secrets import without_secrets
from observatory.store.describe import seeds_text
from observatory.store.reader import Run
from observatory.store.reprobed import REPROBED, reprobed_tables

_LONG = ("layout", "hooks")
"""What the manifest says of a model that fills a page."""
_COST = ("wall_s", "cpu_s", "replica_steps")


@dataclass(frozen=True)
class _RunPage:
    """One run: its identity card and its resolved config."""

    run_id: str
    facts: Table
    config: str


def run_page(run: Run) -> _RunPage:
    """All that a run's manifest says of where it came from."""
    manifest, replicas = run.manifest, run.replicas()
    git = manifest.get("git") or {}
    commit = str(git.get("commit") or DASH)
    dirty = " with uncommitted changes (kept as code.diff)" if git.get("dirty") else ""
    seeds = seeds_text(sorted(set(replicas["seed"].tolist())))
    rows = [
        ("Status", run.status),
        ("Identity", str(manifest.get("identity", DASH))),
        (
            "Created, finished (UTC)",
            f"{manifest.get('created')}, {manifest.get('finished') or DASH}",
        ),
        ("Command", without_secrets(str(manifest.get("command", DASH)))),
        ("One network again", _again(manifest, replicas)),
        ("Replicas", f"{len(replicas)}"),
        ("Seeds", seeds),
        ("Root seed", str(manifest["config"].get("seed", DASH))),
        ("Git commit", f"{commit}{dirty}"),
        ("Package version", str(manifest.get("package_version", DASH))),
        ("Versions", _pairs(manifest.get("versions", {}))),
        ("Machine", _pairs(manifest.get("machine", {}))),
        ("Threads", str(manifest.get("threads", DASH))),
        ("Precision", _pairs(manifest.get("dtypes", {}))),
        ("Fleet", _pairs(manifest.get("fleet", {}))),
        ("Settings" if "settings" in manifest else "Task", _pairs(_made_of(manifest))),
        ("Model", _pairs({k: v for k, v in manifest["model"].items() if k not in _LONG})),
        ("Matrices", ", ".join(manifest.get("matrices", [])) or DASH),
        ("Probes unavailable for this model", _pairs(manifest.get("absent_probes", {}))),
        ("Parameter groups", ", ".join(manifest.get("groups", [])) or DASH),
        ("Steps per epoch", str(manifest["steps_per_epoch"])),
        ("Horizon", f"{manifest['horizon_steps']} steps"),
    ]
    facts = Table("Run", ("", ""), ("", "text"), rows, rows_have_heads=True)
    file = run.folder / "config.yaml"
    config = (
        file.read_text(encoding="utf-8")
        if file.is_file()
        else json.dumps(manifest["config"], indent=2)
    )
    return _RunPage(run.run_id, facts, without_secrets(config))


def _again(manifest: Mapping[str, Any], replicas: pd.DataFrame) -> str:
    """The command that trains the first replica of a run alone, and what it gives."""
    first = replicas.iloc[0].to_dict()
    again = command(manifest, first)
    if not again:
        return DASH
    return (
        f"{again} (weight decay {first['weight_decay']:g}, seed {first['seed']}; the moving page "
        "has the command of every replica). Alone it rounds otherwise than in its stack, so its "
        "curve can part from the record; the command of the run, with the versions, CPU type, "
        "threads and fleet below, gives the same bits."
    )


def _made_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """The task, or what the owner of an observed run said of it."""
    return manifest.get("task") or manifest.get("settings", {})


def _pairs(values: Mapping[str, Any]) -> str:
    pairs = [
        f"{key} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in values.items()
    ]
    return "; ".join(pairs) or DASH


def cost_of(run: Run) -> dict[str, Any] | None:
    """What a run cost, from its manifest, or so far from its shards; None where nothing is known.

    Returns:
        wall_s, cpu_s, replica_steps, and `shares` of the time by component.
    """
    if run.manifest.get("cost"):
        return run.manifest["cost"]
    shards = run.progress()
    if not shards:
        return None
    spent: dict[str, float] = {}
    for shard in shards:
        for component, seconds in shard.get("cost_s", {}).items():
            spent[component] = spent.get(component, 0.0) + seconds
    total = sum(spent.values())
    return {
        "wall_s": max(shard["wall_s"] for shard in shards),
        "cpu_s": sum(shard["cpu_s"] for shard in shards),
        "replica_steps": sum(shard["replica_steps"] for shard in shards),
        "shares": {name: seconds / total for name, seconds in spent.items()} if total else {},
    }


def cost_table(runs: Sequence[Run]) -> Table:
    """Seconds and replica-steps of each run."""
    rows: list[list[str]] = []
    for run in runs:
        cost = cost_of(run)
        if cost is None:
            rows.append([run.run_id, run.status, DASH, DASH, DASH, DASH])
            continue
        wall, cpu, steps = (cost[name] for name in _COST)
        each = number(1000 * cpu / steps) if steps else DASH
        status = run.status if run.manifest.get("cost") else f"{run.status}, so far"
        rows.append([run.run_id, status, f"{wall:.1f}", f"{cpu:.1f}", f"{steps:,}", each])
    heads = ("run", "status", "wall, s", "CPU, s", "replica-steps", "CPU, ms per replica-step")
    return Table("Cost", heads, ("", "", *["num"] * 4), rows)


def share_table(runs: Sequence[Run]) -> Table | None:
    """Share of each run's time that every component took; None where no run trained or knows."""
    trained = [run for run in runs if not of_checkpoints(run.manifest)]
    known = {run.run_id: cost["shares"] for run in trained if (cost := cost_of(run))}
    if not any(known.values()):
        return None
    totals: dict[str, float] = {}
    for shares in known.values():
        for name, share in shares.items():
            totals[name] = totals.get(name, 0.0) + share
    components = sorted(totals, key=lambda name: -totals[name])
    rows = [
        [name, *(f"{100 * s[name]:.2f}%" if name in s else DASH for s in known.values())]
        for name in components
    ]
    caption = "Share of the time of the worker processes."
    if any(name.startswith("probe:") for name in components):
        watching = [sum(s[n] for n in s if n.startswith("probe:")) for s in known.values()]
        rows.append(["all probes", *(f"{100 * share:.2f}%" for share in watching)])
        caption += " The last row is the sum of all probes."
    heads = ("component", *known)
    return Table("Where the time went", heads, ("", *["num"] * len(known)), rows, caption)


def dictionary(runs: Sequence[Run]) -> list[Table]:
    """What every column of every table means, over all runs."""
    columns: dict[str, dict[str, Any]] = {}
    for run in runs:
        for name, declared in run.manifest["tables"].items():
            known = columns.setdefault(name, {})
            known.update({column["name"]: column for column in declared})
        for probe, table in reprobed_tables(run).items():
            known = columns.setdefault(f"{REPROBED}/{probe}", {})
            known.update({column.name: column.to_json() for column in table.columns})
    heads, kinds = ("column", "unit", "type", "meaning"), ("", "", "", "text")
    return [
        Table(
            name,
            heads,
            kinds,
            [[c["name"], c["unit"], _type(c), c["meaning"]] for c in known.values()],
            rows_have_heads=True,
        )
        for name, known in columns.items()
    ]


def _type(column: Mapping[str, Any]) -> str:
    per = f" per {', '.join(column['dims'])}" if column["dims"] else ""
    return f"{column['dtype']}{per}"


def notices(runs: Sequence[Run], replicas: pd.DataFrame) -> list[str]:
    """What a reader could miss: unfinished or failed runs, uncommitted code."""
    found = [
        f"Run {run.run_id} is {run.status}: the numbers are those of the replicas so far."
        for run in runs
        if run.status != "done"
    ]
    known = {run.manifest.get("task", {}).get("negative"): run for run in runs}
    source = "A known negative result, at the settings of its source"
    found += [f"{source}: {reason}" for reason in known if reason]
    unfinished = int((words(replicas, "outcome") == "").sum())
    if unfinished:
        until = common_step(replicas)
        cut = "" if until is None else f", and rates, times and fits cut all at {until} steps"
        found.append(
            f"{unfinished} of {len(replicas)} replicas have not finished: their records are taken "
            f"as far as they go{cut}. Those that ended alone are no sample of all."
        )
    if any((run.manifest.get("git") or {}).get("dirty") for run in runs):
        found.append("The code had uncommitted changes when a run was started.")
    return found
