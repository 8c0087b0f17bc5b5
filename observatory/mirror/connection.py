"""The connection to MLflow: no output, a short wait for a server, one writer at a time."""

import contextlib
import hashlib
import http.client
import logging
import os
import re
import socket
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from observatory.core.errors import BusyError, ConfigError, StoreError
from observatory.core.secrets import without_secrets
from observatory.mirror.deadline import Deadline
from observatory.store.files import make_folder
from observatory.store.lock import own

_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}


def default_tracking_uri(results: Path) -> str:
    """The embedded database of a results folder."""
    return sqlite_uri(results.resolve() / "mlflow.db")


def sqlite_uri(file: Path) -> str:
    """The URI of an embedded database; what means something in a URI is written by its number.

    Example:
        >>> sqlite_uri(Path("/a b/50%?/x.db"))
        'sqlite:////a b/50%25%3F/x.db'
    """
    return f"sqlite:///{re.sub('[%?#]', lambda sign: f'%{ord(sign[0]):02X}', str(file))}"


def is_server(uri: str) -> bool:
    """Whether the URI names an MLflow server, and not a database that we write ourselves."""
    return uri.startswith(("http://", "https://"))


def database_file(uri: str) -> Path:
    """File of a sqlite URI."""
    return Path(unquote(uri.partition(":///")[2].partition("?")[0]))


def suppress_output(timeout_s: float) -> None:
    """No telemetry, no advertisement, no endless retries; call it before MLflow is imported."""
    os.environ.update(
        MLFLOW_DISABLE_TELEMETRY="true",
        DO_NOT_TRACK="true",
        MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT="1",
    )
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_s))))
    try:
        Path.home()
    except RuntimeError:  # a container's user of no name; MLflow's import asks for its folder
        os.environ["HOME"] = tempfile.gettempdir()
    for name in ("alembic", "mlflow.store.db.utils"):  # one line for each of 40 migrations
        logging.getLogger(name).setLevel(logging.WARNING)


def check_reachable(uri: str, timeout_s: float, deadline: Deadline) -> None:
    """Knock at the server of a URI: MLflow itself would retry for minutes.

    Args:
        uri: Of a database or a server.
        timeout_s: Seconds for every step of it.
        deadline: For all of them.

    Raises:
        ConfigError: If the URI is of no kind that MLflow 3 can write.
        StoreError: If nobody answers, or the folder of an embedded database cannot be made.
    """
    parts = urlsplit(uri)
    scheme = parts.scheme.partition("+")[0]
    if scheme not in {"sqlite", *_PORTS}:
        raise ConfigError(
            f"`tracking_uri` must be a database or a server, got {without_secrets(uri)}. Give "
            "sqlite:///<file>, postgresql://... or http(s)://...; MLflow 3 has no file store."
        )
    if scheme == "sqlite":
        try:
            make_folder(database_file(uri).parent)
        except OSError as error:
            raise StoreError(
                f"`{database_file(uri)}` cannot be made ({error.strerror})."
            ) from error
    elif parts.hostname:
        try:
            port = parts.port or _PORTS[scheme]
        except ValueError as error:
            raise ConfigError(
                f"`tracking_uri` has a port that is no number, got {without_secrets(uri)}. In a "
                "password write / : @ as %2F %3A %40."
            ) from error
        try:
            with deadline.asking():
                socket.create_connection((parts.hostname, port), timeout=timeout_s).close()
                if is_server(uri):
                    _knock(uri, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            raise StoreError(f"{parts.hostname}:{port} does not answer ({error}).") from error


def _knock(uri: str, timeout_s: float) -> None:
    """Wait for any answer of a server: one that takes calls may still never answer."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
    parts = urlsplit(uri)
    address = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    with contextlib.suppress(urllib.error.HTTPError):
        urllib.request.urlopen(address, timeout=timeout_s, context=context).close()


@contextlib.contextmanager
def sole_writer(uri: str, results: Path, timeout_s: float) -> Iterator[None]:
    """Be the one writer of a database: two that create its schema at once leave it broken.

    Args:
        uri: Tracking URI; the lock of an embedded database lies beside it.
        results: Folder for the lock of any other, shared by all machines that see it.
        timeout_s: Seconds to wait for the present owner.

    Raises:
        BusyError: If it is still owned after that.
        StoreError: If the lock cannot be written.
    """
    embedded = uri.startswith("sqlite")
    name = "" if embedded else hashlib.sha256(uri.encode()).hexdigest()[:8]
    folder = database_file(uri).resolve().parent if embedded else results
    deadline = time.monotonic() + timeout_s
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(own(folder / ".mlflow" / name / "owner.lock"))
                break
            except BusyError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        yield
