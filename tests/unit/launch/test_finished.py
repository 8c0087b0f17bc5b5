"""A run that had finished is known by its manifest alone; what is not sure is not claimed."""

from pathlib import Path

import pytest

from observatory.launch.compose import compose
from observatory.launch.finished import finished_run
from observatory.launch.layout import laid_out
from observatory.store.files import write_json
from observatory.store.identity import identity
from observatory.training.replicas import Config


def begun(config: Config, status: str, **fleet: object) -> Path:
    """A manifest as if the run had been begun, on a layout of its own."""
    there = laid_out({**config, "fleet": {**config["fleet"], "device": "cpu", **fleet}})
    code = identity(there)
    folder = Path(config["results"]) / config["study"] / "runs" / code[:12]
    folder.mkdir(parents=True)
    manifest = {"config": there, "identity": code, "run_id": code[:12], "status": status}
    write_json(folder / "manifest.json", manifest)
    return folder


def test_a_finished_run_is_found_whatever_auto_means_here(tmp_path: Path) -> None:
    config = compose("train", ["experiment=smoke", "fleet.shards=auto", f"results={tmp_path}"])
    assert finished_run(config) is None
    folder = begun(config, "done", shards=3)
    assert finished_run(config) == folder
    assert finished_run({**config, "seed": 7}) is None


@pytest.mark.slow
def test_nothing_is_claimed_of_what_is_not_sure(tmp_path: Path) -> None:
    overrides = ["experiment=smoke", "fleet.shards=auto", f"results={tmp_path / 'a'}"]
    config = compose("train", overrides)
    begun(config, "running", shards=1)
    assert finished_run(config) is None
    config = {**config, "results": str(tmp_path / "b")}
    begun(config, "done", shards=1)
    begun(config, "done", shards=2)  # which of the two is meant?
    assert finished_run(config) is None


@pytest.mark.slow
def test_a_task_that_may_have_changed_is_looked_at(tmp_path: Path) -> None:
    for number, task in enumerate(
        (["task=cayley", "task.table=null", "task.path=mine.csv"], ["task=function"])
    ):
        config = compose("train", [*task, f"results={tmp_path / str(number)}"])
        begun(config, "done", shards=1)
        assert finished_run(config) is None
