"""Models on several processes: watched, and not changed by a bit."""

import subprocess
import sys
from pathlib import Path

import pytest

from observatory.store.reader import Study

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp2"])
def test_two_processes_train_alike_with_and_without_looks(kind: str, tmp_path: Path) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.watched_ranks", kind, str(tmp_path), str(rank)],
            cwd=ROOT, stderr=subprocess.PIPE, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [worker.communicate(timeout=300)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    assert [(tmp_path / f"rank{rank}").read_text() for rank in range(2)] == ["True", "True"]
    (run,) = Study(tmp_path / "study").runs
    for table in ("attention", "massive_activations", "weight_spectrum", "lar"):
        assert list(run.table(f"probes/{table}")["step"]) == list(range(0, 21, 2))
    assert len(run.table("evaluation")) == 20
