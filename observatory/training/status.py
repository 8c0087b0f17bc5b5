"""What a study has done so far, for people and for programs."""

from pathlib import Path
from typing import Any

from observatory.store.reader import Study
from observatory.training.display import cells
from observatory.training.worker import last_words


def study_status(folder: Path) -> list[dict[str, Any]]:
    """One record per run: its status, its counts per weight decay, steps made and left."""
    return [
        {
            "run_id": run.run_id,
            "status": run.status,
            "folder": str(run.folder),
            "replicas": len(run.replicas()),
            "finished": sum(shard["finished"] for shard in run.progress()),
            "alive": sum(shard["active"] for shard in run.progress()),
            "replica_steps": sum(shard["replica_steps"] for shard in run.progress()),
            "steps_left_at_most": sum(shard["steps_left"] for shard in run.progress()),
            "cells": cells(run.progress()),
            "failure": _first_error(run.folder)
            if run.status in ("failed", "interrupted")
            else None,
        }
        for run in Study(folder).runs
    ]


def _first_error(folder: Path) -> str | None:
    """The last line of the first worker log that has one."""
    logs = sorted(folder.glob("shards/*/worker.log"))
    return next((words for log in logs if (words := last_words(log))), None)


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
            f"at most {record['steps_left_at_most']:,} left"
        )
        if record["failure"]:
            lines.append(f"    {record['failure']}")
        for weight_decay, counts in record["cells"].items():
            shown = ", ".join(f"{name} {count}" for name, count in counts.items() if count)
            lines.append(f"    weight decay {weight_decay:>6}: {shown}")
    return "\n".join(lines)
