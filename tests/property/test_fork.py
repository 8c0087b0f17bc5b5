"""Replicas that go on from the states of a finished study: bit for bit, or with other settings."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.report.forks import forks
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.store.reader import Run
from observatory.training.build import build

TINY = [
    *("task.p=7", "model.d_model=16", "model.d_mlp=16", "horizon_steps=60", "evaluation.every=20"),
    *("fleet.shards=1", "fleet.size=4", "probe=[weight_norm]", "batch_size=8", "optimizer.lr=0.01"),
    *("+sweep.scientific.weight_decay=[0.0,1.0]", "+sweep.nuisance.seed=[0,1]"),
    *("retirement.settle=false", "store.states.events=[]"),
    "store.states.schedule={_target_: observatory.core.schedule.At, steps: [20, 30]}",
]
TABLES = ("evaluation", "probes/weight_norm", "weights", "outcomes", "states")


def config(results: Path, study: str, *more: str) -> dict[str, object]:
    return compose("train", [*TINY, f"results={results}", f"study={study}", *more])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(launch(config(tmp_path_factory.mktemp("whole"), "whole")))


def forked(whole: Run, results: Path, step: int, *more: str, **own: object) -> Run:
    settings = {"study": str(whole.folder.parents[1]), "step": step, **own}
    return Run(launch({**config(results, "forked", *more), "fork": settings}))


def after(run: Run, table: str, step: int) -> pd.DataFrame:
    rows = run.table(table).drop(columns="run_id")
    return pd.DataFrame(rows.loc[rows["step"] > step]).reset_index(drop=True)


def test_with_the_same_settings_a_fork_is_the_rest_of_its_parent(
    whole: Run, tmp_path: Path
) -> None:
    run = forked(whole, tmp_path, 30)
    for table in TABLES:
        ours, theirs = (after(each, table, 30) for each in (run, whole))
        assert len(theirs), table
        pd.testing.assert_frame_equal(ours, theirs, check_exact=True, obj=table)
    assert run.run_id != whole.run_id
    known = run.replicas()
    assert set(known["parent_run"]) == {whole.run_id}
    assert known["parent_replica"].tolist() == known["replica"].tolist()
    assert set(known["parent_step"]) == {30}
    assert run.manifest["fork"]["optimizer_state"] == "kept"
    [sentence] = forks({run.run_id: run.manifest})
    assert f"a fork of run `{whole.run_id}` of the study `whole`: each of its 4" in sentence


def test_other_rates_loss_and_optimizer_act_from_the_state_on(whole: Run, tmp_path: Path) -> None:
    more = ["sweep.scientific.weight_decay=[0.5,2.0]", "optimizer=sgd", "loss=mse_one_hot"]
    run = forked(whole, tmp_path, 20, *more, weight_decay=1.0, lr=0.01)
    known = run.replicas().set_index("replica")
    parents = whole.replicas().set_index("replica")
    kept = whole.table("states").query("step == 20").set_index("replica")["parameters"]
    states = run.table("states").query("step == 30").set_index("replica")
    assert known["weight_decay"].tolist() == [0.5, 0.5, 2.0, 2.0]
    for replica, row in known.iterrows():
        parent = parents.loc[row["parent_replica"]]
        assert (parent["seed"], parent["weight_decay"]) == (row["seed"], 1.0)
        moved = np.linalg.norm(states["parameters"][replica] - kept[row["parent_replica"]])
        assert 0 < moved < np.linalg.norm(kept[row["parent_replica"]])
    assert run.manifest["fork"]["optimizer_state"] == "new"
    assert run.outcomes()["step"].tolist() == [60] * 4


def test_precision_changes_from_the_state_on(whole: Run, tmp_path: Path) -> None:
    run = forked(whole, tmp_path, 20, "fleet.dtype=float64")
    ours, theirs = (
        np.stack(each.table("states").query("step == 30")["parameters"].tolist())
        for each in (run, whole)
    )
    assert (ours.dtype, theirs.dtype) == (np.float64, np.float32)
    apart = np.abs(ours - theirs)
    assert 0 < np.median(apart) < 1e-6  # a gradient near 0 may turn, and Adam's step with it
    assert (apart < 1e-4).mean() > 0.97


def test_train_examples_come_in_addition_from_the_state_on(tmp_path: Path) -> None:
    full = ["batch_size=null", "sweep.scientific.weight_decay=[1.0]"]
    parent = Run(launch(config(tmp_path / "parent", "whole", *full)))
    run = forked(parent, tmp_path / "fork", 20, *full, "train_fraction=0.8")
    plain = Run(launch(config(tmp_path / "plain", "plain", *full, "train_fraction=0.8")))
    for replica in range(2):
        before, more, fresh = (
            each.table("states").query("step == 30").iloc[replica] for each in (parent, run, plain)
        )
        assert set(before["order"]) < set(more["order"]) == set(fresh["order"])
        assert more["order"].tolist() == fresh["order"].tolist()
        assert np.abs(more["parameters"] - before["parameters"]).max() > 0
    accuracies = [after(each, "evaluation", 20)["train_loss"].tolist() for each in (run, plain)]
    assert accuracies[0] != accuracies[1]


@pytest.mark.parametrize(
    ("own", "more", "says"),
    [
        ({"step": 25}, [], r"got 25: .*\[0, 1, 2, 3\] they were not.* steps \[20, 30, 60\]"),
        ({"step": 60}, [], "below `horizon_steps`"),
        ({"step": 0}, [], "at least 1"),
        ({}, ["model.d_model=32"], "`model.d_model` must be as in the run .*, 16, got 32"),
        ({}, ["batch_size=16"], "`batch_size` must be as"),
        ({}, ["train_fraction=0.5"], "`train_fraction` must be as"),
        ({}, ["sweep.nuisance.seed=[5]"], "seed 5 in .* there is none"),
        ({}, ["sweep.scientific.weight_decay=[3.0]"], "`fork.weight_decay`"),
        ({"study": "nowhere"}, [], "`nowhere` is no study"),
        ({"run": "0123"}, [], "`run_ids` must be of"),
        ({"wd": 1.0}, [], "no setting of `fork`"),
    ],
)
def test_a_fork_that_cannot_be_is_refused_before_the_start(
    whole: Run, own: dict[str, object], more: list[str], says: str
) -> None:
    given = {"study": str(whole.folder.parents[1]), "step": 20, **own}
    asked = {**config(Path("nowhere"), "refused", *more), "fork": given}
    with pytest.raises(ConfigError, match=says):
        build(resolved(asked))


def test_a_fork_without_study_or_step_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"`fork.step` must be given, as in"):
        compose("train", [*TINY, "fork={study: results/kept}"])
