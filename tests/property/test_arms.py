"""Arms part from replicas bit for bit, disturb nobody, and go on after a stop as without one."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import observatory
from observatory.core.errors import ConfigError
from observatory.fleet.arms import Arms, initial, part_names
from observatory.interventions.moments import AtStep
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.run import launch
from observatory.store.reader import Run
from observatory.training.build import build
from observatory.training.probe_callback import ProbeCallback
from tests.typechecking import unchecked

HORIZON = 80
TINY = [
    *("task.p=17", "model.d_model=16", "model.d_mlp=16", "model.attn_bias=true", "study=tiny"),
    *(f"horizon_steps={HORIZON}", "evaluation.every=20", "fleet.shards=1", "fleet.size=8"),
    *("probe=[weight_norm,attention]", "batch_size=8", "optimizer.lr=0.01"),
    *("+sweep.scientific.weight_decay=[0.0,1.0]", "+sweep.nuisance.seed=[0,1]"),
    *("store.checkpoint_every=10", "retirement.settle=false"),
]
N = 4
ROOM = "observatory.interventions"
AT_40 = {"_target_": f"{ROOM}.moments.AtStep", "step": 40}
CONF = Path(observatory.__file__).parents[1] / "conf"
PRESETS = sorted(path.stem for path in (CONF / "arms").glob("*.yaml"))
HEAD = {"part": "blocks.*.head.0"}
RESCALE = {"_target_": f"{ROOM}.rescale.Rescale", "part": "*", "factor": 2.0}
NO_MATTER = {"remove_decay", "triple_decay"}
"""Presets that leave a replica without weight decay as it is."""


AT_EVENT = {"_target_": f"{ROOM}.moments.AtEvent", "event": "mem"}
PEAK = {"_target_": f"{ROOM}.moments.AtPeak", "signal": "s_bar", "fall": 0.1}
TRANSPLANT = {"_target_": f"{ROOM}.transplant.Transplant", "part": "W_E"}
MOVED = ("random", "permuted", "rotated")
NOBODY = {
    **{"_target_": f"{ROOM}.donor.Donor", "study": "nowhere"},
    **{"run": None, "replica": 0, "outcome": None, "step": None},
}


def presets(strength: float, donors: Path) -> dict[str, dict[str, Any]]:
    """Every preset of an arm, from step 40 on."""
    studies = [
        f"arms.{name}.intervention.donor.study={donors / 'tiny'}"
        for name in ("transplant_embedding", "add_task_vector")
    ]
    arms = compose("train", [*TINY, f"arms=[{','.join(PRESETS)}]", *studies])["arms"]
    for arm in arms.values():
        act = arm["intervention"].get("like", arm["intervention"])
        if "donor" in act:
            act["donor"]["outcome"] = None
        if "since" in act:
            act["since"] = 40  # the one state that `trained` keeps before the last
    return {name: {**arm, "moment": AT_40, "strength": strength} for name, arm in arms.items()}


def rescaled(moment: dict[str, Any]) -> dict[str, dict[str, Any]]:
    arm = {"intervention": RESCALE, "moment": moment, "strength": 1.0, "control": None}
    return {"rescale": arm}


def trained(results: Path, given: dict[str, dict[str, Any]], *more: str) -> Run:
    config = compose("train", [*TINY, f"results={results}", *more])
    config["store"]["states"]["schedule"] = {
        "_target_": "observatory.core.schedule.At", "steps": [40]
    }  # fmt: skip
    return Run(launch({**config, "arms": given}))


@cache
def by_replica(run: Run, table: str) -> dict[int, pd.DataFrame]:
    rows = run.table(table).drop(columns="run_id")
    return {
        replica: rows.loc[rows["replica"] == replica].drop(columns="replica").reset_index(drop=True)
        for replica in set(rows["replica"].tolist())
    }


def of_replica(run: Run, table: str, replica: int) -> pd.DataFrame:
    return by_replica(run, table)[replica]


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
def donors(alone: Run) -> Path:
    return alone.folder.parents[2]


@pytest.fixture(scope="module")
def acted(tmp_path_factory: pytest.TempPathFactory, donors: Path) -> Run:
    return trained(tmp_path_factory.mktemp("acted"), presets(1.0, donors))


LOOKS = ("evaluation", "probes/weight_norm", "probes/attention")


@pytest.mark.slow
def test_at_strength_0_every_arm_is_its_replica_to_the_last_bit(
    tmp_path: Path, donors: Path
) -> None:
    run = trained(tmp_path, presets(0.0, donors))
    assert len(run.replicas()) == N * (1 + len(PRESETS))
    for name in PRESETS:
        for replica, parent in arm_of(run, name).items():
            for table in (*LOOKS, "weights", "outcomes"):
                one, other = (of_replica(run, table, of) for of in (replica, parent))
                if table != "outcomes":
                    other = pd.DataFrame(other.loc[other["step"] > 40]).reset_index(drop=True)
                pd.testing.assert_frame_equal(one, other, check_exact=True, obj=name)


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
    known = acted.replicas()
    decays = dict(zip(known["replica"], known["weight_decay"], strict=True))
    for parent in range(N):
        names = [name for name in PRESETS if decays[parent] or name not in NO_MATTER]
        own = [r for name in names for r, p in arm_of(acted, name).items() if p == parent]
        assert len(own) == len(names)
        assert len({final[r].round(6).tobytes() for r in (parent, *own)}) == 1 + len(names)
    parted = acted.table("events").query("kind == 'parted'")
    assert set(parted["step"].tolist()) == {40}
    assert sorted(parted["replica"].tolist()) == list(range(N, N * (1 + len(PRESETS))))


@pytest.mark.slow
def test_what_is_held_or_given_is_so_at_the_end(acted: Run, alone: Run) -> None:
    parts, final = build(acted.manifest["config"]), ends(acted)
    fleet = parts.shard(0, 1)
    rows = acted.table("states", ["parameters"]).query("step == 40")
    kept = {int(i): p for i, p in zip(rows["replica"], rows["parameters"], strict=True)}
    for replica in arm_of(acted, "hold_norm"):
        first = float(initial(fleet, fleet.table.replica.tolist().index(replica)).norm())
        assert np.linalg.norm(final[replica]) == pytest.approx(first, rel=1e-5)
    for replica, parent in arm_of(acted, "freeze_norm").items():
        norm = np.linalg.norm(kept[parent])
        assert np.linalg.norm(final[replica]) == pytest.approx(norm, rel=1e-5)
    embedding = part_names(parts.network).entries("W_E").numpy()
    for replica, parent in arm_of(acted, "freeze_embedding").items():
        assert np.array_equal(final[replica][embedding], kept[parent][embedding])
        assert (final[replica][~embedding] != kept[parent][~embedding]).mean() > 0.5
    donors = acted.manifest["donors"]["transplant_embedding"]
    assert [row[1:3] for row in sorted(donors)] == [[alone.run_id, 2], [alone.run_id, 3]] * 2


@pytest.mark.slow
def test_a_stop_while_arms_wait_changes_nothing(
    acted: Run, donors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker dies as arms part, three times; each next one goes on from what was kept."""
    part, left = Arms.part, [5, 31, 60]

    def dies(self: Arms, slot: int) -> list[int]:
        found = part(self, slot)
        if found and left and len(self.fleet.queue.parted) >= left[0]:
            left.pop(0)
            raise RuntimeError("gone")
        return found

    monkeypatch.setattr(Arms, "part", dies)
    given = presets(1.0, donors)
    with unchecked():  # what `acted` called with checks
        for _ in range(3):
            with pytest.raises(RuntimeError, match="gone"):
                trained(tmp_path, given)
        run = trained(tmp_path, given)
    assert not left
    for table in run.tables():
        if table != "events":
            pd.testing.assert_frame_equal(run.table(table), acted.table(table), check_exact=True)


