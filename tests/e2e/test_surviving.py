"""A run outlives kill -9, a second start, a full disk and a stop signal; nothing is doubled."""

import json
import math
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pytest

from observatory.cli import main as cli
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run, Study
from tests import commands
from tests.commands import finish

SMOKE = [
    "experiment=smoke",
    "fleet.shards=2",
    "fleet.size=4",
    "store.checkpoint_every=50",
]
pytestmark = pytest.mark.slow


def start(results: Path, *more: str) -> subprocess.Popen[str]:
    return commands.start("train", *SMOKE, "--quiet", f"results={results}", *more)


def train(results: Path) -> None:
    """What the command does, launched from this process; its workers are processes all the same."""
    launch(compose("train", [*SMOKE, f"results={results}"]))


def only_run(results: Path) -> Run:
    (run,) = Study(results / "smoke").runs
    return run


def tables(run: Run) -> dict[str, pd.DataFrame]:
    return {name: run.table(name) for name in run.tables()}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    results = tmp_path_factory.mktemp("undisturbed")
    train(results)
    return only_run(results)


def wait_for(condition, timeout_s: float = 300.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def checkpoints(results: Path) -> list[Path]:
    return list(results.glob("smoke/runs/*/shards/*/checkpoint.pt"))


def test_the_death_of_the_launcher_and_wrong_clocks_change_no_table(
    undisturbed: Run, tmp_path: Path
) -> None:
    process = start(tmp_path)
    wait_for(lambda: len(checkpoints(tmp_path)) == 2)
    os.kill(process.pid, signal.SIGKILL)  # the launcher alone
    process.communicate()
    wrong = random.Random(0)
    for path in tmp_path.rglob("*"):  # as if nodes disagreed about the time by hours
        with suppress(FileNotFoundError):  # a worker is still ending
            os.utime(path, (time.time() + wrong.uniform(-1e5, 1e5),) * 2)
    train(tmp_path)
    run = only_run(tmp_path)
    assert (run.run_id, run.status) == (undisturbed.run_id, "done")
    ours, theirs = tables(run), tables(undisturbed)
    assert ours.keys() == theirs.keys()
    assert ours["weights"]["replica"].tolist() == list(range(12))
    for name, table in theirs.items():
        pd.testing.assert_frame_equal(ours[name], table, check_exact=True, obj=name)


DIES = """
import os, signal, sys
from observatory.fleet.arms import Arms
from observatory.launch.compose import compose
from observatory.launch.run import launch

part, most = Arms.part, int(sys.argv[1])

def dies(self, slot):
    found = part(self, slot)
    if len(self.fleet.queue.parted) >= most:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

Arms.part = dies
launch(compose("train", sys.argv[2:]))
"""
"""Trains a run, and is killed where so many of its arms have parted."""
WITH_ARMS = [
    *("task.p=7", "model.d_model=16", "model.d_mlp=16", "horizon_steps=60", "evaluation.every=20"),
    *("fleet.shards=1", "fleet.size=4", "probe=[weight_norm]", "batch_size=8", "study=arms"),
    *("+sweep.scientific.weight_decay=[0.0,1.0]", "+sweep.nuisance.seed=[0,1]"),
    *("store.checkpoint_every=5", "retirement.settle=false", "arms=[freeze_norm,remove_decay]"),
    "arms.freeze_norm.moment={_target_: observatory.interventions.moments.AtStep, step: 20}",
    "arms.remove_decay.moment={_target_: observatory.interventions.moments.AtStep, step: 40}",
]


def test_kill_9_in_the_middle_of_a_fork_changes_no_table(tmp_path: Path) -> None:
    """Some arms have parted at a look and others have not, twice; nothing of it is kept."""
    calm = Run(launch(compose("train", [*WITH_ARMS, f"results={tmp_path / 'calm'}"])))
    given = [*WITH_ARMS, f"results={tmp_path / 'killed'}"]
    for parted in (3, 6):
        died = subprocess.run([sys.executable, "-c", DIES, str(parted), *given], check=False)
        assert died.returncode == -signal.SIGKILL
        (found,) = Study(tmp_path / "killed" / "arms").runs
        assert found.status == "interrupted"
    run = Run(launch(compose("train", given)))
    assert (run.run_id, run.status) == (calm.run_id, "done")
    theirs = tables(calm)
    for name, table in tables(run).items():
        if name != "events":  # who was resumed after the kills is noted there
            pd.testing.assert_frame_equal(table, theirs[name], check_exact=True, obj=name)
    parted, other = (
        each.table("events").query("kind == 'parted'").reset_index(drop=True)
        for each in (run, calm)
    )
    pd.testing.assert_frame_equal(parted, other)
    assert len(theirs["outcomes"]) == 12


def test_a_stop_signal_keeps_everything_and_the_same_command_continues(
    undisturbed: Run, tmp_path: Path
) -> None:
    process = start(tmp_path)
    wait_for(lambda: len(checkpoints(tmp_path)) == 2)
    process.terminate()
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "The same command continues it" in err
    assert only_run(tmp_path).status == "interrupted"
    finish(start(tmp_path))
    pd.testing.assert_frame_equal(
        only_run(tmp_path).outcomes(), undisturbed.outcomes(), check_exact=True
    )


def test_a_second_start_names_the_owner_and_touches_nothing(tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_for(lambda: list(tmp_path.glob("smoke/runs/*/owner.lock")))
    wait_for(lambda: any(lock.read_text() for lock in tmp_path.glob("smoke/runs/*/owner.lock")))
    second = start(tmp_path)
    _, err = second.communicate(timeout=300)
    assert second.returncode == 4
    assert str(first.pid) in err
    finish(first)
    assert only_run(tmp_path).status == "done"


def test_a_done_run_is_returned_as_it_is(
    undisturbed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in undisturbed.folder.rglob("*.parquet")}
    results = undisturbed.folder.parents[2]
    assert cli.run(["train", *SMOKE, "--quiet", f"results={results}"]) == 0
    assert capsys.readouterr().out.strip() == str(undisturbed.folder)
    assert {
        path: path.stat().st_mtime_ns for path in undisturbed.folder.rglob("*.parquet")
    } == before


def test_another_machine_finds_the_run_although_it_has_other_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = ["task.p=5", "horizon_steps=25", "model.d_model=8", "model.d_mlp=8"]
    decays = "+sweep.scientific.weight_decay=[0.1,1.0]"
    config = compose("train", [*tiny, decays, f"results={tmp_path}"])
    monkeypatch.setattr("observatory.launch.layout.usable_cores", lambda: 1)
    folder = launch(config)
    monkeypatch.setattr("observatory.launch.layout.usable_cores", lambda: 2)
    assert launch(config) == folder
    assert len(Study(tmp_path / "default").runs) == 1


def test_a_full_disk_is_told_and_the_earlier_parts_stay(undisturbed: Run, tmp_path: Path) -> None:
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); "
        f"sys.argv = ['observatory', 'train', *{SMOKE!r}, '--quiet', 'results={tmp_path}']; "
        "runpy.run_module('observatory.cli', run_name='__main__')"
    )
    full = subprocess.run(
        [sys.executable, "-c", limited], capture_output=True, text=True, check=False
    )
    assert full.returncode == 2
    assert "cannot be written" in full.stderr or "intact" in full.stderr
    train(tmp_path)
    pd.testing.assert_frame_equal(
        only_run(tmp_path).table("evaluation"), undisturbed.table("evaluation"), check_exact=True
    )


def test_the_manifest_explains_the_run(undisturbed: Run) -> None:
    manifest = json.loads((undisturbed.folder / "manifest.json").read_text())
    assert manifest["status"] == "done"
    assert manifest["run_id"] == manifest["identity"][:12]
    assert manifest["config"]["fleet"]["shards"] == 2
    assert manifest["cost"]["replica_steps"] == int(undisturbed.outcomes()["step"].sum())
    assert abs(sum(manifest["cost"]["shares"].values()) - 1) < 1e-9
    assert {"evaluation", "outcomes", "weights", "probes/attention"} <= manifest["tables"].keys()
    assert (
        sum(math.prod(weight["shape"]) for weight in manifest["model"]["layout"])
        == (manifest["model"]["n_params"])
    )
