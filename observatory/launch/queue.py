"""The queue of a cluster, as its own commands show it."""

import subprocess

RECORD = "jobs.json"
"""File of a run: ids of all jobs of every shard, the last one last."""


def active_jobs() -> dict[str, str] | None:
    """States of the user's jobs that wait or run, by id; None where the queue does not answer."""
    command = ["squeue", "--me", "--noheader", "--array", "--format=%i %T"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (subprocess.SubprocessError, OSError):
        return None
    return dict(line.split() for line in answer.stdout.splitlines())