def test_an_arm_parts_where_a_recorded_signal_of_its_replica_has_fallen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment is a function of what was recorded up to it, after a stop as without one."""
    peak = {"_target_": f"{ROOM}.moments.AtPeak", "signal": "entropy", "fall": 0.001}
    first = {"_target_": f"{ROOM}.moments.FirstOf", "moments": [peak, {**AT_40, "step": 60}]}
    part, dies_at = Arms.part, [20]

    def dies(self: Arms, slot: int) -> list[int]:
        if dies_at and self.fleet.ages[slot] >= dies_at[0]:
            dies_at.clear()
            raise RuntimeError("gone")
        return part(self, slot)

    given = {**rescaled(peak), "first": {**rescaled(first)["rescale"]}}
    monkeypatch.setattr(Arms, "part", dies)
    with pytest.raises(RuntimeError, match="gone"):
        trained(tmp_path, given)
    run = trained(tmp_path, given)
    events = run.table("events").query("kind == 'parted'")
    parted = dict(zip(events["replica"], events["step"], strict=True))
    never = set(run.table("outcomes").query("retire_reason == 'never_parted'")["replica"])
    entropy, looks = run.table("probes/attention", ["entropy"]), range(0, HORIZON, 20)
    for parent in range(N):
        own = entropy.loc[entropy["replica"] == parent]
        steps, values = own["step"].to_numpy(), own["entropy"].to_numpy(dtype=float)
        come = [t for t in looks for v in [values[steps <= t]] if v[-1] <= 0.999 * v.max()]
        assert parted.get(N + parent) == (come[0] if come else None)
        assert (N + parent in never) == (not come)
        assert parted[2 * N + parent] == min([*come, 60])
    assert not dies_at
    assert min(parted.values()) == 20  # the peak is one that was recorded before the stop


def test_a_signal_is_judged_in_the_order_of_steps_whatever_was_measured_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks of attention wait in two stacks: at 25 that of step 20 is measured before step 10."""
    falls = (0.0001, 0.001, 0.003, 0.01)
    moment = {"_target_": f"{ROOM}.moments.AtPeak", "signal": "entropy"}
    given = {f"f{i}": rescaled({**moment, "fall": f})["rescale"] for i, f in enumerate(falls)}
    settings = [
        *("probe=[weight_norm,attention,massive_activations]", "evaluation.every=25"),
        *("horizon_steps=150", "fleet.size=20"),
    ]
    act, dies_at = ProbeCallback.act, [60]

    def dies(self: ProbeCallback, trainer: Any, module: Any) -> None:
        if dies_at and module.fleet.tick >= dies_at[0]:
            dies_at.clear()
            raise RuntimeError("gone")
        act(self, trainer, module)

    run = trained(tmp_path / "on", given, *settings, "store.checkpoint_every=1000")
    monkeypatch.setattr(ProbeCallback, "act", dies)
    kept = "store.checkpoint_every=30"  # between two looks
    with pytest.raises(RuntimeError, match="gone"):
        trained(tmp_path / "stopped", given, *settings, kept)
    stopped = trained(tmp_path / "stopped", given, *settings, kept)
    found = {
        r: dict(rows[["replica", "step"]].itertuples(index=False))
        for r in (run, stopped)
        for rows in [r.table("events").query("kind == 'parted'")]
    }
    entropy, expected = run.table("probes/attention", ["entropy"]), dict[int, int]()
    for place, fall in enumerate(falls):
        for parent in range(N):
            own = entropy.loc[entropy["replica"] == parent].sort_values("step")
            steps, values = own["step"].to_numpy(), own["entropy"].to_numpy(dtype=float)
            looks = ((t, values[steps <= t]) for t in range(0, 150, 25))
            come = [t for t, v in looks if v[-1] <= (1 - fall) * v.max()]
            if come:
                expected[(place + 1) * N + parent] = come[0]
    assert found[run] == found[stopped] == expected
    assert expected
    assert not dies_at


