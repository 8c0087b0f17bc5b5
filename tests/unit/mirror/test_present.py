"""MLflow's own database answers whether it has an experiment, without MLflow being imported."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from observatory.mirror.present import is_present


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning")
def test_a_database_is_asked(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert not is_present(uri, "1")
    assert not (tmp_path / "mlflow.db").exists()
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("mine", (tmp_path / "artifacts").as_uri())
    assert is_present(uri, experiment)
    assert not is_present(uri, "77")
    client.delete_experiment(experiment)
    assert not is_present(uri, experiment)


def test_what_cannot_tell_is_mirrored_again(tmp_path: Path) -> None:
    (tmp_path / "other.db").write_text("no database")
    assert not is_present(f"sqlite:///{tmp_path / 'other.db'}", "1")
    assert not is_present("http://localhost:5000", "1")
    assert not is_present("postgresql://me@host/db", "1")
