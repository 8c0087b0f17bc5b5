"""A search on real networks: it trains in batches, stops, and a second start finds it done."""

from pathlib import Path

import pytest

from observatory import cli
from observatory.pipeline import search_boundary
from observatory.store.reader import Study
from observatory.training.compose import compose

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


def test_a_search_that_makes_no_sense_is_refused_before_it_trains(tmp_path: Path, capsys) -> None:
    wrong = ["sweep", *SMALL, f"results={tmp_path}"]
    assert cli.run([*wrong, "search.low=5"]) == 2
    assert "`search.low` must be positive and below `search.high`" in capsys.readouterr().err
    assert cli.run([*wrong, "model=mlp,lstm"]) == 2
    assert "name one of them" in capsys.readouterr().err
    assert not (tmp_path / "searched").exists()