def test_nothing_parts_at_the_horizon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy made there would be trained beyond it."""
    monkeypatch.setattr(AtStep, "come", lambda self, seen: seen.step >= HORIZON)
    run = trained(tmp_path, rescaled(AT_40))
    assert set(run.outcomes()["replica"]) == set(range(N))
    assert run.table("evaluation")["step"].to_numpy().max() == HORIZON
    ended = run.table("outcomes").set_index("replica")
    assert (ended.loc[range(N, 2 * N), "retire_reason"] == "never_parted").all()


def test_a_moment_that_never_comes_is_no_effect(tmp_path: Path) -> None:
    never = {"_target_": f"{ROOM}.moments.AtEvent", "event": "first99", "after": 79}
    run = trained(tmp_path, rescaled(never))
    assert set(run.outcomes()["replica"]) == set(range(N))
    ended = run.table("outcomes").set_index("replica")
    assert (ended.loc[range(N, 2 * N), "retire_reason"] == "never_parted").all()
    assert run.progress()[0]["finished"] == 2 * N


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rescale": {"intervention": {**RESCALE, "factor": -1.0}}}, "factor"),
        ({"rescale": {"moment": {**AT_40, "step": 50}}}, "multiple of `evaluation.every`"),
        ({"rescale": {"moment": {**AT_40, "step": HORIZON}}}, "below `horizon_steps`"),
        ({"rescale": {"strength": -0.5}}, "strength"),
        ({"rescale": {"moment": {"_target_": f"{ROOM}.moments.AtEvent", "event": "mom"}}}, "mem"),
        (
            {"rescale": {"moment": {**AT_EVENT, "after": HORIZON}}},
            "`arms.rescale.moment.after` must be below `horizon_steps`, got 80 and 80",
        ),
        ({"rescale": {"moment": {**PEAK, "after": 100}}}, "got 100 and 80"),
        ({"none": {}}, "another name"),
        ({"rescale": {"control": "rescale"}}, "another arm"),
        ({"rescale": {"intervention": {**RESCALE, "part": "heed"}}}, "head"),
        ({"rescale": {"moment": {**PEAK, "signal": "s_bor"}}}, "s_bar"),
        ({"rescale": {"moment": {**PEAK, "signal": "l2_group"}}}, "`arms.rescale.moment.signal`"),
        (
            {"transplant": {"intervention": {**TRANSPLANT, "donor": NOBODY}}},
            "`nowhere` is no study",
        ),
    ],
)
def test_an_arm_that_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    whole = {"intervention": RESCALE, "moment": AT_40, "strength": 1.0, "control": None}
    config = compose("train", [*TINY, "results=nowhere"])
    config["arms"] = {name: {**whole, **own} for name, own in given.items()}
    with pytest.raises(ConfigError, match=says):
        build(resolved(config))


@pytest.mark.parametrize("step", [0, 40])
def test_an_arm_of_a_fork_parts_after_the_state_from_which_it_goes_on(step: int) -> None:
    config = compose("train", [*TINY, "arms=[half_logits]", "fork={study: nowhere, step: 50}"])
    config["arms"]["half_logits"]["moment"]["step"] = step
    says = f"`fork.step`, got {step} and 50: .* Set `arms.half_logits.moment.step` to 60,"
    with pytest.raises(ConfigError, match=says):
        build(resolved(config))


def test_what_an_arm_was_held_to_is_dropped_as_it_leaves() -> None:
    config = compose("train", [*TINY, "arms=[clamp_channel]"])
    config["arms"]["clamp_channel"]["moment"] = {**AT_40, "step": 0}
    parts = build(resolved(config))
    fleet = parts.shard(0, 1)
    arms = Arms(parts.arms, parts.events, {}, fleet)
    fleet.fill()
    for slot in range(N):
        arms.part(slot)
    held = fleet.fill()
    fleet.advance(1)
    assert sorted(fleet.queue.targets) == list(range(N, 2 * N))
    for slot in held:
        fleet.vacate(slot)
    assert not fleet.state()["targets"]


def ends_in_four_slots(config: dict[str, Any]) -> tuple[dict[int, torch.Tensor], dict[int, int]]:
    """Parameters after 40 steps and the slot, by replica; the first alone has arms, from 20 on."""
    parts = build(resolved(config))
    fleet = parts.shard(0, 1)
    arms = Arms(parts.arms, parts.events, {}, fleet)
    found, seats = dict[int, torch.Tensor](), dict[int, int]()
    fleet.fill()
    first = fleet.replica_of(0)
    while not fleet.finished:
        fleet.advance(20)
        for slot in fleet.active():
            replica = fleet.replica_of(slot)
            if fleet.ages[slot] == 20 and replica == first:
                arms.part(slot)
            if fleet.ages[slot] == 40:
                found[replica], seats[replica] = fleet.flat[slot].clone(), slot
                fleet.vacate(slot)
                arms.never(replica)
        fleet.fill()
    return found, seats


def test_replicas_that_wait_for_a_seat_are_the_same_to_rounding_and_the_others_to_the_bit() -> None:
    """Six replicas in four slots: the arm takes the slot that the fifth has without it."""
    config = compose("train", [*TINY, "sweep.nuisance.seed=[0,1,2]", "fleet.size=4"])
    alone, own = ends_in_four_slots(config)
    arms = rescaled({**AT_40, "step": 20})
    acted, seats = ends_in_four_slots({**config, "arms": arms})
    assert len(alone) == 6
    assert len(acted) == 7
    order = build(resolved(config)).table.replica.tolist()
    for replica in order[:4]:
        assert seats[replica] == own[replica]
        assert torch.equal(acted[replica], alone[replica])
    for replica in order[4:]:
        assert seats[replica] != own[replica]
        torch.testing.assert_close(acted[replica], alone[replica], rtol=1e-3, atol=1e-4)


def test_a_donor_that_does_not_fit_is_refused_before_the_start(tmp_path: Path) -> None:
    with_donor = trained(tmp_path, {}, "horizon_steps=20", "sweep.nuisance.seed=[5]")
    arm = {"intervention": TRANSPLANT, "moment": AT_40, "strength": 1.0, "control": None}
    for donor, more, says in (
        ({"replica": 0}, ["model.d_model=32"], r"W_E \(\[18, 16\], here \[18, 32\]\)"),
        ({"replica": None}, [], "must have a network of each seed, and has none of 0"),
        ({"replica": None, "outcome": "grokked"}, ["sweep.nuisance.seed=[5]"], "ended as grokked"),
        ({"replica": 0, "step": 7}, [], "step 7 of replica 0 .* were not kept"),
        ({"replica": 9}, [], "replicas 0 to 1, got 9"),
    ):
        given = {**NOBODY, "study": str(with_donor.folder.parents[1]), **donor}
        config = compose("train", [*TINY, "results=nowhere", *more])
        config["arms"] = {"a": {**arm, "intervention": {**TRANSPLANT, "donor": given}}}
        with pytest.raises(ConfigError, match=says):
            build(resolved(config))


def test_a_task_vector_is_the_change_of_a_donor_since_a_step_that_was_kept(alone: Run) -> None:
    donor = {**NOBODY, "study": str(alone.folder.parents[1]), "replica": 2}
    act = {"_target_": f"{ROOM}.add_task_vector.AddTaskVector", "part": "*", "donor": donor}
    config = compose("train", [*TINY, "results=nowhere"])
    arm = {"moment": AT_40, "strength": 1.0, "control": None}
    config["arms"] = {"a": {**arm, "intervention": {**act, "since": 40}}}
    first, last = (alone.weights(2, step) for step in (40, HORIZON))
    change = np.concatenate([(last[name] - first[name].astype(float)).ravel() for name in last])
    for donated in build(resolved(config)).donated.values():
        assert np.array_equal(donated.row.numpy(), change)
    for since, says in ((7, "step 7 .* were not kept"), (HORIZON, "must be below the step")):
        config["arms"]["a"]["intervention"]["since"] = since
        with pytest.raises(ConfigError, match=says):
            build(resolved(config))
