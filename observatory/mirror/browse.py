"""`observatory browse`: mirrors the studies of a folder and opens MLflow's page on them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from observatory.core.errors import BusyError, ConfigError, StoreError
from observatory.mirror.connection import is_server, suppress_output
from observatory.mirror.mirror import MirrorSummary, MlflowSettings, default_settings, mirror
from observatory.mirror.view import page

_START_S = 90.0
"""Seconds in which the server must answer; 8 on two idle cores."""
_STOP_S = 10.0
"""Seconds that it has to end by itself."""


def _print_line(line: str) -> None:
    """Write a line for the user at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def browse(
    results: Path,
    host: str,
    port: int,
    study: str | None = None,
    settings: MlflowSettings | None = None,
    refresh_s: float = 20.0,
    say: Callable[[str], None] = _print_line,
    *,
    once: bool = False,
) -> int:
    """Show studies in MLflow's page until Ctrl-C or SIGTERM; live studies keep growing on it.

    Args:
        results: Folder of the studies.
        host: Address to bind.
        port: Port to bind; 0 for any free one.
        study: Name of one study; null: all.
        settings: Where and how they are shown; null: conf/mlflow/default.yaml.
        refresh_s: Seconds between two looks at studies that still train.
        say: Receives the lines for the user.
        once: Bring MLflow up to date and return, without a page.

    Returns:
        0, once it was stopped; without a page of its own 2 where MLflow was not updated.

    Raises:
        StoreError: If there is no study, or the server does not start.
        BusyError: If the port is taken.
    """
    settings = settings or default_settings(results)
    shown: dict[Path, MirrorSummary] = {}

    def refresh(folders: Sequence[Path], address: str | None) -> None:
        for folder in folders:
            before, shown[folder] = shown.get(folder), mirror(folder, settings)
            for line in _news(folder.name, before, shown[folder], address):
                say(line)

    server = is_server(settings.tracking_uri)
    if server or once:
        refresh(study_folders(results, study), settings.tracking_uri if server else None)
        return StoreError.exit_code if any(last.error for last in shown.values()) else 0
    newest = _newest_first(results, study)[0]
    port = free_port(host, port)
    address = f"http://{_reached_at(host)}:{port}"
    with _stopped_by_signals():
        try:
            refresh([newest], None)  # makes the schema: the server and a mirror would race for it
            with serving(settings, host, port) as process:
                say(f"MLflow's page is open on {host}:{port}; Ctrl-C ends it.")
                shown.clear()  # every study is named once more, with its link
                while process.poll() is None:
                    refresh(_newest_first(results, study), address)
                    wait(process, refresh_s)
                code = process.returncode
                raise StoreError(f"MLflow's server ended by itself, with code {code}.")
        except KeyboardInterrupt:
            say("Stopped.")
    return 0


def _news(
    name: str, before: MirrorSummary | None, now: MirrorSummary, address: str | None
) -> Iterator[str]:
    """What is worth a line of a study's last mirror, given the one before.

    Example:
        >>> now = MirrorSummary("sqlite:///x.db", experiment_id="7", complete=True)
        >>> print(*_news("smoke", None, now, "http://localhost:5000"))
        smoke  http://localhost:5000/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=observatory
        >>> list(_news("smoke", now, now, "http://localhost:5000"))
        []
    """
    if now.error and (before is None or before.error != now.error):
        yield now.error
    if now.runs_added or now.points_added:
        yield f"{name}: {now.runs_added} runs, {now.points_added} points, {now.seconds:.1f} s"
    unknown = before is None or before.experiment_id is None
    if address and unknown and now.experiment_id is not None:
        yield f"{name}  {page(address, now.experiment_id)}"


def _newest_first(results: Path, study: str | None) -> list[Path]:
    """The studies, the one that changed last first."""
    return sorted(study_folders(results, study), key=lambda folder: -folder.stat().st_mtime)


def study_folders(results: Path, study: str | None) -> list[Path]:
    """The studies below a folder, or the one that is named.

    Raises:
        StoreError: If there is none; names those that there are.
    """
    found = sorted({path.parents[2] for path in results.glob("*/runs/[!.]*/manifest.json")})
    if study is None and found:
        return found
    chosen = [folder for folder in found if folder.name == study]
    if chosen:
        return chosen
    names = ", ".join(folder.name for folder in found)
    if not names:
        raise StoreError(
            f"`{results}` holds no study. Train one (`observatory map experiment=smoke`), or give "
            "the folder that holds the studies."
        )
    raise StoreError(f"`{results}` has no study `{study}`, only {names}.")


def free_port(host: str, port: int) -> int:
    """The port, or any free one for 0.

    Raises:
        BusyError: If something listens there.
        ConfigError: If the address cannot be bound at all.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.strerror and "in use" in error.strerror:
                raise BusyError(
                    f"Port {port} of {host} is in use. Give another by `--port`, or 0 for any "
                    "free one."
                ) from error
            raise ConfigError(f"`--host {host} --port {port}` cannot be bound: {error}.") from error
        return probe.getsockname()[1]


def server_command(
    settings: MlflowSettings, host: str, port: int
) -> tuple[list[str], dict[str, str]]:
    """The command of MLflow's server, and its environment: all users can read a command line."""
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_BACKEND_STORE_URI": settings.tracking_uri,
    }
    if settings.artifacts:
        environment["MLFLOW_ARTIFACTS_DESTINATION"] = settings.artifacts
    return [*command, "--host", host, "--port", str(port)], environment


@contextmanager
def serving(settings: MlflowSettings, host: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """MLflow's server in its light configuration: one worker, no jobs, no telemetry.

    All its processes end with the block.

    Raises:
        StoreError: If it ends or does not answer within `_START_S`; holds its last lines.
    """
    suppress_output(settings.timeout_s)
    command, environment = server_command(settings, host, port)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            deadline = time.monotonic() + _START_S
            while not answers(f"http://{_reached_at(host)}:{port}/health"):
                if server.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    last = log.read().decode(errors="replace").strip().splitlines()[-3:]
                    raise StoreError(f"MLflow's server did not start: {' / '.join(last)}")
                time.sleep(0.2)
            yield server
        finally:
            end(server)


def _reached_at(host: str) -> str:
    """The address by which this machine reaches a server that is bound to `host`."""
    return "127.0.0.1" if host == "0.0.0.0" else host


def answers(url: str) -> bool:
    """Whether a server says that it is ready."""
    try:
        with urllib.request.urlopen(url, timeout=2.0) as reply:
            return reply.status == 200
    except (urllib.error.URLError, OSError):
        return False


def end(server: "subprocess.Popen[bytes]") -> None:
    """Stop a server and all that it started."""
    for message, patience in ((signal.SIGTERM, _STOP_S), (signal.SIGKILL, _STOP_S)):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, message)
        with suppress(subprocess.TimeoutExpired):
            server.wait(patience)
            break
    with suppress(ProcessLookupError):  # a child that outlived its parent
        os.killpg(server.pid, signal.SIGKILL)


def wait(server: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait, but no longer than the server runs."""
    with suppress(subprocess.TimeoutExpired):
        server.wait(seconds)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, where the main thread runs it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
