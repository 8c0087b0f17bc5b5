"""A finished study is looked at again: its own numbers come out, and its runs stay as they are."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from observatory.cli.main import program
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.launch.reprobe import reprobe
from observatory.launch.run import launch
from observatory.store.reader import Run, Study
from observatory.store.reprobed import REPROBED, reprobed_tables
from observatory.training.build import build_to_look
from observatory.training.suitability import measured_by

TINY = [
    *("task.p=7", "model=mlp", "model.d_model=8", "model.d_mlp=16", "study=tiny", "batch_size=8"),
    *("horizon_steps=20", "evaluation.every=10", "fleet.shards=1", "fleet.size=2"),
    *("+sweep.nuisance.seed=[0,1,2]", "fleet.probe_examples=12", "retirement.tail_steps=20"),
    "probe=[trajectory,references,weight_norm]",
    "store.states.schedule={_target_: observatory.core.schedule.Every, k: 10}",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(launch(compose("train", [*TINY, f"results={tmp_path_factory.mktemp('study')}"])))


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_looks_at_kept_states_are_those_of_the_training(run: Run) -> None:
    study, before = run.folder.parents[1], files(run.folder)
    said = list(reprobe(study, ["trajectory", "references", "attention"], None, trust=False))
    assert files(run.folder) == before
    assert any("no attention" in line for line in said)
    for probe in ("trajectory", "references"):
        again = pd.read_parquet(study / REPROBED / run.run_id / probe)
        again = again.sort_values(["replica", "step"]).reset_index(drop=True)
        assert again["replica"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
        assert again["step"].tolist() == 3 * [0, 10, 20]
        first = run.table(f"probes/{probe}").merge(again[["replica", "step"]])
        both = first.merge(again, on=["replica", "step"], suffixes=("", "_again"))
        assert len(both) >= 6
        for column in [c.name for c in run.columns(f"probes/{probe}") if not c.dims]:
            np.testing.assert_allclose(
                both[f"{column}_again"].astype(float), both[column].astype(float),
                rtol=1e-5, atol=1e-4,  # float32 forwards of other stacks; degrees near 0
            )  # fmt: skip


def test_the_verb_takes_a_study_and_steps(run: Run) -> None:
    study = run.folder.parents[1]
    asked = ["probe", str(study), "--probe", "weight_norm", "--steps", "20"]
    done = CliRunner().invoke(program, asked, standalone_mode=False)
    assert done.return_value == 0
    folder = study / REPROBED / run.run_id / "weight_norm"
    found = pd.read_parquet(folder)
    assert found["step"].tolist() == [20, 20, 20]
    [(name, kept)] = [item for item in reprobed_tables(run).items() if item[0] == "weight_norm"]
    first = run.table(f"probes/{name}", ["l2"]).query("step == 20")["l2"].to_numpy(dtype=float)
    again = kept.table(["l2"])
    assert again["replica"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(again["l2"].to_numpy(dtype=float), first, rtol=1e-6)
    with pytest.raises(ConfigError, match=r"kept states, \[0, 10, 20\], got \[7\]"):
        list(reprobe(study, ["weight_norm"], [20, 7], trust=False))
    pd.testing.assert_frame_equal(pd.read_parquet(folder), found)
    with pytest.raises(ConfigError, match="`--checkpoints` must be given"):
        CliRunner().invoke(program, ["probe", "a:b"], standalone_mode=False, catch_exceptions=False)


def test_states_are_compared_with_an_earlier_one(run: Run) -> None:
    study = run.folder.parents[1]
    asked = ["probe", str(study), "--probe", "segment,trajectory", "--steps", "10,20"]
    CliRunner().invoke(program, [*asked, "--since", "10"], standalone_mode=False)
    found = pd.read_parquet(study / REPROBED / run.run_id / "trajectory").set_index("step")
    assert found.loc[10, "displacement"].tolist() == [0, 0, 0]
    weights = [run.replica(2).weights(step) for step in (10, 20)]
    one, other = (np.concatenate([each.ravel() for each in w.values()]) for w in weights)
    moved = np.linalg.norm(other - one) / np.linalg.norm(one)
    assert found.query("replica == 2").loc[20, "displacement"] == pytest.approx(moved, rel=1e-6)
    lines = pd.read_parquet(study / REPROBED / run.run_id / "segment").set_index("step")
    still, way = (lines.query("replica == 2").loc[step, "train_losses"] for step in (10, 20))
    np.testing.assert_allclose(still, still[0])
    assert way[0] == pytest.approx(still[0])
    assert way[0] != pytest.approx(way[-1], abs=1e-6)
    with pytest.raises(ConfigError, match=r"kept a state, \[0, 10, 20\] in run \w+, got 7"):
        list(reprobe(study, ["segment"], None, trust=False, since=7))


def test_key_irreps_of_the_last_state_are_those_of_its_own_look(run: Run) -> None:
    study, probes = run.folder.parents[1], ["progress_measures", "progress_oracle"]
    list(reprobe(study, probes, [10, 20], trust=False, since=20))
    own, known = (
        pd.read_parquet(study / REPROBED / run.run_id / probe).set_index(["step", "replica"])
        for probe in probes
    )
    for name in ("restricted_loss", "excluded_loss", "margin_circuit"):
        np.testing.assert_array_equal(known.loc[20, name], own.loc[20, name])
    keys = known["is_key"]
    for replica in range(3):
        assert keys[10, replica].tolist() == keys[20, replica].tolist()
        assert set(keys[20, replica]) <= {0, 1}
    with pytest.raises(ConfigError, match="must know another state"):
        list(reprobe(study, ["progress_oracle"], [10], trust=False))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--since", "7"], "`--since` must go with --probe of a study"),
        (["--trust"], "`--trust` must go with --probe of a study"),
        *(
            (["--probe", "segment", name, "x"], f"`{name}` must go with a model of your own")
            for name in (
                "--checkpoints", "--batch", "--out", "--labels", "--low-precision", "--tokenizer",
            )
        ),
    ],
)  # fmt: skip
def test_options_of_studies_and_of_files_are_not_mixed(given: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        CliRunner().invoke(
            program, ["probe", "results/none", *given], standalone_mode=False,
            catch_exceptions=False,
        )  # fmt: skip


def test_a_probe_that_fails_leaves_the_tables_of_an_earlier_call(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = run.folder.parents[1]
    list(reprobe(study, ["weight_norm", "trajectory"], [20], trust=False))
    before, looks = files(study), list[str]()

    def fails(name: str, *given: Any) -> Any:
        looks.append(name)
        if len(looks) == 4:  # the last one of the second step
            raise RuntimeError("gone")
        return measured_by(name, *given)

    monkeypatch.setattr("observatory.launch.reprobe.measured_by", fails)
    with pytest.raises(RuntimeError, match="gone"):
        list(reprobe(study, ["weight_norm", "trajectory"], [10, 20], trust=False))
    assert files(study) == before


def test_a_study_with_arms_donors_and_a_fork_is_probed_where_it_lies_now(
    run: Run, tmp_path: Path
) -> None:
    """Its moments are of probes that do not look again, and the studies it was given are gone."""
    given = shutil.copytree(run.folder.parents[1], tmp_path / "given")
    room = "observatory.interventions"
    donor = {
        **{"_target_": f"{room}.donor.Donor", "study": str(given)},
        **{"run": None, "replica": 0, "outcome": None, "step": None},
    }
    act = {"_target_": f"{room}.transplant.Transplant", "part": "*", "donor": donor}
    peak = {"_target_": f"{room}.moments.AtPeak", "signal": "l2", "fall": 0.5}
    late = {"_target_": f"{room}.moments.AtStep", "step": 20}
    first = {"_target_": f"{room}.moments.FirstOf", "moments": [peak, late]}
    config = compose("train", [*TINY, "horizon_steps=30", f"results={tmp_path}", "study=went_on"])
    config["fork"] = {"study": str(given), "step": 10}
    arm = {"intervention": act, "moment": first, "strength": 1.0, "control": None}
    study = launch({**config, "arms": {"given": arm}}).parents[1]
    shutil.rmtree(given)
    moved = study.rename(tmp_path / "moved")
    said = list(reprobe(moved, ["trajectory"], None, trust=False))
    (own,) = Study(moved).runs
    again = pd.read_parquet(moved / REPROBED / own.run_id / "trajectory")
    arms = own.replicas().query("arm == 'given'")["replica"]
    assert len(said) == 1
    assert set(arms) & set(again["replica"])
    kept = build_to_look(own.manifest["config"])
    assert kept.table.replica.tolist() == own.replicas()["replica"].tolist()
    assert (kept.arms, kept.forked) == ({}, None)
