"""Kept states: who is kept when, what they change (nothing), and what is read from them."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from torch.nn.functional import cross_entropy

from observatory.bundle.export import export_study
from observatory.bundle.unpack import import_bundle
from observatory.core.errors import ConfigError, StoreError
from observatory.core.schedule import At
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.plan.plan import plan
from observatory.store.reader import Run, Study
from observatory.training.build import build
from observatory.training.keep import StateSettings, left_out
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


def test_the_guide_reads_networks(kept: Run, capsys: pytest.CaptureFixture[str]) -> None:
    text = (Path(__file__).parents[3] / "docs/states.md").read_text()
    first, vectors = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(first.replace("results/kept", str(kept.folder.parents[1])), names)
    assert str(kept.replica(2).kept_steps()) in capsys.readouterr().out
    found = names["network"].state_dict()["W_E"].numpy()
    assert np.array_equal(found, kept.weights(2, 10)["W_E"])
    exec(vectors, names)
    assert names["coefficients"].shape == (3, len(kept.weights(2)))
    network, few, labels = names["network"], names["pairs"][:20], names["labels"][:20]
    learned = cross_entropy(network(few), labels)
    network.load_state_dict(
        names["combined"](names["first"], names["vectors"], 0 * names["coefficients"])
    )
    assert learned < cross_entropy(network(few), labels)


def test_a_bundle_with_weights_gives_networks_at_kept_steps(kept: Run, tmp_path: Path) -> None:
    study = kept.folder.parents[1]
    brought = import_bundle(export_study(study, tmp_path / "a.tar", weights=True), tmp_path / "r")
    (run,) = Study(brought).runs
    assert run.replica(1).kept_steps() == kept.replica(1).kept_steps()
    for step in (10, HORIZON):
        ours, theirs = run.weights(1, step), kept.weights(1, step)
        assert all(np.array_equal(ours[name], theirs[name]) for name in theirs)
    again = export_study(brought, tmp_path / "again.tar", weights=True)
    assert again.read_bytes() == (tmp_path / "a.tar").read_bytes()
    without = export_study(study, tmp_path / "without")
    assert not list(without.rglob("states"))
    assert "\n## states\n" not in (without / "README.md").read_text()


def test_what_would_take_too_much_is_thinned_by_rule() -> None:
    asked = StateSettings(At((0, 1, 2, 3, 4, 5, 6, 99)), ("mem",), horizon=True, most_mb=1.0)

    def kept_with(state_bytes: int) -> tuple[list[int], bool]:
        thinned = asked.thinned(horizon=10, n_replicas=10, state_bytes=state_bytes)
        return thinned.steps(10), thinned.horizon

    assert kept_with(12_500) == ([0, 1, 2, 3, 4, 5, 6], True)  # eight states of ten replicas
    assert kept_with(13_000) == ([0, 2, 4, 6], True)
    assert kept_with(20_000) == ([0, 2, 4, 6], True)
    assert kept_with(34_000) == ([0], True)
    assert kept_with(90_000) == ([], True)
    assert kept_with(101_000) == ([], False)
    config = {"store": {"states": None}, "horizon_steps": 10}
    assert left_out(config, None) == ""


def test_what_has_no_room_is_said(tmp_path: Path) -> None:
    """For three states and a half of each of three networks: the horizon and two steps."""
    room = 3.5 * 3 * build(resolved(tiny(tmp_path, *KEPT))).state_bytes / 1e6
    config = resolved(tiny(tmp_path, *KEPT, f"store.states.most_mb={room}"))
    parts = build(config)
    assert left_out(config, parts.states) == (
        f"`store.states.most_mb={room:g}` has room for states of 2 of 4 scheduled steps only. "
        "Raise it to keep all."
    )
    (run,) = plan({"": config})["runs"]
    assert left_out(config, parts.states) in run["warnings"]
    state = 8 * (int(0.6 * 49) + 632) + 3 * 4 * parts.n_params + 8
    assert run["states"] == {
        "per_replica": 4, "state_bytes": state, "bytes_at_most": 4 * 3 * state,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("store.states.events=[grok]", r"`store\.states\.events` must be one of .* got 'grok'"),
        ("store.states.most_mb=0", r"`store\.states\.most_mb` must be a positive number"),
        ("store.states.horizon=7", r"`store\.states\.horizon` must be true or false"),
        ("+store.states.every=5", r"`store\.states\.every` is no setting"),
        ("store.states=7", r"`store\.states` must be settings by name or null"),
        (
            "store.states.schedule={_target_: observatory.losses.mse_one_hot.MseOneHot}",
            r"`store\.states\.schedule` must be a schedule",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path: Path, change: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        launch(tiny(tmp_path, change))
    assert not list(tmp_path.iterdir())


def test_a_step_that_was_not_kept_is_refused_with_those_that_were(kept: Run) -> None:
    with pytest.raises(StoreError, match=r"at step 7 of replica 2 .* only those of .*\[0, 1, 10,"):
        kept.network(2, 7)
    with pytest.raises(StoreError, match="has the replicas 0 to 2, got 9"):
        kept.weights(9)
