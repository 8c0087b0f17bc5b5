"""A database server that falls silent after the connection is given up, and nothing is lost."""

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from observatory.core.errors import StoreError
from observatory.mirror import read_table
from observatory.mirror.mirror import default_settings, mirror
from observatory.mirror.read_table import experiment_table
from tests.postgres import serving
from tests.unit.analysis.report.fabricate import Plan, fabricate_study

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]
PLAN = Plan(study="small", weight_decays=(0.5,), n_seeds=1, horizon=100, probes=())
LOGIN = 600
"""Bytes with which PostgreSQL answers a login by trust, and not many more."""


class Proxy:
    """Passes on what is said to a server; what the server says, only so many bytes of a call."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server, self.most = server, float("inf")
        self._door = socket.create_server(("127.0.0.1", 0))
        self._kept, self._over = [self._door], threading.Event()
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        while True:
            try:
                near = self._door.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self._server)
            self._kept += [near, far]
            for source, target, limited in ((near, far, False), (far, near, True)):
                threading.Thread(
                    target=self._pass, args=(source, target, limited), daemon=True
                ).start()

    def _pass(self, source: socket.socket, target: socket.socket, limited: bool) -> None:
        passed = 0
        while True:
            try:
                piece = source.recv(65536)
                passed += len(piece)
                if limited and passed > self.most:
                    self._over.wait()  # open, and silent for ever
                if not piece:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(piece)
            except OSError:
                return

    def close(self) -> None:
        self._over.set()
        for kept in self._kept:
            with suppress(OSError):
                kept.shutdown(socket.SHUT_RDWR)  # wakes who waits in it
            kept.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with serving() as uri:
        made = Proxy(("127.0.0.1", int(uri.rpartition(":")[2].partition("/")[0])))
        yield made
        made.close()


def test_a_server_that_falls_silent_is_given_up_and_mirrored_later(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the login, in its first answers, amid the copy: the wait is that of the settings.

    The two minutes in which a new schema may be made are not waited for where there is one.
    """
    uri = f"postgresql://me:secret@127.0.0.1:{proxy.port}/postgres"
    study = fabricate_study(tmp_path, PLAN)
    settings = replace(default_settings(tmp_path, uri), timeout_s=2.0)
    first = mirror(study, replace(settings, timeout_s=60.0))
    assert first.error is None
    for at, most in enumerate((LOGIN, 3_000, 20_000)):
        other = fabricate_study(tmp_path / f"{at}", PLAN)
        proxy.most = most
        summary = mirror(other, settings)
        assert "does not answer: 2 s were waited for" in str(summary.error)
        assert "The run store is as it was" in str(summary.error)
        assert "secret" not in repr(summary)
        assert summary.seconds < 60.0  # not the two minutes of a schema: a hang, not a duration
    proxy.most = LOGIN
    with monkeypatch.context() as patch:
        patch.setattr(read_table, "_TIMEOUT_S", 2.0)
        with pytest.raises(StoreError, match="does not answer"):
            experiment_table("small", uri)
    monkeypatch.setattr(read_table, "_TIMEOUT_S", 60.0)
    proxy.most = float("inf")
    after = mirror(study, replace(settings, timeout_s=60.0))
    assert after.error is None
    assert len(experiment_table("small", uri)) == 1
