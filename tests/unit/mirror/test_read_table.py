"""An MLflow experiment as a table: anyone's, and the mirror of a study."""

import os
from pathlib import Path

import pandas as pd
import pytest

from observatory import fits
from observatory.core.errors import ConfigError, FitRefusedError, StoreError
from observatory.mirror.read_table import experiment_table

pytestmark = [  # MLflow 3.17 under SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
DECAYS = (0.01, 0.03, 0.1, 0.3)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A foreign experiment of 16 finished runs and one that still trains; a mirrored one."""
    from mlflow import MlflowClient

    folder = tmp_path_factory.mktemp("mlflow")
    client = MlflowClient(f"sqlite:///{folder}/mlflow.db")
    artifacts = (folder / "artifacts").as_uri()
    foreign = client.create_experiment("sweep", artifacts)
    for place, decay in enumerate(DECAYS):
        for seed in range(4):
            run = client.create_run(foreign).info.run_id
            client.log_param(run, "wd", decay)
            client.log_param(run, "seed", seed)
            client.log_param(run, "note", f"run {seed}")
            client.log_metric(run, "solved", float(seed < place + 1))
            if seed < place + 1:
                client.log_metric(run, "step", 1000 / (1 + place))
            client.set_terminated(run)
    client.log_param(client.create_run(foreign).info.run_id, "wd", 5.0)
    ours = client.create_experiment("study", artifacts)
    for decay, rate in zip(DECAYS, (0.0, 0.25, 0.75, 1.0), strict=True):
        run = client.create_run(ours).info.run_id
        client.log_param(run, "horizon_steps", 2500)
        client.log_metric(run, "cell/weight_decay", decay)
        client.log_metric(run, "cell/replicas", 8)
        client.log_metric(run, "rate/grokked", rate)
        client.set_terminated(run)
    own = client.create_run(ours).info.run_id
    client.log_metric(own, "boundary/critical", 0.05)
    client.set_terminated(own)
    client.create_experiment("bare", artifacts)
    return f"sqlite:///{folder}/mlflow.db"


@pytest.mark.slow
def test_a_foreign_experiment_is_a_row_per_finished_run(uri: str) -> None:
    frame = experiment_table("sweep", uri)
    assert len(frame) == 16
    assert pd.api.types.is_numeric_dtype(frame["params.wd"])
    assert frame["params.note"].iloc[0].startswith("run")
    assert sorted(frame["params.wd"].unique()) == list(DECAYS)


@pytest.mark.slow
@pytest.mark.parametrize("names", [("wd", "solved"), ("params.wd", "metrics.solved")])
def test_its_columns_are_named_with_or_without_their_prefix(uri: str, names) -> None:
    control, success = names
    table = experiment_table("sweep", uri)
    found = fits.boundary(table, "firth", control=control, success=success)
    data = found.data.observations
    assert (data.n, int(data.grokked.sum()), data.control) == (16, 10, "wd")
    assert data.seed is not None
    assert found.params["critical"] == pytest.approx(0.03, rel=0.7)
    timed = fits.times(table, control=control, time="step", n_bootstrap=20)
    assert int(timed.data.observations.grokked.sum()) == 10
    named = fits.boundary(
        "mlflow:sweep", "firth", control=control, success=success, tracking_uri=uri
    )
    assert named.to_json() == found.to_json()


def test_a_mirrored_study_is_a_table_of_counts_with_its_horizon(uri: str) -> None:
    found = fits.boundary(experiment_table("study", uri), "firth")
    assert (found.data.observations.n, found.data.horizon_steps) == (32, 2500)
    assert found.record["extras"]["window_max"] == found.data.window_max == 1.0
    assert found.record["horizon_steps"] == 2500
    with pytest.raises(FitRefusedError, match="rows without a time"):
        fits.boundary(experiment_table("study", uri), "firth", horizon_steps=1000)


def test_what_is_not_there_is_told(uri: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"must name one of \['Default', 'bare', 'study', 'sweep"):
        experiment_table("swep", uri)
    with pytest.raises(ConfigError, match="has no finished run"):
        experiment_table("bare", uri)
    with pytest.raises(StoreError, match="does not exist"):
        experiment_table("sweep", f"sqlite:///{tmp_path}/none.db")
    assert not os.listdir(tmp_path)
    with pytest.raises(ConfigError, match="must be a database or a server"):
        experiment_table("sweep", str(tmp_path))
