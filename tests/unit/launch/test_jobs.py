"""Runs as jobs without a cluster: what is checked first, what is frozen, who is asked to stop."""

import os
import signal
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from observatory.cli import main as cli
from observatory.core.errors import ConfigError, StoreError
from observatory.launch import slurm as cluster
from observatory.launch import snapshot as frozen
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.queue import active_jobs, is_over
from observatory.launch.run import own_run
from observatory.launch.settings import JobSettings, job_settings
from observatory.launch.slurm import SlurmLauncher
from observatory.launch.snapshot import freeze
from observatory.launch.status import study_status, text
from observatory.store.files import write_json
from observatory.store.identity import identity
from observatory.store.reader import Run
from observatory.store.rows import SAID
from observatory.training.signals import on_stop

SMALL = [
    "experiment=smoke",
    "horizon_steps=100",
    "fleet.device=cpu",
    "fleet.shards=2",
    "fleet.size=4",
]


def settings(**change: Any) -> JobSettings:
    given = job_settings(compose("train", ["launcher=slurm"]))
    assert given is not None
    return replace(given, **{"poll_s": 0.01, "attempts": 2, **change})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "launcher.cluster=pbs",
            "`launcher.cluster` must be 'slurm', got 'pbs'",
        ),
        ("launcher.parallel=0", "`launcher.parallel` must be a whole number of at least 1, got 0"),
        ("launcher.mem_gb=-1", "`launcher.mem_gb` must be a positive number, got -1"),
        ("launcher.signal_delay_s=20000", "must be shorter than `launcher.timeout_min`"),
        ("+launcher.gpus=1", "`launcher.gpus` is no setting of `launcher`"),
        ("fleet.device=auto", "`fleet.device` must be cpu or cuda where jobs train, got 'auto'"),
    ],
)
def test_settings_of_jobs_are_checked_before_anything_is_queued(change: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        resolved(compose("train", [*SMALL, "launcher=slurm", change]))


@pytest.mark.slow
def test_a_launcher_that_is_not_there_is_refused(capsys, monkeypatch, tmp_path: Path) -> None:
    assert cli.run(["train", *SMALL, "launcher=pbs"]) == 2
    assert "Could not find 'launcher/pbs'" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.run(["train", *SMALL, "launcher=slurm", f"results={tmp_path}"]) == 2
    assert "needs the commands ['sbatch', 'squeue', 'srun']" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_jobs_seat_every_replica_and_the_launcher_is_no_part_of_the_run() -> None:
    laptop = ["experiment=laptop_map", "fleet.device=cpu", "fleet.size=16"]
    here, as_jobs = (compose("train", [*laptop, f"launcher={each}"]) for each in ("here", "slurm"))
    assert resolved(as_jobs)["fleet"]["shards"] == 6  # of 88 replicas, 16 in each
    identities = []
    for config in (here, as_jobs):
        config = {**config, "fleet": {**config["fleet"], "shards": 6}}
        identities.append(identity(resolved(config)))
    assert identities[0] == identities[1]


def test_a_frozen_package_is_the_one_that_was_first_frozen(tmp_path: Path, monkeypatch) -> None:
    package = tmp_path / "observatory"
    (package / "maths").mkdir(parents=True)
    (package / "__pycache__").mkdir()
    for name in ("__init__.py", "maths/one.py", "__pycache__/one.pyc"):
        (package / name).write_text("first")
    monkeypatch.setattr(frozen.observatory, "__file__", str(package / "__init__.py"))
    folder = freeze(tmp_path / "study")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.p*"))
    assert files == ["observatory/__init__.py", "observatory/maths/one.py"]
    (package / "maths/one.py").write_text("second")
    assert freeze(tmp_path / "study") == folder
    freeze.cache_clear()
    other = freeze(tmp_path / "study")
    assert other != folder
    assert (folder / "observatory/maths/one.py").read_text() == "first"
    freeze.cache_clear()
    assert freeze(tmp_path / "study") == other
    assert sorted(path.name for path in (tmp_path / "study/code").iterdir()) == sorted(
        [folder.name, other.name]
    )
    freeze.cache_clear()


def test_a_warning_is_handed_on_when_all_is_saved() -> None:
    order: list[str] = []
    before = signal.signal(signal.SIGUSR2, lambda *_: order.append("handed on"))
    try:
        with on_stop(lambda number: order.append(signal.Signals(number).name)):
            os.kill(os.getpid(), signal.SIGUSR2)
            order.append("saved")
        with on_stop(lambda number: order.append(signal.Signals(number).name)):
            os.kill(os.getpid(), signal.SIGTERM)
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert order == ["SIGUSR2", "saved", "handed on", "SIGTERM"]


class Queue:
    """Stands for SLURM: jobs that wait until `end` says how they ended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.active: dict[str, str] | None = {}
        self.submitted: list[list[int]] = []
        monkeypatch.setattr(cluster, "submit", self.submit)
        monkeypatch.setattr(cluster, "active_jobs", self.look)
        monkeypatch.setattr(cluster, "is_over", lambda job: self.over.get(job, (True, False)))
        self.over: dict[str, tuple[bool | None, bool]] = {}
        monkeypatch.setattr(cluster.shutil, "which", lambda name: name)
        self.then: list[Any] = []

    def submit(self, folder: Path, shards: list[int], threads: int, _: JobSettings) -> list[str]:
        self.submitted.append(list(shards))
        ids = [f"{len(self.submitted)}_{shard}" for shard in shards]
        self.active = {**(self.active or {}), **dict.fromkeys(ids, "PENDING")}
        return ids

    def look(self) -> dict[str, str]:
        if self.then:
            self.then.pop(0)()
        if self.active is None:
            raise StoreError("`squeue` failed: Unable to contact slurm controller")
        return self.active

    def drop(self, *jobs: str) -> None:
        assert self.active is not None
        for job in jobs:
            del self.active[job]


def done(folder: Path, *shards: int) -> None:
    for shard in shards:
        told = {"shard": shard, "status": "done", "cost_s": {}, "cpu_s": 1.0, "replica_steps": 5}
        told = {**dict.fromkeys(SAID, 0), **told}
        write_json(folder / "shards" / str(shard) / "progress.json", told)


@pytest.fixture
def config(tmp_path: Path) -> dict[str, Any]:
    return compose("train", [*SMALL, "launcher=slurm", f"results={tmp_path}"])


@pytest.mark.slow
def test_jobs_that_die_are_submitted_again_and_the_run_ends(config, monkeypatch) -> None:
    queue, said = Queue(monkeypatch), []
    launcher = SlurmLauncher(settings(), said.append)
    folder = launcher.start(config)
    assert queue.submitted == [[0, 1]]
    (folder / "shards/0").mkdir(parents=True)
    (folder / "shards/1").mkdir()
    queue.then = [
        lambda: queue.drop("1_0"),
        lambda: None,
        lambda: (done(folder, 1), queue.drop("1_1")),
        lambda: (done(folder, 0), queue.drop("2_0")),
    ]
    assert launcher.ended() == {folder: None}
    assert queue.submitted == [[0, 1], [0]]
    assert said == [f"{folder.name}: submitting the shards [0] again"]
    assert Run(folder).status == "done"
    assert launcher.start(config) == folder  # nothing more to do
    assert launcher.ended() == {folder: None}


@pytest.mark.slow
def test_a_shard_whose_jobs_all_die_fails_the_run(config, monkeypatch) -> None:
    queue = Queue(monkeypatch)
    launcher = SlurmLauncher(settings(), lambda _: None)
    folder = launcher.start(config)
    (folder / "jobs").mkdir()
    (folder / "jobs" / "2_0_0_log.err").write_text("Traceback\nMemoryError: no room\n\n")
    queue.then = [lambda: queue.drop("1_0"), lambda: queue.drop("2_0")]
    ((_, error),) = launcher.ended().items()
    assert isinstance(error, StoreError)
    assert "2 jobs of shard 0" in str(error)
    assert "'MemoryError: no room'" in str(error)
    assert Run(folder).status == "failed"


@pytest.mark.slow
def test_a_driver_that_is_started_again_finds_its_jobs(config, monkeypatch, tmp_path) -> None:
    queue = Queue(monkeypatch)
    folder = SlurmLauncher(settings(), lambda _: None).start(
        config
    )  # dropped here: its locks are free
    queue.drop("1_1")
    again = SlurmLauncher(settings(), lambda _: None)
    assert again.start(config) == folder
    assert queue.submitted == [[0, 1], [1]]
    queue.active = None  # the queue does not answer: nothing is concluded from it
    queue.then = [lambda: None, lambda: (setattr(queue, "active", {}), done(folder, 0, 1))]
    (folder / "shards/0").mkdir(parents=True)
    (folder / "shards/1").mkdir()
    assert again.ended() == {folder: None}
    assert queue.submitted == [[0, 1], [1]]


def kept(folder: Path, shard: int, tick: int) -> None:
    said = {"shard": shard, "status": "running", "kept": tick, "cost_s": {}, "cpu_s": 1.0}
    said = {**dict.fromkeys(SAID, 0), **said}
    write_json(
        folder / "shards" / str(shard) / "progress.json",
        {**said, "replica_steps": 5},
    )


@pytest.mark.slow
def test_attempts_begin_anew_where_there_was_progress(config, monkeypatch) -> None:
    queue = Queue(monkeypatch)
    launcher = SlurmLauncher(settings(), lambda _: None)
    folder = launcher.start(config)
    for number in (1, 2, 3, 4):  # with two attempts: each job kept something, the last did not
        queue.then += [
            lambda n=number: (kept(folder, 0, 100 * min(n, 2)), queue.drop(f"{n}_0")),
        ]
    ((_, error),) = launcher.ended().items()
    assert "2 jobs of shard 0" in str(error)
    assert queue.submitted == [[0, 1], [0], [0], [0]]


@pytest.mark.slow
def test_attempts_outlive_the_driver_until_it_has_said_so(config, monkeypatch) -> None:
    queue = Queue(monkeypatch)
    for _ in range(2):  # drivers that are killed, each after its job has died
        folder = SlurmLauncher(settings(), lambda _: None).start(config)
        queue.drop(f"{len(queue.submitted)}_0")
    with pytest.raises(StoreError, match="2 jobs of shard 0"):
        SlurmLauncher(settings(), lambda _: None).start(config)
    assert Run(folder).status == "failed"
    assert len(queue.submitted) == 2
    SlurmLauncher(settings(), lambda _: None).start(config)  # the same command goes on
    assert len(queue.submitted) == 3


@pytest.mark.slow
def test_a_job_that_was_preempted_is_no_failed_attempt(config, monkeypatch) -> None:
    queue = Queue(monkeypatch)
    launcher = SlurmLauncher(settings(attempts=1), lambda _: None)
    folder = launcher.start(config)
    for number in (1, 2, 3):
        queue.over[f"{number}_0"] = (True, True)
        queue.then.append(lambda n=number: queue.drop(f"{n}_0"))
    queue.then.append(lambda: (done(folder, 0, 1), queue.drop("4_0", "1_1")))
    assert launcher.ended() == {folder: None}
    assert queue.submitted == [[0, 1], [0], [0], [0]]


@pytest.mark.slow
@pytest.mark.parametrize("known", [(False, False), (None, False)])
def test_an_empty_queue_is_not_the_end_of_jobs(config, monkeypatch, known) -> None:
    queue = Queue(monkeypatch)
    launcher = SlurmLauncher(settings(), lambda _: None)
    folder = launcher.start(config)
    there = dict(queue.active or {})
    queue.over = dict.fromkeys(there, known)
    queue.then = [
        lambda: setattr(queue, "active", {}),
        lambda: setattr(queue, "active", there),
        lambda: setattr(queue, "active", {}),
        lambda: (setattr(queue, "active", there), done(folder, 0, 1)),
    ]
    assert launcher.ended() == {folder: None}
    assert queue.submitted == [[0, 1]]


@pytest.mark.slow
def test_a_queue_that_stays_away_is_said_and_given_up(config, monkeypatch) -> None:
    queue, said = Queue(monkeypatch), []
    monkeypatch.setattr(cluster, "QUEUE_PATIENCE_S", 0.1)
    launcher = SlurmLauncher(settings(), said.append)
    launcher.start(config)
    queue.active = None
    with pytest.raises(StoreError, match=r"not answered for 0\.1 s: `squeue` failed: Unable to"):
        launcher.ended()
    assert said == [
        "the queue does not answer and is asked again: `squeue` failed: Unable to contact slurm "
        "controller"
    ]


@pytest.mark.slow
def test_held_jobs_are_named_once(config, monkeypatch) -> None:
    queue, said = Queue(monkeypatch), []
    launcher = SlurmLauncher(settings(), said.append)
    folder = launcher.start(config)
    queue.active = {"1_0": "HELD", "1_1": "RUNNING"}
    queue.then = [lambda: None, lambda: None, lambda: done(folder, 0, 1)]
    assert launcher.ended() == {folder: None}
    assert said == ["held in the queue until `scontrol release 1_0`"]


@pytest.mark.slow
def test_status_tells_jobs_and_retry_trains_what_failed(
    config, monkeypatch, tmp_path, capsys
) -> None:
    squeue = tmp_path / "bin" / "squeue"
    squeue.parent.mkdir()
    squeue.write_text(
        "#!/bin/sh\necho '1_0 PENDING Priority'\necho '7 RUNNING None'\n"
        "echo '8 PENDING JobHeldUser'\necho '9_1 PENDING launch failed requeued held'\n"
    )
    squeue.chmod(squeue.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{squeue.parent}:{os.environ['PATH']}")
    assert active_jobs() == {"1_0": "PENDING", "7": "RUNNING", "8": "HELD", "9_1": "HELD"}
    study = tmp_path / "smoke"
    with suppress(StoreError), own_run(config) as run:
        write_json(run.folder / "jobs.json", {"0": ["1_0"], "1": ["1_1"]})
        raise StoreError("a worker died")
    (record,) = study_status(study)
    assert record["status"] == "failed"
    assert record["jobs"] == {"1_0": "PENDING"}
    assert "jobs: 1 pending" in text([record])
    assert cli.run(["retry", str(study), "--here", "--quiet"]) == 0
    assert capsys.readouterr().out.strip() == str(run.folder)
    assert Run(run.folder).status == "done"
    assert cli.run(["retry", str(study), "--here"]) == 0
    assert "nothing to retry" in capsys.readouterr().err


def program(folder: Path, name: str, script: str) -> None:
    """A program of the cluster that does what a script of the shell says."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def test_a_job_is_not_over_where_the_cluster_does_not_say_so(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    program(tmp_path, "scontrol", "echo 'JobId=7 JobState=RUNNING Reason=None'")
    assert is_over("7") == (False, False)
    program(
        tmp_path, "scontrol", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"
    )
    assert is_over("7") == (None, False)
    program(tmp_path, "scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(StoreError, match="Unable to contact"):
        is_over("7")


def test_jobs_are_not_submitted_again_while_nothing_is_said_of_them(config, monkeypatch) -> None:
    queue, said = Queue(monkeypatch), []
    launcher = SlurmLauncher(settings(), said.append)
    folder = launcher.start(config)
    answers: list[Any] = [StoreError("`scontrol` failed: Unable to contact")] * 5

    def look(job: str) -> tuple[bool, bool]:
        if answers:
            raise answers.pop()
        return False, False

    monkeypatch.setattr(cluster, "is_over", look)
    there = dict(queue.active or {})
    queue.then = [
        *[lambda: setattr(queue, "active", {})] * 3,
        lambda: (setattr(queue, "active", there), done(folder, 0, 1)),
    ]
    assert launcher.ended() == {folder: None}
    assert queue.submitted == [[0, 1]]
    assert said == [
        "the queue does not answer and is asked again: `scontrol` failed: Unable to contact"
    ]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("sleep 60", "`sbatch` has not answered for 0.5 s, and may have queued jobs all the same"),
        ("true", "the queue refused the jobs of .*: Could not make sense of sbatch output"),
        ("echo 'Invalid account' >&2; exit 1", "the queue refused the jobs of .*Invalid account"),
    ],
)
def test_an_sbatch_that_names_no_job_ends_the_command_in_time(
    config, monkeypatch, tmp_path: Path, script: str, words: str
) -> None:
    for name, said in (("sbatch", script), ("squeue", "true"), ("srun", "true")):
        program(tmp_path / "bin", name, said)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(cluster, "QUEUE_PATIENCE_S", 0.5)
    monkeypatch.setattr(cluster, "freeze", lambda study: study)
    with pytest.raises((StoreError, ConfigError), match=words):
        SlurmLauncher(settings(), lambda _: None).start(config)


def test_status_says_where_the_queue_does_not_answer(config, monkeypatch, tmp_path: Path) -> None:
    program(tmp_path / "bin", "squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    folder = own_run(config).__enter__().folder
    (folder / "owner.lock").unlink(missing_ok=True)
    write_json(folder / "jobs.json", {"0": ["1_0"], "1": ["1_1"]})
    monkeypatch.setattr(Run, "status", "interrupted")
    (record,) = study_status(tmp_path / "smoke")
    assert record["status"] == "unknown"
    assert "not known whether any waits or runs; `squeue` failed: Unable to" in text([record])
