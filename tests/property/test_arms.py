"""Arms part from replicas bit for bit, disturb nobody, and go on after a stop as without one."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observatory.core.errors import ConfigError
from observatory.fleet.arms import Arms, initial, part_names
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.store.reader import Run
from observatory.training.build import build

HORIZON = 120
TINY = [
    *("task.p=7", "model.d_model=16", "model.d_mlp=16", "model.attn_bias=true", "study=tiny"),
    *(f"horizon_steps={HORIZON}", "evaluation.every=20", "fleet.shards=1", "fleet.size=4"),
    *("probe=[weight_norm,attention]", "batch_size=8", "optimizer.lr=0.01"),
    *("+sweep.scientific.weight_decay=[0.0,1.0,2.0]", "+sweep.nuisance.seed=[0,1]"),
    *("store.checkpoint_every=25", "retirement.settle=false"),
]
N = 6
ROOM = "observatory.interventions"
AT_40 = {"_target_": f"{ROOM}.moments.AtStep", "step": 40}
HEAD = {"part": "blocks.*.head.0"}
REINITIALISE = {"_target_": f"{ROOM}.reinitialise.Reinitialise", **HEAD}
ALL: dict[str, dict[str, Any]] = {
    "reinitialise": REINITIALISE,
    "again": {**REINITIALISE, "own": True},
    "noise": {"_target_": f"{ROOM}.noise.Noise", "like": REINITIALISE},
    "rescale": {"_target_": f"{ROOM}.rescale.Rescale", "part": "*", "factor": 2.0},
    "shuffle": {"_target_": f"{ROOM}.shuffle.Shuffle", "part": "W_U"},
    "freeze": {"_target_": f"{ROOM}.freeze.Freeze", **HEAD},
    "norm": {"_target_": f"{ROOM}.hold_norm.HoldNorm", "part": "*", "ratio": 1.0},
}


def arms(strength: float, moment: dict[str, Any] = AT_40, *names: str) -> dict[str, dict[str, Any]]:
    return {
        name: {
            "intervention": ALL[name],
            "moment": moment,
            "strength": strength,
            "control": None,
        }
        for name in names or ALL
    }


def trained(results: Path, given: dict[str, dict[str, Any]]) -> Run:
    config = compose("train", [*TINY, f"results={results}"])
    config["store"]["states"]["schedule"] = {
        "_target_": "observatory.core.schedule.At", "steps": [40]
    }  # fmt: skip
    return Run(launch({**config, "arms": given}))


def of_replica(run: Run, table: str, replica: int) -> pd.DataFrame:
    rows = run.table(table)
    own = rows.loc[rows["replica"] == replica].drop(columns=["run_id", "replica"])
    return own.reset_index(drop=True)


def ends(run: Run) -> dict[int, np.ndarray]:
    """Final parameters by replica."""
    rows = run.table("weights")
    return {int(i): np.asarray(p) for i, p in zip(rows["replica"], rows["parameters"], strict=True)}


def arm_of(run: Run, name: str) -> dict[int, int]:
    """Each replica of an arm, with its parent."""
    known = run.replicas()
    own = known.loc[known["arm"] == name]
    return {int(r): int(p) for r, p in zip(own["replica"], own["parent"], strict=True)}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("alone"), {})


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return trained(tmp_path_factory.mktemp("acted"), arms(1.0))


LOOKS = ("evaluation", "probes/weight_norm", "probes/attention")


@pytest.mark.slow
def test_at_strength_0_every_arm_is_its_replica_to_the_last_bit(tmp_path: Path) -> None:
    run = trained(tmp_path, arms(0.0))
    assert len(run.replicas()) == N * (1 + len(ALL))
    for name in ALL:
        for replica, parent in arm_of(run, name).items():
            for table in (*LOOKS, "weights", "outcomes"):
                one, other = (of_replica(run, table, of) for of in (replica, parent))
                if table != "outcomes":
                    other = pd.DataFrame(other.loc[other["step"] > 40]).reset_index(drop=True)
                pd.testing.assert_frame_equal(one, other, check_exact=True)


@pytest.mark.slow
def test_arms_leave_the_replicas_as_they_are_without_them(acted: Run, alone: Run) -> None:
    for table in (*LOOKS, "weights", "outcomes"):
        for replica in range(N):
            one, other = (of_replica(run, table, replica) for run in (acted, alone))
            pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert acted.run_id != alone.run_id
    assert "arm" not in alone.replicas()


@pytest.mark.slow
def test_every_arm_differs_from_its_replica_and_from_the_other_arms(acted: Run) -> None:
    final = ends(acted)
    for parent in range(N):
        own = [r for name in ALL for r, p in arm_of(acted, name).items() if p == parent]
        assert len(own) == len(ALL)
        assert len({final[r].round(6).tobytes() for r in (parent, *own)}) == 1 + len(ALL)
    parted = acted.table("events").query("kind == 'parted'")
    assert set(parted["step"].tolist()) == {40}
    assert sorted(parted["replica"].tolist()) == list(range(N, N * (1 + len(ALL))))


@pytest.mark.slow
def test_a_norm_is_held_and_a_frozen_head_stays_where_it_was(acted: Run) -> None:
    parts, final = build(acted.manifest["config"]), ends(acted)
    fleet = parts.shard(0, 1)
    for replica in arm_of(acted, "norm"):
        first = float(initial(fleet, fleet.table.replica.tolist().index(replica)).norm())
        assert np.linalg.norm(final[replica]) == pytest.approx(first, rel=1e-5)
    head = part_names(parts.network).entries(HEAD["part"]).numpy()
    rows = acted.table("states", ["parameters"]).query("step == 40")
    kept = {int(i): p for i, p in zip(rows["replica"], rows["parameters"], strict=True)}
    for replica, parent in arm_of(acted, "freeze").items():
        assert np.array_equal(final[replica][head], kept[parent][head])
        assert (final[replica][~head] != kept[parent][~head]).mean() > 0.5


@pytest.mark.slow
def test_a_stop_while_arms_wait_changes_nothing(
    acted: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies as arms part, three times; each next one goes on from what was kept."""
    part, left = Arms.part, [5, 11, 17]

    def dies(self: Arms, slot: int) -> list[int]:
        found = part(self, slot)
        if found and left and len(self.fleet.queue.parted) >= left[0]:
            left.pop(0)
            raise RuntimeError("gone")
        return found

    monkeypatch.setattr(Arms, "part", dies)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="gone"):
            trained(tmp_path, arms(1.0))
    run = trained(tmp_path, arms(1.0))
    assert not left
    for table in run.tables():
        if table != "events":
            pd.testing.assert_frame_equal(run.table(table), acted.table(table), check_exact=True)


