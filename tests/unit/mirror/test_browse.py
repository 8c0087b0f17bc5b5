"""What `browse` refuses before it starts anything."""

import socket
from pathlib import Path

import pytest

from observatory.core.errors import BusyError, ConfigError, StoreError
from observatory.mirror.browse import browse, free_port, server_command, study_folders
from observatory.mirror.connection import is_server
from observatory.mirror.mirror import default_settings, mlflow_settings
from observatory.mirror.view import page
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = [  # MLflow 3.17 under SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for name in ("one", "two"):
        fabricate_study(folder, Plan(study=name, weight_decays=(1.0,), n_seeds=1, probes=()))
    return folder


def test_studies_are_found_by_their_runs(results: Path) -> None:
    (results / "no_study").mkdir(exist_ok=True)
    assert [folder.name for folder in study_folders(results, None)] == ["one", "two"]
    assert study_folders(results, "two") == [results / "two"]


def test_an_unknown_study_lists_the_known(results: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no study `three`, only one, two"):
        browse(results, "127.0.0.1", 0, study="three")
    with pytest.raises(StoreError, match="holds no study"):
        browse(tmp_path, "127.0.0.1", 0)


def test_a_taken_port_is_named_before_anything_is_written(results: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BusyError, match=f"Port {port} of 127.0.0.1 is in use"):
            browse(results, "127.0.0.1", port)
    assert not (results / "mlflow.db").exists()
    assert free_port("127.0.0.1", 0) > 0


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"--host 192\.0\.2\.1"):
        free_port("192.0.2.1", 0)


def test_the_address_of_the_database_is_in_no_command_line(tmp_path: Path) -> None:
    settings = default_settings(tmp_path, "postgresql://me:s3cr3t@host/db")
    command, environment = server_command(settings, "127.0.0.1", 7000)
    assert "s3cr3t" not in " ".join(command)
    assert command[-4:] == ["--host", "127.0.0.1", "--port", "7000"]
    assert environment["MLFLOW_BACKEND_STORE_URI"] == settings.tracking_uri
    assert environment["MLFLOW_ARTIFACTS_DESTINATION"] == settings.artifacts


def test_artifacts_need_no_password_in_their_address(tmp_path: Path) -> None:
    values = {**vars(default_settings(tmp_path)), "artifacts": "s3://key:s3cr3t@bucket/folder"}
    with pytest.raises(ConfigError, match=r"`mlflow\.artifacts` must hold no.*key:\*\*\*@bucket"):
        mlflow_settings(values, tmp_path)


def test_links_lead_to_the_saved_view() -> None:
    assert page("http://host:5000/", "7") == (
        "http://host:5000/#/experiments/7/runs"
        "?workflowType=machine_learning&viewStateShareKey=observatory"
    )
    assert is_server("https://host")
    assert not is_server("sqlite:///x.db")


@pytest.mark.slow
def test_once_brings_mlflow_up_to_date_and_says_where_it_could_not(
    results: Path, tmp_path: Path
) -> None:
    told: list[str] = []
    uri = f"sqlite:///{tmp_path / 'central.db'}"
    for _ in range(2):  # a second call finds everything there
        settings = default_settings(results, uri)
        assert browse(results, "", 0, "two", settings, say=told.append, once=True) == 0
    assert [line.partition(",")[0] for line in told] == ["two: 2 runs"]
    assert not (results / "mlflow.db").exists()
    closed = default_settings(results, "postgresql://me:secret@127.0.0.1:1/db")
    assert browse(results, "", 0, None, closed, say=told.append, once=True) == 2
    assert "does not answer" in told[-1]
    assert "secret" not in "".join(told)
