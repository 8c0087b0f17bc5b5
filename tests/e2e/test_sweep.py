"""A search on real networks: it trains in batches, stops, and a second start finds it done."""

import subprocess
import sys
from pathlib import Path

import pytest

from observatory.cli import main as cli
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.pipeline import search_boundary
from observatory.store.reader import Study

SMALL = [
    "experiment=smoke", "study=searched", "horizon_steps=300", "fleet.size=4",
    "search.low=0.03", "search.high=3", "search.batch=4", "search.budget=8",
]  # fmt: skip


@pytest.mark.slow
def test_a_search_trains_batches_and_then_nothing_more(tmp_path: Path) -> None:
    config = compose("sweep", [*SMALL, f"results={tmp_path}"])
    said: list[str] = []
    search_boundary(config, None, said.append)
    study = Study(tmp_path / "searched")
    assert [len(run.outcomes()) for run in study.runs] == [4, 4]
    assert all(run.outcomes()["outcome"].notna().all() for run in study.runs)
    assert said[-1].startswith("8 replicas: critical weight decay")
    search_boundary(config, None, said.append)
    assert len(said) == 2
    assert len(Study(tmp_path / "searched").runs) == 2


@pytest.mark.slow
def test_a_search_that_makes_no_sense_is_refused_before_it_trains(tmp_path: Path, capsys) -> None:
    wrong = ["sweep", *SMALL, f"results={tmp_path}"]
    assert cli.run([*wrong, "search.low=5"]) == 2
    assert "`search.low` must be positive and below `search.high`" in capsys.readouterr().err
    assert cli.run([*wrong, "search.second={name:train_fraction,values:[0.5,1.5]}"]) == 2
    assert "`train_fraction` must be" in capsys.readouterr().err
    assert cli.run([*wrong, "search.second={name:store.progress_every,values:[1,2]}"]) == 2
    assert "changes nothing that is recorded" in capsys.readouterr().err
    assert cli.run([*wrong, "model=mlp,lstm"]) == 2
    assert "name one of them" in capsys.readouterr().err
    assert not (tmp_path / "searched").exists()


@pytest.mark.slow
def test_hydras_sweeper_searches_and_the_other_door_continues(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "observatory.cli",
        "train",
        "-m",
        "hydra/sweeper=boundary",
    ]
    rules = [rule for rule in SMALL if rule.startswith("search.")]
    own = [f"hydra.sweeper.{rule}" for rule in rules if "budget" not in rule]
    rest = [rule for rule in SMALL if rule not in rules]
    place = ["study=searched", f"results={tmp_path}", "hydra.sweeper.search.budget=4"]

    def start(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *rest, *own, *place, *more], capture_output=True, text=True
        )

    wrong = start("task.p=11,13")
    assert wrong.returncode == 2
    assert "searches one boundary: give one value in place of 'task.p=11,13'" in wrong.stderr
    wrong = start("hydra.sweeper.search.event=never", "fleet.device=cuda")
    assert wrong.returncode == 2
    assert "`search.event` must be one of" in wrong.stderr
    assert not (tmp_path / "searched").exists() or not list((tmp_path / "searched").glob("runs/*"))
    done = start()
    assert done.returncode == 0, done.stderr
    assert "4 replicas: critical weight decay" in done.stdout
    said: list[str] = []
    search_boundary(compose("sweep", [*SMALL, f"results={tmp_path}"]), None, said.append)
    assert [line.split(":")[0] for line in said] == ["8 replicas"]
    other = compose("sweep", [*SMALL, f"results={tmp_path}", "horizon_steps=200"])
    with pytest.raises(ConfigError, match="`horizon_steps` is 300 there and 200 now"):
        search_boundary(other, None, said.append)