def test_a_moment_that_never_comes_is_no_effect(tmp_path: Path) -> None:
    never = {"_target_": f"{ROOM}.moments.AtEvent", "event": "first99", "after": 100}
    run = trained(tmp_path, arms(1.0, never, "rescale"))
    assert set(run.outcomes()["replica"]) == set(range(N))
    ended = run.table("outcomes").set_index("replica")
    assert (ended.loc[range(N, 2 * N), "retire_reason"] == "never_parted").all()
    assert run.progress()[0]["finished"] == 2 * N


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rescale": {"intervention": {**ALL["rescale"], "factor": -1.0}}}, "factor"),
        ({"rescale": {"moment": {**AT_40, "step": 50}}}, "multiple of `evaluation.every`"),
        ({"rescale": {"moment": {**AT_40, "step": HORIZON}}}, "below `horizon_steps`"),
        ({"rescale": {"strength": -0.5}}, "strength"),
        ({"rescale": {"moment": {"_target_": f"{ROOM}.moments.AtEvent", "event": "mom"}}}, "mem"),
        ({"none": {}}, "another name"),
        ({"rescale": {"control": "rescale"}}, "another arm"),
        ({"rescale": {"intervention": {**ALL["rescale"], "part": "heed"}}}, "head"),
    ],
)
def test_an_arm_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    whole = {"intervention": ALL["rescale"], "moment": AT_40, "strength": 1.0, "control": None}
    config = compose("train", [*TINY, "results=nowhere"])
    config["arms"] = {name: {**whole, **own} for name, own in given.items()}
    with pytest.raises(ConfigError, match=says):
        build(resolved(config))
