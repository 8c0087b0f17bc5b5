"""A boundary search as jobs of a real SLURM: it outlives what happens to jobs and to its driver."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from observatory.launch.queue import RECORD, active_jobs
from observatory.store.files import read_json
from observatory.store.lock import owner_of
from observatory.store.reader import Run, Study
from tests import commands
from tests.commands import finish

NEEDED = ("slurmctld", "slurmd", "slurmdbd", "mariadbd", "munged", "sbatch")
lacking = [
    name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lacking) or os.getuid() != 0, reason="needs SLURM's programs and root"),
]
SEARCH = [
    *("experiment=smoke", "fleet.device=cpu", "fleet.shards=2", "fleet.size=4"),
    *("horizon_steps=1500", "store.checkpoint_every=50", "store.progress_every=0.2"),
]
JOBS = [
    *("launcher=slurm", "launcher.poll_s=0.5", "launcher.parallel=1", "launcher.mem_gb=1"),
    *("launcher.timeout_min=10", "launcher.signal_delay_s=60", "launcher.attempts=4"),
]
ASKED = [
    "search.low=0.03",
    "search.high=3",
    "search.batch=8",
    "search.budget=16",
    "--quiet",
]


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    folder = tempfile.mkdtemp(prefix="slurm")  # that daemons of other users may enter
    script = Path(__file__).parents[1] / "slurm_one_node.sh"
    subprocess.run(["bash", str(script), folder], check=True)
    yield
    subprocess.run(["scancel", "--me"], check=True)
    subprocess.run(["bash", str(script), folder, "stop"], check=True)


def start(results: Path, *more: str) -> subprocess.Popen[str]:
    place = ["study=searched", f"results={results}"]
    return commands.start("sweep", *SEARCH, *ASKED, *more, *place)


def wait_for(
    driver: subprocess.Popen[str], condition: Callable[[], object], every: float = 0.05
) -> None:
    """Until it is so, asked `every` so many seconds; the queue, a process each time, less often."""
    until = time.monotonic() + 300.0
    while not condition():
        assert driver.poll() is None, driver.communicate()
        assert time.monotonic() < until, "waited in vain"
        time.sleep(every)


def slurm_says(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def accounted(job: str) -> list[tuple[str, str]]:
    """State and resources of the tasks of an ended job; the accounts hear of an end last of all."""
    until = time.monotonic() + 120.0
    while True:
        said = slurm_says("sacct", "-X", "-n", "-P", "-j", job, "--format=state,alloctres")
        tasks = [(state, used) for state, _, used in (line.partition("|") for line in said.split())]
        if tasks and not {"PENDING", "RUNNING", "COMPLETING"} & {state for state, _ in tasks}:
            return tasks
        assert time.monotonic() < until, said
        time.sleep(0.5)


def checkpoint(run: Path, shard: int) -> bool:
    return (run / "shards" / str(shard) / "checkpoint.pt").exists()


def tables(study: Path) -> dict[tuple[str, str], pd.DataFrame]:
    return {(r.run_id, name): r.table(name) for r in Study(study).runs for name in r.tables()}


def test_a_search_that_all_happens_to_ends_as_one_that_nothing_happens_to(
    slurm: None, tmp_path: Path
) -> None:
    quiet = tmp_path / "quiet"
    undisturbed = start(quiet)
    results = tmp_path / "jobs"
    driver = start(results, *JOBS)
    runs = results / "searched" / "runs"
    wait_for(driver, lambda: list(runs.glob(f"*/{RECORD}")))
    (run,) = (path.parent for path in runs.glob(f"*/{RECORD}"))

    # a worker is killed, and the job of the other shard is cancelled
    wait_for(driver, lambda: checkpoint(run, 0) and checkpoint(run, 1))
    owner = owner_of(run / "shards" / "0" / "owner.lock")
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    cancelled = read_json(run / RECORD)["1"][-1]
    slurm_says("scancel", cancelled)
    wait_for(driver, lambda: [len(ids) for ids in read_json(run / RECORD).values()] == [2, 2])

    # the driver is killed; one more that is started beside the next is refused
    driver.kill()
    driver.communicate()
    driver = start(results, *JOBS)
    wait_for(driver, lambda: owner_of(results / "searched" / "search.lock"))
    second = start(results, *JOBS)
    _, said = second.communicate(timeout=300)
    assert second.returncode == 4
    assert f"process {driver.pid} on" in said

    # the node is drained; what waits starts when it is back
    slurm_says("scontrol", "update", "nodename=node1", "state=drain", "reason=test")
    wait_for(driver, lambda: len(list(runs.glob(f"*/{RECORD}"))) == 2)
    (later,) = {path.parent for path in runs.glob(f"*/{RECORD}")} - {run}
    job = read_json(later / RECORD)["0"][-1]
    time.sleep(2.0)
    assert (active_jobs() or {})[job] == "PENDING"
    assert not checkpoint(later, 0)
    told = slurm_says(sys.executable, "-m", "observatory.cli", "status", str(results / "searched"))
    assert "jobs: 2 pending" in told
    slurm_says("scontrol", "update", "nodename=node1", "state=resume")

    # time is nearly out: SLURM, which looks every half minute, continues and warns the job, which
    # saves its state; submitit alone puts it back into the queue
    wait_for(driver, lambda: checkpoint(later, 0))
    owner = owner_of(later / "shards" / "0" / "owner.lock")
    assert owner is not None
    os.kill(owner.pid, signal.SIGSTOP)  # lest it be done by then
    slurm_says("scontrol", "update", f"jobid={job}", "timelimit=1")
    log = later / "jobs" / f"{job}_0_log.out"
    wait_for(driver, lambda: "Requeued job" in log.read_text() if log.exists() else False)
    wait_for(driver, lambda: (active_jobs() or {}).get(job) == "PENDING", every=1.0)
    time.sleep(5.0)  # SLURM waits two minutes, lest the end of this start be taken for the next's
    slurm_says("scontrol", "update", f"jobid={job}", "starttime=now", "timelimit=10")
    finish(driver)
    assert read_json(later / RECORD)["0"] == [job]

    finish(undisturbed)
    ours, theirs = tables(results / "searched"), tables(quiet / "searched")
    assert ours.keys() == theirs.keys()
    for name, table in ours.items():
        pd.testing.assert_frame_equal(table, theirs[name], check_exact=True)
    assert [state for state, _ in accounted(job)] == ["COMPLETED"]


def test_jobs_that_are_preempted_or_held_are_no_failures(slurm: None, tmp_path: Path) -> None:
    place = ["study=preempted", f"results={tmp_path}"]
    driver = commands.start("train", *SEARCH, *JOBS, "launcher.attempts=1", *place)
    runs = tmp_path / "preempted" / "runs"
    wait_for(driver, lambda: list(runs.glob(f"*/{RECORD}")))
    (run,) = (path.parent for path in runs.glob(f"*/{RECORD}"))
    wait_for(driver, lambda: checkpoint(run, 0) and checkpoint(run, 1))
    slurm_says("sbatch", "-p", "urgent", "-c", "8", "-o", "/dev/null", "--wrap", "sleep 3")
    wait_for(driver, lambda: [len(ids) for ids in read_json(run / RECORD).values()] == [2, 2])
    held = read_json(run / RECORD)["0"][-1]
    slurm_says("scontrol", "hold", held)
    wait_for(driver, lambda: (active_jobs() or {}).get(held) in ("HELD", "RUNNING"), every=0.5)
    slurm_says("scontrol", "release", held)
    finish(driver)
    assert len(Run(run).outcomes()) == len(Run(run).table("outcomes"))


def test_hydras_launcher_trains_two_fleets_on_one_gpu(slurm: None, tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "observatory.cli",
        "train",
        "-m",
        *SEARCH,
        "fleet.shards=1",
    ]
    sweeper = ["hydra/sweeper=boundary", "optimizer.weight_decay=interval(0.03,3)"]
    sweeper += ["hydra.sweeper.fleets=2"]
    sweeper += [f"hydra.sweeper.search.{rule}" for rule in ("batch=2", "budget=4")]
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.gres=shard:2"]
    launcher += ["hydra.launcher.mem_gb=1", "hydra.launcher.timeout_min=10"]
    launcher += ["+hydra.launcher.setup=['echo device $CUDA_VISIBLE_DEVICES']"]
    place = ["horizon_steps=300", "study=shared", f"results={tmp_path}"]
    told = subprocess.run(
        [*command, *sweeper, *launcher, *place], capture_output=True, text=True, check=True
    )
    assert "4 replicas: critical weight decay" in told.stdout + told.stderr
    study = tmp_path / "shared"
    assert [len(run.outcomes()) for run in Study(study).runs] == [2, 2]
    logs = sorted((study / "hydra" / ".submitit").glob("*/*_0_log.out"))
    devices = {line for log in logs for line in log.read_text().splitlines() if "device" in line}
    assert len(logs) == 2
    assert devices == {"device 0"}
    job = logs[0].parent.name.split("_")[0]
    tasks = accounted(job)
    assert [state for state, _ in tasks] == ["COMPLETED", "COMPLETED"]
    assert all("gres/shard=2" in used for _, used in tasks)


def test_jobs_that_the_queue_refuses_are_told_before_anything_is_trained(
    slurm: None, tmp_path: Path
) -> None:
    process = start(tmp_path, *JOBS, "launcher.partition=nowhere")
    _, said = process.communicate(timeout=300)
    assert process.returncode == 2
    assert "the queue refused the jobs" in said
    assert "invalid partition" in said
    run = Run(next((tmp_path / "searched" / "runs").iterdir()))
    assert run.progress() == []
