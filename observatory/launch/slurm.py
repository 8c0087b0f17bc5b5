"""Runs as jobs of a cluster: a job per shard, watched through its queue and the run store.

Whether a shard is done is read from the store alone, so that a driver that was killed, and started
again, goes on with the jobs that it finds. SLURM puts a job back into the queue when its node
fails, submitit when its time is out (see `signals`); the driver submits anew what ended otherwise.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, final

from observatory.core.errors import ConfigError, ObservatoryError, StoreError
from observatory.core.extras import require
from observatory.launch.queue import HELD, RECORD, Answer, active_jobs, answered, is_over
from observatory.launch.run import own_run
from observatory.launch.settings import JobSettings
from observatory.launch.snapshot import freeze
from observatory.launch.workers import stopped
from observatory.store.files import read_json, write_json
from observatory.store.lock import owner_of
from observatory.store.reader import LOCK, Run
from observatory.store.rows import lost_rows
from observatory.training.replicas import Config
from observatory.training.worker import last_log_line, train_patiently

JOBS = "jobs"
"""Folder of a run with what submitit and its jobs wrote."""
_ATTEMPTS = "attempts.json"
"""File of a run: of every shard, jobs since it last made progress, and the tick it had kept."""
QUEUE_PATIENCE_S = 600.0
"""How long a queue that does not answer is asked again: it is away while it is restarted."""


@final
class _ShardJob:
    """What a job does; the only one that may put it back into the queue is submitit."""

    def __call__(self, folder: str, shard: int) -> None:
        """Train a shard, from its last checkpoint or from nothing."""
        if not train_patiently(Path(folder), shard):
            raise stopped(Path(folder))

    def checkpoint(self, folder: str, shard: int) -> Any:
        """The same again, from the checkpoint that was saved before submitit asks for this."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, folder, shard)


@dataclass
class _Queued:
    """A run whose shards are jobs.

    `attempts` are as in the file; `missed` are the shards whose job was unknown at the last look.
    """

    folder: Path
    shards: int
    threads: int
    owned: ExitStack
    jobs: dict[int, list[str]]
    attempts: dict[int, list[int]]
    missed: set[int] = field(default_factory=set)


@final
class SlurmLauncher:
    """Trains runs as jobs.

    Args:
        settings: How shards become jobs.
        message: Receives lines for the user.

    Raises:
        ConfigError: If this machine cannot queue jobs.
        MissingExtraError: If submitit is not installed.
    """

    def __init__(self, settings: JobSettings, message: Callable[[str], None]) -> None:
        if lacking := [name for name in ("sbatch", "squeue", "srun") if shutil.which(name) is None]:
            raise ConfigError(
                f"launcher=slurm needs the commands {lacking}, which are not on the path. Start it "
                "where jobs are submitted, or leave the launcher out to train on this machine."
            )
        require("slurm", by="`launcher=slurm`")  # the jobs need it too
        self.parallel = settings.parallel
        self._settings, self._message = settings, message
        self._code: dict[Path, Path] = {}
        self._runs: dict[Path, _Queued] = {}
        self._ended: dict[Path, ObservatoryError | None] = {}
        self._held: set[str] = set()

    def start(self, config: Config) -> Path:
        """Submit the shards of a run that are not done and not queued; returns its folder."""
        with ExitStack() as stack:
            run = stack.enter_context(own_run(config))
            if run.done:
                self._ended[run.folder] = None
                return run.folder
            fleet = run.config["fleet"]
            jobs, attempts = (_by_shard(run.folder / name) for name in (RECORD, _ATTEMPTS))
            queued = _Queued(
                run.folder, fleet["shards"], fleet["threads"], ExitStack(), jobs, attempts
            )
            active = self._queue(active_jobs)
            self._submit(queued, self._dead(queued, _unfinished(queued), active))
            queued.owned = stack.pop_all()
            self._runs[run.folder] = queued
            return run.folder

    def _queue(self, ask: Callable[[], Answer]) -> Answer:
        """What the queue says, asked again for a while where it does not answer."""
        began, said = time.monotonic(), False
        while True:
            try:
                return ask()
            except StoreError as error:
                if time.monotonic() - began > QUEUE_PATIENCE_S:
                    raise StoreError(
                        f"the queue has not answered for {QUEUE_PATIENCE_S:g} s: {error}. Jobs go "
                        "on. Start the same command later."
                    ) from error
                if not said:
                    self._message(f"the queue does not answer and is asked again: {error}")
                said = True
            time.sleep(self._settings.poll_s)

    def ended(self) -> dict[Path, ObservatoryError | None]:
        """Wait until a run has ended; jobs that died are submitted again in the meantime."""
        while not self._ended:
            time.sleep(self._settings.poll_s)
            # before the store is read: a job that left has written its end
            active = self._queue(active_jobs)
            self._name_held(active)
            for queued in list(self._runs.values()):
                self._look(queued, active)
        ended, self._ended = self._ended, {}
        return ended

    def _look(self, queued: _Queued, active: dict[str, str]) -> None:
        left = _unfinished(queued)
        dead = self._dead(queued, left, active)
        failure: ObservatoryError | None = None
        try:
            if dead:
                self._message(f"{queued.folder.name}: submitting the shards {dead} again")
                self._submit(queued, dead)
        except ObservatoryError as error:
            failure = error
        if failure or not left:
            self._close(queued, failure)

    def _dead(self, queued: _Queued, left: Sequence[int], active: dict[str, str]) -> list[int]:
        """Those of some shards whose jobs have ended."""
        live = {shard for shard in left if _is_live(queued, shard, active)}
        queued.missed -= live
        return [shard for shard in left if shard not in live and self._is_dead(queued, shard)]

    def _is_dead(self, queued: _Queued, shard: int) -> bool:
        """Whether the job of a shard, which the queue does not show, has ended.

        A queue that is restarted may show nothing: of a job that nothing is known about it is asked
        twice. One that was pre-empted is no failed attempt.
        """
        if not queued.jobs.get(shard):
            return True
        job = queued.jobs[shard][-1]
        over, preempted = self._queue(lambda: is_over(job))
        if over is False or (over is None and shard not in queued.missed):
            queued.missed.add(shard)
            return False
        queued.missed.discard(shard)
        if preempted and shard in queued.attempts:
            queued.attempts[shard][0] -= 1
        return True

    def _name_held(self, active: dict[str, str]) -> None:
        """Say once which jobs wait for somebody to release them."""
        ours = {job for run in self._runs.values() for ids in run.jobs.values() for job in ids}
        held = sorted(job for job in ours - self._held if active.get(job) == HELD)
        if held:
            self._held |= set(held)
            self._message(f"held in the queue until `scontrol release {','.join(held)}`")

    def _close(self, queued: _Queued, failure: ObservatoryError | None) -> None:
        """Write the run's end into its manifest."""
        del self._runs[queued.folder]
        try:
            with queued.owned:
                if failure is not None:
                    raise failure
        except ObservatoryError as error:
            failure = error
        self._ended[queued.folder] = failure

    def _submit(self, queued: _Queued, shards: Sequence[int]) -> None:
        """Queue shards as arrays, and note their jobs.

        Raises:
            StoreError: If a shard had all its attempts; the next start gives it new ones.
        """
        kept = {p["shard"]: p.get("kept", 0) for p in Run(queued.folder).progress()}
        for shard in shards:
            n, before = queued.attempts.get(shard, (0, 0))
            if kept.get(shard, 0) > before:
                n, before = 0, kept[shard]
            queued.attempts[shard] = [n, before]
            if n >= self._settings.attempts:
                (queued.folder / _ATTEMPTS).unlink(missing_ok=True)
                raise StoreError(_failure(queued, shard, n))
        for start in range(0, len(shards), self._settings.array_limit):
            chunk = shards[start : start + self._settings.array_limit]
            for shard, job in zip(
                chunk, submit(queued.folder, chunk, queued.threads, self._settings), strict=True
            ):
                queued.jobs.setdefault(shard, []).append(job)
                queued.attempts[shard][0] += 1
            write_json(queued.folder / _ATTEMPTS, queued.attempts)
            write_json(queued.folder / RECORD, queued.jobs)


