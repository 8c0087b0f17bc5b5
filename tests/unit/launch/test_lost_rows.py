"""A run that is done is looked at: what it has lost is said wherever it is opened, and trained."""

import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from observatory.bundle.export import export_study
from observatory.core.errors import ConfigError
from observatory.launch.compose import compose
from observatory.launch.finished import finished_run
from observatory.launch.run import launch
from observatory.launch.status import study_status, text
from observatory.store.reader import Run
from observatory.training.replicas import Config

TINY = [
    *("experiment=smoke", "study=s", "modulus=7", "fleet.device=cpu", "fleet.size=1"),
    *("sweep.scientific.weight_decay=[1.0]", "sweep.nuisance.seed=[0,1]", "horizon_steps=4"),
    *("evaluation.every=2", "store.checkpoint_every=2", "probe=[weight_norm]"),
    *("probe.weight_norm.schedule.k=2", "fleet.probe_examples=4"),
]


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return compose("map", [*TINY, f"results={tmp_path}"])


def tables(run: Run) -> dict[str, pa.Table]:
    return {name: run.arrow(name) for name in run.tables()}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("shards/0/evaluation/part-000000000002.parquet", "`evaluation` of shard 0 holds 4 of 6"),
        ("shards/0/probes/weight_norm", "`probes/weight_norm` of shard 0 holds 0 of 6 rows"),
        ("shards", "`outcomes` of shard 0 holds 0 of 2 rows"),
    ],
)
def test_what_was_lost_is_said_and_trained_again(
    config: Config, caplog: pytest.LogCaptureFixture, left_out: str, words: str
) -> None:
    run = Run(launch(config))
    whole = tables(run)
    assert run.status == "done"
    assert finished_run(config) == run.folder
    lost = run.folder / left_out
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()
    assert run.status == "interrupted"
    assert finished_run(config) is None
    assert words in text(study_status(run.folder.parents[1]))
    with pytest.raises(ConfigError, match=words):
        export_study(run.folder.parents[1], run.folder.parents[2] / "s.tar")
    launch(config)
    assert words in caplog.text
    assert run.status == "done"
    assert tables(run) == whole


@pytest.mark.slow
def test_a_checkpoint_without_its_tables_is_not_continued(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(launch(config))
    whole = tables(run)
    (run.folder / "shards" / "0" / "events" / "part-000000000000.parquet").write_bytes(b"")
    (run.folder / "shards" / "0" / "progress.json").unlink()
    launch(config)
    assert "the shard is trained again from its start" in caplog.text
    assert tables(run) == whole
