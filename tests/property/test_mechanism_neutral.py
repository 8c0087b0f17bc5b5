"""Probes that run the network themselves change no bit of the training."""

from pathlib import Path

import numpy as np
import pytest

from observatory.launch.compose import compose
from observatory.launch.run import launch
from observatory.store.reader import Run

TINY = [
    *("task.p=7", "model=mlp", "model.d_model=8", "model.d_mlp=16", "study=tiny", "batch_size=8"),
    *("horizon_steps=24", "evaluation.every=8", "fleet.shards=1", "fleet.size=2"),
    *("+sweep.nuisance.seed=[0,1,2]", "fleet.probe_examples=12", "retirement.tail_steps=20"),
]
FEW = ["probe.learning_coefficient.probe.steps=6", "probe.learning_coefficient.probe.burn_in=1"]


@pytest.mark.slow
@pytest.mark.parametrize("path", ["fast", "generic"])
def test_all_classes_of_cost_are_neutral(path: str, tmp_path: Path) -> None:
    """Three replicas through two seats: one is drawn while the others are looked at."""
    found = {}
    for probes, more in (("mechanism,forensic", FEW), ("weight_norm", [])):
        own = [
            f"probe=[{probes}]",
            f"results={tmp_path / str(len(found))}",
            f"fleet.path={path}",
            *more,
        ]
        run = Run(launch(compose("train", [*TINY, *own])))
        found[probes] = run.table("weights")
    one, other = found.values()
    assert one["replica"].tolist() == other["replica"].tolist() == [0, 1, 2]
    for mine, theirs in zip(one["parameters"], other["parameters"], strict=True):
        assert np.array_equal(mine, theirs)