def submit(folder: Path, shards: Sequence[int], threads: int, settings: JobSettings) -> list[str]:
    """Queue shards of a run as one array that runs the package as it is now; returns job ids.

    Raises:
        ConfigError: If the queue refuses them, or names no job.
        StoreError: If it does not answer.
    """
    from submitit import AutoExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    study = folder.resolve().parent.parent
    code = freeze(study)
    executor = AutoExecutor(
        folder=str(folder.resolve() / JOBS),
        cluster=settings.cluster,
        slurm_max_num_timeout=settings.requeues,
    )
    executor.update_parameters(
        name=f"{study.name}-{folder.name}",
        timeout_min=settings.timeout_min,
        mem_gb=settings.mem_gb,
        cpus_per_task=settings.cpus_per_task,
        slurm_partition=settings.partition,
        slurm_account=settings.account,
        slurm_qos=settings.qos,
        slurm_constraint=settings.constraint,
        slurm_gres=settings.gres,
        slurm_array_parallelism=settings.array_parallelism,
        slurm_signal_delay_s=settings.signal_delay_s,
        slurm_setup=[
            *settings.setup,
            f"export PYTHONPATH={code}${{PYTHONPATH:+:$PYTHONPATH}}",
            "export PYTHONDONTWRITEBYTECODE=1",
            f"export OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}",
        ],
        slurm_additional_parameters=settings.additional,
    )
    ask = partial(executor.map_array, _ShardJob(), [str(folder.resolve())] * len(shards), shards)
    try:
        jobs = answered("sbatch", ask, QUEUE_PATIENCE_S)
    except (FailedJobError, FailedSubmissionError) as error:
        words = " ".join(str(error).split())
        raise ConfigError(f"the queue refused the jobs of {folder}: {words}") from error
    return [job.job_id for job in jobs]


def _unfinished(queued: _Queued) -> list[int]:
    run = Run(queued.folder)
    done = {shard["shard"] for shard in run.progress() if shard["status"] == "done"}
    done -= lost_rows(run.folder, {**run.manifest, "rows": None}).keys()
    return [shard for shard in range(queued.shards) if shard not in done]


def _is_live(queued: _Queued, shard: int, active: dict[str, str]) -> bool:
    if any(job in active for job in queued.jobs.get(shard, [])):
        return True
    return owner_of(queued.folder / "shards" / str(shard) / LOCK) is not None


def _by_shard(record: Path) -> dict[int, Any]:
    if not record.exists():
        return {}
    return {int(shard): value for shard, value in read_json(record).items()}


def _failure(queued: _Queued, shard: int, attempts: int) -> str:
    job = queued.jobs[shard][-1]
    log = queued.folder / JOBS / f"{job}_0_log.err"
    line = last_log_line(log) if log.exists() else None
    last = f" The last line of the log of the last, {job}: {line!r}." if line else ""
    return (
        f"{attempts} jobs of shard {shard} of {queued.folder} ended without progress.{last} "
        f"Logs: {log.parent}. The same command continues the run."
    )
