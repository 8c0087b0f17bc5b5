"""A PostgreSQL server for one test."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

import pytest


@contextmanager
def serving() -> Iterator[str]:
    """The URI of an empty database of a server on a free port; skips where none is installed."""
    programs = [shutil.which(name) for name in ("initdb", "pg_ctl")]
    if None in programs:
        pytest.skip("needs a PostgreSQL server: initdb and pg_ctl are not on the PATH")
    pytest.importorskip("psycopg")
    initdb, pg_ctl = map(str, programs)
    user = "nobody" if os.geteuid() == 0 else None  # the server refuses to run as root
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with TemporaryDirectory() as folder:  # not pytest's: another session closes those to `nobody`
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"

        def call(*command: str) -> None:
            subprocess.run(command, user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL)

        call(initdb, "-D", data, "-U", "me", "-A", "trust", "--no-sync")
        call(pg_ctl, "-D", data, "-w", "-l", f"{data}/log", "-o", f"-p {port} -k {folder}", "start")
        try:
            yield f"postgresql://me@127.0.0.1:{port}/postgres"
        finally:
            call(pg_ctl, "-D", data, "-m", "immediate", "stop")
