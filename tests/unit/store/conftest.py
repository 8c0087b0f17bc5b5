"""A run as small as it can be."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from observatory.core.columns import Column
from observatory.store.reader import Run
from observatory.store.writer import create_run

EVALUATION = (
    Column(name="loss", unit="nats", meaning="mean loss"),
    Column(name="norms", unit="1", meaning="one norm per layer", dims=("layer",)),
)
OUTCOMES = (
    Column(name="outcome", unit="1", meaning="how it ended", dtype="string"),
    Column(name="instant", unit="1", meaning="grokked with no delay", dtype="bool"),
    Column(name="diverged_step", unit="steps", meaning="first bad step", dtype="int64"),
    Column(name="mem_lo", unit="steps", meaning="last look before"),
)


@pytest.fixture
def manifest() -> dict[str, Any]:
    tables = {"evaluation": EVALUATION, "outcomes": OUTCOMES, "probes/norm": EVALUATION[:1]}
    return {
        "schema_version": 1,
        "run_id": "0123456789ab",
        "identity": "0123456789ab" + 52 * "0",
        "status": "running",
        "package_version": "0.1.0",
        "tables": {name: [c.to_json() for c in columns] for name, columns in tables.items()},
    }


@pytest.fixture
def replicas() -> dict[str, Any]:
    return {
        "replica": np.array([2, 0, 1]),
        "shard": np.array([0, 0, 1]),
        "seed": np.array([7, 5, -6]),
        "weight_decay": np.array([0.0, 0.1, 0.2]),
        "lr": np.full(3, 1e-3),
        "train_fraction": np.array([0.3, 0.4, 0.5]),
    }


@pytest.fixture
def run(tmp_path: Path, manifest: dict[str, Any], replicas: dict[str, Any]) -> Run:
    folder = tmp_path / "study" / "runs" / manifest["run_id"]
    return create_run(folder, manifest, replicas, "seed: 0\n")
