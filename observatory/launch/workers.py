"""The shards of a run on this machine: here, or a process each; a signal stops them."""

import os
import subprocess
import sys
from pathlib import Path

from observatory.core.errors import ObservatoryError, StoreError
from observatory.store.files import make_folder
from observatory.store.reader import Run
from observatory.training.device import cuda_devices
from observatory.training.replicas import Config
from observatory.training.signals import on_stop
from observatory.training.worker import last_log_line

_LOG = "worker.log"
"""File of a shard with what its worker wrote."""


class StoppedError(ObservatoryError):
    """The run was asked to stop before its end; what was trained is kept."""

    exit_code = 130


def train_here(folder: Path) -> None:
    """Train the one shard of a run in this process.

    Raises:
        StoppedError: If a signal ended it before its end.
    """
    from observatory.training.shard import train_shard

    if not train_shard(folder, 0):
        raise stopped(folder)


def train_in_workers(folder: Path, config: Config) -> None:
    """Train the shards of a run, a process each; a signal is passed on and waited for.

    Raises:
        StoppedError: If a signal ended it before its end.
        StoreError: If a worker failed.
    """
    n = cuda_devices() if config["fleet"]["device"] == "cuda" else 0
    threads = str(config["fleet"]["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    workers: list[subprocess.Popen[bytes]] = []
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        for worker in workers:
            worker.terminate()

    with on_stop(stop):
        try:
            for shard in range(config["fleet"]["shards"]):
                command = [sys.executable, "-m", "observatory.training.worker"]
                command += [str(folder), str(shard), *([f"cuda:{shard % n}"] if n else [])]
                workers.append(_started(command, folder / "shards" / str(shard), environment))
            codes = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.terminate()
    if received:
        raise stopped(folder)
    for shard, code in enumerate(codes):
        if code:
            raise StoreError(_failure(folder, shard, code))
    if any(progress["status"] != "done" for progress in Run(folder).progress()):
        raise stopped(folder)


def _started(
    command: list[str], shard: Path, environment: dict[str, str]
) -> "subprocess.Popen[bytes]":
    """A process whose output is added to the log of its shard."""
    make_folder(shard)
    with (shard / _LOG).open("ab") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment
        )


def stopped(folder: Path) -> StoppedError:
    """The error of a run that was asked to stop."""
    return StoppedError(f"{folder} was stopped before its end. The same command continues it.")


def _failure(folder: Path, shard: int, code: int) -> str:
    log = folder / "shards" / str(shard) / _LOG
    line = last_log_line(log)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    last = f" The last line of its log: {line!r}." if line else ""
    return (
        f"the worker of shard {shard} {how}.{last} Whole log: {log}. "
        "The same command continues the run."
    )
