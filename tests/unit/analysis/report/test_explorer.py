"""The block that the moving page is drawn from, and the command that trains a replica again."""

import shlex
from pathlib import Path

import pytest

from observatory.analysis.report.explorer.data import command, explorer_data
from observatory.analysis.report.gathering import gather_study
from observatory.launch.compose import compose
from observatory.store.reader import Study
from observatory.training.replicas import replica_table
from tests.unit.analysis.report.fabricate import Plan, fitted_study, published


def run(words: str) -> dict:
    return {"command": words, "study": "map"}


@pytest.mark.parametrize("experiment", ["laptop_map", "clock", "smoke"])
def test_a_replica_is_trained_again_alone(experiment):
    config = compose("map", [f"experiment={experiment}"])
    rows = replica_table(config)
    row = {name: getattr(rows, name)[-1].item() for name in ("seed", "weight_decay", "lr")}
    began = run(f".venv/bin/observatory map experiment={experiment} study=mine")
    made = command(began, row | {"replica": 5})
    again = shlex.split(made)
    assert again[:2] == ["observatory", "train"]
    alone = replica_table(compose("train", again[2:]))
    assert len(alone) == 1
    assert {name: getattr(alone, name)[0].item() for name in row} == row


def test_a_run_of_another_kind_names_no_command():
    row = {"replica": 0, "seed": 3, "weight_decay": 0.1, "lr": 0.01}
    assert command(run("python mine.py"), row) == ""
    assert command(run("observatory train --resume"), row).startswith("observatory train ++sweep")


def test_a_study_without_fits_by_horizon_does_not_move(tmp_path: Path):
    plan = Plan(study="still", weight_decays=(0.1, 1.0), n_seeds=2, probes=())
    folder = fitted_study(tmp_path, plan, published(20))
    assert explorer_data(gather_study(Study(folder))[0]) is None
