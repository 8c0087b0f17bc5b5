"""A finished study is looked at again: its own numbers come out, and its runs stay as they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from observatory.cli.main import program
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.launch.reprobe import REPROBED, reprobe
from observatory.launch.run import launch
from observatory.store.reader import Run

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
    found = pd.read_parquet(study / REPROBED / run.run_id / "weight_norm")
    assert found["step"].tolist() == [20, 20, 20]
    with pytest.raises(ConfigError, match="must have kept states"):
        list(reprobe(study, ["weight_norm"], [7], trust=False))
    with pytest.raises(ConfigError, match="`--checkpoints` must be given"):
        CliRunner().invoke(program, ["probe", "a:b"], standalone_mode=False, catch_exceptions=False)
