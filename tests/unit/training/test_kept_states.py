"""Kept states: who is kept when, what they change (nothing), and what is read from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from observatory.core.errors import StoreError
from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run, Study
from observatory.training.build import build
from observatory.training.replicas import Config
from observatory.training.state_rows import from_rows

HORIZON = 200
TINY = [
    *("task.p=7", "model.d_model=16", "model.d_mlp=16", "probe=[weight_norm]", "study=tiny"),
    *(f"horizon_steps={HORIZON}", "evaluation.every=20", "fleet.shards=1", "fleet.size=2"),
    *("+sweep.scientific.weight_decay=[0.0,1.0,2.0]", "+sweep.nuisance.seed=[0]", "batch_size=8"),
    *("optimizer.lr=0.01", "store.checkpoint_every=25"),
]
LOG = "{_target_: observatory.core.schedule.LogSpaced, per_decade: 1}"
KEPT = [f"store.states.schedule={LOG}", "store.states.events=[mem]"]


def tiny(results: Path, *more: str) -> Config:
    return compose("train", [*TINY, f"results={results}", *more])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(launch(tiny(tmp_path_factory.mktemp("kept"), *KEPT)))


@pytest.mark.slow
def test_states_are_kept_when_they_are_due_and_change_nothing(kept: Run, tmp_path: Path) -> None:
    nothing = ["store.states=null", "store.final_weights=false"]
    without = Run(launch(tiny(tmp_path, *nothing)))
    assert without.run_id == kept.run_id
    tables: dict[str, pa.Table] = {name: without.arrow(name) for name in without.tables()}
    assert set(kept.tables()) - set(tables) == {"states", "weights"}
    assert all(kept.arrow(name) == table for name, table in tables.items())
    rows = kept.table("states", ["home"])
    seen = kept.outcomes()["mem_hi"].tolist()
    assert not all(map(pd.isna, seen))
    for replica, mem in enumerate(seen):
        expected = sorted({0, 1, 10, 100, *([] if pd.isna(mem) else [int(mem)]), HORIZON})
        assert rows["step"][rows["replica"] == replica].tolist() == expected
        assert kept.replica(replica).kept_steps() == expected


@pytest.mark.slow
def test_a_state_is_all_of_the_replica_and_goes_on_bit_for_bit(kept: Run) -> None:
    """From step 10 to the horizon alone, in the place that it had: the parameters of the table."""
    parts = build(kept.manifest["config"])
    fleet, rows = parts.shard(0, 1), kept.table("states").query("step == 10 and replica < 2")
    states = from_rows(rows, parts.optimizer)
    assert states.replica == [0, 1]
    for row, home in enumerate(states.home):
        fleet.resume(home, states, row)
    fleet.advance(HORIZON - 10)
    for slot, replica in enumerate([0, 1]):
        final = kept.table("weights")["parameters"][replica]
        assert np.array_equal(fleet.flat[slot].numpy(), final)


def test_a_network_computes_what_was_evaluated(kept: Run) -> None:
    study = Study(kept.folder.parents[1])
    network = study.network(2, HORIZON)
    assert not network.training
    dataset = build(kept.manifest["config"]).dataset
    split = dataset.draw(0)
    with torch.no_grad():
        right = network(dataset.inputs).argmax(1) == split.labels
    last = kept.table("evaluation").query(f"replica == 2 and step == {HORIZON}").iloc[0]
    assert right[split.val].double().mean().item() == pytest.approx(last["val_acc"])
    shapes = {weight["name"]: weight["shape"] for weight in kept.manifest["model"]["layout"]}
    weights = study.weights(2, 1)
    assert {name: list(each.shape) for name, each in weights.items()} == shapes
    assert not np.array_equal(weights["W_E"], study.weights(2)["W_E"])
    assert np.array_equal(study.weights(2)["W_E"], kept.weights(2, HORIZON)["W_E"])


def test_a_step_that_was_not_kept_is_refused_with_those_that_were(kept: Run) -> None:
    with pytest.raises(StoreError, match=r"at step 7 of replica 2 .* only those of .*\[0, 1, 10,"):
        kept.network(2, 7)
    with pytest.raises(StoreError, match="has the replicas 0 to 2, got 9"):
        kept.weights(9)
