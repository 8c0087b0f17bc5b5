"""MLflow's database: made whole or not at all; what never answers is given up; any path will do."""

import pwd
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from observatory.core.errors import StoreError
from observatory.mirror import deadline as deadlines
from observatory.mirror.connection import suppress_output
from observatory.mirror.database import opened_uri
from observatory.mirror.deadline import Deadline
from observatory.mirror.mirror import default_settings, mirror
from observatory.mirror.present import is_present
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = [  # MLflow 3.17 under SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
PLAN = Plan(study="small", weight_decays=(0.5,), n_seeds=1, horizon=100, probes=())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A database with a schema and nothing in it."""
    file = tmp_path_factory.mktemp("whole") / "mlflow.db"
    opened_uri(f"sqlite:///{file}", 5.0)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    return file.read_bytes()


def experiments(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return len(database.execute("SELECT * FROM experiments").fetchall())


@pytest.mark.slow
@pytest.mark.parametrize(
    "left_by",
    [
        None,
        "DROP TABLE runs",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '451aebb31d03'",
    ],
)
def test_a_schema_that_was_left_half_made_is_made_anew(
    tmp_path: Path, whole: bytes, left_by: str | None
) -> None:
    file = tmp_path / "mlflow.db"
    file.write_bytes(whole if left_by else b"")
    if left_by:
        with closing(sqlite3.connect(file)) as database:
            database.execute("PRAGMA foreign_keys = OFF")
            database.execute(left_by)
            database.commit()
    file.with_name("mlflow.db-journal").write_bytes(b"")
    opened_uri(f"sqlite:///{file}", 5.0)
    assert experiments(file) == 1
    assert mirror(fabricate_study(tmp_path, PLAN), default_settings(tmp_path)).error is None


def test_what_is_no_empty_schema_is_left_as_it_is(tmp_path: Path, whole: bytes) -> None:
    study = fabricate_study(tmp_path, PLAN)
    file = tmp_path / "mlflow.db"
    file.write_bytes(b"no database at all" * 100)
    assert "file is not a database" in str(mirror(study, default_settings(tmp_path)).error)
    assert file.read_bytes() == b"no database at all" * 100
    file.write_bytes(whole)
    assert mirror(study, default_settings(tmp_path)).error is None
    with closing(sqlite3.connect(file)) as database:
        database.execute("UPDATE alembic_version SET version_num = '451aebb31d03'")
        database.commit()
    before = file.read_bytes()
    assert opened_uri(f"sqlite:///{file}", 5.0)
    assert file.read_bytes() == before, "its runs are kept"


def test_a_process_that_dies_over_the_schema_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.store.db import utils

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(utils, "_upgrade_db", dying)
        with pytest.raises(KeyboardInterrupt):
            opened_uri(f"sqlite:///{tmp_path / 'mlflow.db'}", 5.0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def silent() -> Iterator[str]:
    """A port at which calls are taken and never answered."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        kept: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    kept.append(server.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)  # wakes who waits in it
        for call in kept:
            call.close()


@pytest.mark.parametrize("uri", ["http://{}", "postgresql://me:secret@{}/mlflow"])
def test_a_server_that_never_answers_is_given_up(tmp_path: Path, silent: str, uri: str) -> None:
    pytest.importorskip("psycopg")
    study = fabricate_study(tmp_path, PLAN)
    settings = default_settings(tmp_path, uri.format(silent))
    summary = mirror(study, replace(settings, timeout_s=2.0))
    assert "does not answer" in str(summary.error) or "timeout expired" in str(summary.error)
    assert "secret" not in str(summary)


def test_a_database_that_never_answers_is_given_up_without_a_deadline_around_it(
    silent: str,
) -> None:
    """By the driver itself, at the seconds of the URI: a copy's deadline would hide it."""
    pytest.importorskip("psycopg")
    raised = list[StoreError]()

    def asks() -> None:
        try:
            opened_uri(f"postgresql://me:secret@{silent}/mlflow", 2.0)
        except StoreError as error:
            raised.append(error)

    asking = threading.Thread(target=asks, daemon=True)
    asking.start()
    asking.join(60.0)
    (error,) = raised
    assert "the database cannot be opened (" in str(error)
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    ("given", "opened"),
    [
        ("postgresql://h/db", "postgresql://h/db?connect_timeout=5"),
        ("mysql+pymysql://h/db?ssl=true", "mysql+pymysql://h/db?ssl=true&connect_timeout=5"),
        ("postgresql://h/db?connect_timeout=9", "postgresql://h/db?connect_timeout=9"),
        ("mssql://h/db", "mssql://h/db"),
    ],
)
def test_databases_are_opened_within_the_seconds_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, given: str, opened: str
) -> None:
    tried = list[str]()
    engine = SimpleNamespace(
        connect=lambda: SimpleNamespace(close=lambda: None), dispose=lambda: None
    )
    monkeypatch.setattr("sqlalchemy.create_engine", lambda uri: tried.append(uri) or engine)
    assert opened_uri(given, 5.0) == opened
    assert tried == [opened]


@pytest.fixture
def refusing() -> Iterator[Callable[[int], str]]:
    """The address of a server that answers every question with a status."""
    servers = list[HTTPServer]()

    def answering(status: int) -> str:
        class Refusal(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_HEAD = answer  # noqa: N815 - by these the library finds it

            def log_message(self, format: str, *args: object) -> None:
                pass

        servers.append(HTTPServer(("127.0.0.1", 0), Refusal))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield answering
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("status", "asks"), [(401, True), (403, True), (404, False)])
def test_a_server_that_asks_who_it_is_names_what_to_set(
    tmp_path: Path, refusing: Callable[[int], str], status: int, asks: bool
) -> None:
    study = fabricate_study(tmp_path, PLAN)
    error = mirror(study, default_settings(tmp_path, refusing(status))).error
    assert error is not None
    assert str(status) in error
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        assert (name in error) == asks


def test_all_answers_have_one_deadline() -> None:
    """By a clock that is moved on by hand, and one answer that never comes."""
    clock, never = [0.0], threading.Event()

    def takes(seconds: float) -> float:
        clock[0] += seconds
        return seconds

    def hangs() -> None:
        clock[0] += 1.5
        never.wait()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deadlines.time, "monotonic", lambda: clock[0])
        deadline = Deadline(5.0)
        client = deadline.watched(SimpleNamespace(ask=takes, never=hangs, name="a client"))
        assert deadline.run(lambda: [client.ask(1.0) for _ in range(100)]) == [1.0] * 100
        assert client.name == "a client"
        slow = list[float]()
        with pytest.raises(StoreError, match="does not answer: 5 s were waited for"):
            deadline.run(lambda: ([slow.append(client.ask(3.0)) for _ in range(2)], client.never()))
        with pytest.raises(StoreError, match="does not answer"):
            client.ask(0.0)
    never.set()
    assert slow == [3.0, 3.0]
    with pytest.raises(KeyError):
        Deadline(5.0).run(lambda: {}["what the work raises"])


@pytest.mark.slow
def test_a_folder_of_any_name_holds_its_database(tmp_path: Path) -> None:
    results = tmp_path / "50% of a?b#c d%41"
    study = fabricate_study(results, PLAN)
    settings = default_settings(results)
    summary = mirror(study, settings)
    assert summary.complete, summary.error
    assert (results / "mlflow.db").is_file()
    assert [path.name for path in tmp_path.iterdir()] == [results.name]
    assert is_present(settings.tracking_uri, str(summary.experiment_id))


def test_a_user_without_a_home_has_one_for_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(RuntimeError):
        Path.home()
    suppress_output(5.0)
    assert Path.home().is_dir()
