"""An experiment of two runs, from its plan to its one report."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.cli import main as cli

TWO = """# @package _global_
study: two
task: {p: 11}
model: {d_model: 16, d_mlp: 16}
horizon_steps: 100
evaluation: {every: 20}
fleet: {shards: 1, device: cpu}
fit: {study: {n_bootstrap: 50}}
sweep:
  scientific: {weight_decay: [0.0, 1.0]}
hydra:
  sweeper:
    params: {optimizer.lr: "0.003,0.01"}
"""


def observatory(folder: Path, *arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
    done = subprocess.run(
        [sys.executable, "-m", "observatory.cli", *arguments],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture
def here(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[str, str]]:
    """The same in this process: what it prints to stdout and to stderr."""
    monkeypatch.chdir(folder)

    def run(*arguments: str, code: int = 0) -> tuple[str, str]:
        assert cli.run([*arguments]) == code
        printed = capsys.readouterr()
        return printed.out, printed.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plan")
    (folder / "my" / "experiment").mkdir(parents=True)
    (folder / "my" / "experiment" / "two.yaml").write_text(TWO)
    return folder


@pytest.mark.slow
def test_plan_then_map_then_map_again(folder: Path, here: Callable[..., tuple[str, str]]) -> None:
    common = ("--config-dir", "my", "experiment=two")
    told = json.loads(here("plan", *common, "--json")[0])
    assert (told["n_runs"], told["n_replicas"], told["replica_steps_at_most"]) == (2, 4, 400)
    assert [path.name for path in folder.iterdir()] == ["my"]

    done = observatory(folder, "map", *common)
    assert done.stdout == "results/two/report.html\n"
    assert "run 2 of 2: optimizer.lr=0.01" in done.stderr
    assert done.stderr.count("probes that cannot look: massive_state (Transformer has no") == 1
    manifests = sorted(folder.glob("results/two/runs/*/manifest.json"))
    assert len(manifests) == 2
    assert {json.loads(path.read_text())["experiment"] for path in manifests} == {"two"}
    assert len((folder / "results/two/replicas.csv").read_text().splitlines()) == 1 + 4

    before = [path.read_text() for path in manifests]
    observatory(folder, "map", *common, "--quiet")
    assert [path.read_text() for path in manifests] == before


@pytest.mark.slow
def test_an_override_leaves_one_run_and_hydras_multirun_knows_the_list(folder: Path) -> None:
    common = ("--config-dir", "my", "experiment=two", "results=elsewhere")
    one = observatory(folder, "train", *common, "optimizer.lr=0.01", "study=one").stdout
    assert one.startswith("elsewhere/one/runs/")
    assert one.count("\n") == 1
    observatory(folder, "train", "-m", *common)
    assert len(list(folder.glob("elsewhere/two/runs/*"))) == 2


@pytest.mark.slow
def test_plan_help_and_refusals(folder: Path, here: Callable[..., tuple[str, str]]) -> None:
    printed, _ = here("plan", "--help")
    assert "examples:" in printed
    assert "observatory plan experiment=e5" in printed
    _, refused = here("plan", "--config-dir", "nowhere", code=2)
    assert "`--config-dir` must be a folder, got nowhere" in refused
    # A mistake of the second run is found before the first one trains.
    _, refused = here("train", "task.p=11,1", "results=nothing", code=2)
    assert "`p` must be at least 2, got 1" in refused
    assert not (folder / "nothing").exists()
