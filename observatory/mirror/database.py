"""The database behind MLflow: opened at once or not at all, its schema made whole."""

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from observatory.core.errors import StoreError
from observatory.mirror.connection import database_file, is_server, sqlite_uri
from observatory.store.files import refused_as_store_error, rename_durably, temporary_beside


def opened_uri(uri: str, timeout_s: float) -> str:
    """The URI by which MLflow opens what was reached, its database opened once before.

    MLflow itself would try for half an hour to open a database that cannot be opened, and wait
    without end for one that takes calls and never answers. For the one writer of the database.

    Args:
        uri: Any that `check_reachable` accepts.
        timeout_s: Seconds to wait for a server of databases.

    Raises:
        StoreError: If a database cannot be opened.
    """
    if is_server(uri):
        return uri
    if uri.startswith("sqlite"):
        _make_whole(database_file(uri))
        return uri
    scheme = urlsplit(uri).scheme.partition("+")[0]
    if scheme in ("postgresql", "mysql") and "connect_timeout=" not in uri:
        uri += f"{'&' if '?' in uri else '?'}connect_timeout={max(1, round(timeout_s))}"
    from sqlalchemy import create_engine
    from sqlalchemy.exc import SQLAlchemyError

    engine = create_engine(uri)
    try:
        engine.connect().close()
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise StoreError(f"the database cannot be opened ({reason}).") from error
    finally:
        engine.dispose()
    return uri


def has_schema(uri: str) -> bool:
    """Whether a database has the tables of MLflow, of whatever version."""
    from sqlalchemy import create_engine, inspect

    engine = create_engine(uri)
    try:
        return inspect(engine).has_table("alembic_version")
    finally:
        engine.dispose()


def remove_stray_folder(uri: str) -> None:
    """Remove the empty folder that MLflow makes of a URI without reading the numbers in it."""
    folder = Path(uri.partition(":///")[2]).parent
    if uri.startswith("sqlite") and folder != database_file(uri).parent:
        with suppress(OSError):
            folder.rmdir()


def _make_whole(file: Path) -> None:
    """Make the schema of an embedded database that has none, or only a part of one.

    MLflow makes it in some hundred steps and cannot continue them: it is made in a file beside,
    which then takes the name. A database with runs, or with tables that are not MLflow's, is left
    as it is.
    """
    try:
        if file.exists() and not _is_unfinished(file):
            return
    except sqlite3.DatabaseError as error:
        raise StoreError(f"`{file}` cannot be opened as a database ({error}).") from error
    from mlflow import MlflowClient

    temporary = temporary_beside(file)
    with refused_as_store_error(file), _not_synced():
        try:
            temporary.touch()
            MlflowClient(sqlite_uri(temporary)).search_experiments(max_results=1)
            for ending in ("-journal", "-wal", "-shm"):  # of the unfinished one
                file.with_name(file.name + ending).unlink(missing_ok=True)
            rename_durably(temporary, file)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def _not_synced() -> Generator[None]:
    """Meanwhile databases that are opened sync nothing: for one that is synced once it is whole."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def begin(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", begin)
    try:
        yield
    finally:
        event.remove(Engine, "connect", begin)


def _is_unfinished(file: Path) -> bool:
    """Whether a database was left before its schema was whole: it holds nothing then."""
    with closing(sqlite3.connect(file)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if not tables & {"experiments", "alembic_version"}:
            return not tables
        for name in tables & {"runs", "registered_models"}:
            if database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone():
                return False
        if not {"runs", "alembic_version"} <= tables:
            return True
        found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    return found is None or found[0] != _newest_schema()


def _newest_schema() -> str | None:
    import mlflow
    from alembic.script import ScriptDirectory

    return ScriptDirectory(
        str(Path(mlflow.__file__).parent / "store" / "db_migrations")
    ).get_current_head()
