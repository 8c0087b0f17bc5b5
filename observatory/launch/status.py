"""What a study has done so far, for people and for programs."""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from observatory.core.errors import StoreError
from observatory.launch.display import cells, seconds_left
from observatory.launch.queue import RECORD, active_jobs
from observatory.launch.trust import is_imported
from observatory.store.files import read_json
from observatory.store.reader import Run, Study
from observatory.training.worker import last_log_line

_STALE_S = 600.0
"""A shard that says nothing for so long while its run goes on is stale."""


def study_status(folder: Path) -> list[dict[str, Any]]:
    """One record per run: its status, its counts per weight decay, steps made and left."""
    runs = Study(folder).runs
    imported = is_imported(folder)
    as_jobs = any((run.folder / RECORD).exists() for run in runs)
    active: dict[str, str] = {}
    silent: str | None = None
    if as_jobs:
        try:
            active = active_jobs()
        except StoreError as error:
            silent = str(error)
    return [{**_record(run, active, silent), "imported": imported} for run in runs]


def _record(run: Run, active: dict[str, str], silent: str | None) -> dict[str, Any]:
    """What is known of a run; `silent` says why the queue did not answer."""
    shards, status = run.progress(), run.status
    jobs = _jobs(run, active)
    unsaid = silent if status == "interrupted" and (run.folder / RECORD).exists() else None
    if unsaid:
        status = "unknown"
    elif status == "interrupted" and jobs:
        status = "running" if "RUNNING" in jobs.values() else "queued"
    going_on = status == "running"
    return {
        "run_id": run.run_id,
        "status": status,
        "folder": str(run.folder),
        "replicas": len(run.replicas()),
        "finished": sum(shard["finished"] for shard in shards),
        "alive": sum(shard["active"] for shard in shards),
        "replica_steps": sum(shard["replica_steps"] for shard in shards),
        "steps_left_at_most": sum(shard["steps_left"] for shard in shards),
        "seconds_left_at_most": seconds_left(shards) if going_on else None,
        "stale_shards": [
            shard["shard"]
            for shard in shards
            if going_on and shard["status"] != "done" and time.time() - shard["updated"] > _STALE_S
        ],
        "jobs": jobs,
        "queue_silent": unsaid,
        "cells": cells(shards),
        "failure": _failure(run) if status in ("failed", "interrupted") else None,
    }


def _jobs(run: Run, active: dict[str, str]) -> dict[str, str]:
    """State of the run's jobs that wait or run, by their ids."""
    record = run.folder / RECORD
    ids = [job for of in read_json(record).values() for job in of] if record.exists() else []
    return {job: active[job] for job in ids if job in active}


def _failure(run: Run) -> str | None:
    """What was lost, or the last line of the first log of a worker or a job that has one."""
    if lost := run.lost():
        return f"{lost}: the same command trains again what is missing"
    folder = run.folder
    logs = [*sorted(folder.glob("shards/*/worker.log")), *sorted(folder.glob("jobs/*_log.err"))]
    return next((line for log in logs if (line := last_log_line(log))), None)


def text(records: list[dict[str, Any]]) -> str:
    """The records as lines for a terminal."""
    lines = []
    for record in records:
        queued = record["replicas"] - record["finished"] - record["alive"]
        lines.append(
            f"{record['run_id']}  {record['status']:<11}  "
            f"{record['finished']}/{record['replicas']} replicas finished, "
            f"{record['alive']} alive, {queued} queued, "
            f"{record['replica_steps']:,} replica-steps made, "
            f"at most {record['steps_left_at_most']:,} left" + _when(record["seconds_left_at_most"])
        )
        if record["imported"]:
            lines.append("    imported from a bundle: others trained it and wrote its settings")
        if record["stale_shards"]:
            lines.append(
                f"    stale: the shards {record['stale_shards']} have said nothing for "
                f"{_STALE_S / 60:g} minutes by this machine's clock"
            )
        if record["jobs"]:
            states = Counter(record["jobs"].values())
            shown = ", ".join(f"{n} {state.lower()}" for state, n in sorted(states.items()))
            lines.append(f"    jobs: {shown}")
        if record["queue_silent"]:
            lines.append(f"    jobs: not known whether any waits or runs; {record['queue_silent']}")
        if record["failure"]:
            lines.append(f"    {record['failure']}")
        for weight_decay, counts in record["cells"].items():
            shown = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
            lines.append(f"    weight decay {weight_decay:>6}: {shown}")
    return "\n".join(lines)


def _when(seconds: float | None) -> str:
    return "" if seconds is None else f", at most {seconds / 60:.1f} min at this speed"
