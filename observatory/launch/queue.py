"""The queue of a cluster, as its own commands show it."""

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import wait
from typing import TypeVar

from observatory.core.errors import StoreError
from observatory.core.threads import started

Answer = TypeVar("Answer")
RECORD = "jobs.json"
"""File of a run: ids of all jobs of every shard, the last one last."""
HELD = "HELD"
"""State of a job that waits until somebody releases it."""
_PREEMPTED = "_PREEMPTED"
_UNKNOWN = "Invalid job id"
"""What SLURM says of a job that it has forgotten."""
_ENDED = re.compile(
    "BOOT_FAIL|CANCELLED|COMPLETED|DEADLINE|FAILED|NODE_FAIL|OUT_OF|TIMEOUT|REVOKED"
)


def active_jobs() -> dict[str, str]:
    """States of the user's jobs that wait or run, by id.

    Raises:
        StoreError: If the queue does not answer.
    """
    lines = _said("squeue", "--me", "--noheader", "--array", "--format=%i %T %r").splitlines()
    states: dict[str, str] = {}
    for job, state, *reason in (line.split(maxsplit=2) for line in lines if line.strip()):
        held = state == "PENDING" and re.search("held", " ".join(reason), re.IGNORECASE)
        states[job] = HELD if held else state
    return states


def answered(name: str, ask: Callable[[], Answer], seconds: float) -> Answer:
    """What a library that asks the queue returns, or raises, if it does so in time.

    Args:
        name: The command that it runs.
        ask: Calls the library.
        seconds: How long is waited.

    Raises:
        StoreError: If there is no answer: whether the queue took what it was asked is not known.
    """
    future = started(ask)
    wait([future], timeout=seconds)
    if not future.done():
        raise StoreError(
            f"`{name}` has not answered for {seconds:g} s, and may have queued jobs all the same. "
            "See `squeue --me`, and start the same command again when the queue answers."
        )
    return future.result()


def is_over(job: str) -> tuple[bool | None, bool]:
    """Whether a job has ended, as SLURM says for some minutes after; and whether by preemption.

    None where it does not know the job, or there is no `scontrol`: then nothing is known.

    Raises:
        StoreError: If it does not answer.
    """
    if shutil.which("scontrol") is None:
        return None, False
    try:
        said = re.search(r"JobState=(\S+)", _said("scontrol", "--oneliner", "show", "job", job))
    except StoreError as error:
        if _UNKNOWN in str(error):
            return None, False
        raise
    if said is None:
        return None, False
    preempted = said[1] == _PREEMPTED
    return preempted or bool(_ENDED.match(said[1])), preempted


def _said(*command: str) -> str:
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except subprocess.CalledProcessError as error:
        words = " ".join(error.stderr.split()) or f"exit code {error.returncode}"
        raise StoreError(f"`{command[0]}` failed: {words}") from error
    except (subprocess.SubprocessError, OSError) as error:
        raise StoreError(f"`{command[0]}` failed: {error}") from error
    return answer.stdout
