"""One live owner per folder: a lock that the operating system drops when its process dies."""

import errno
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from observatory.core.errors import BusyError, StoreError
from observatory.store.files import make_folder, refusal, sweep

_PATIENCE_S = 0.5  # a reader that asks who is the owner holds the lock for some microseconds
_ENTRY_BYTES = 512
_BUSY = (errno.EWOULDBLOCK, errno.EACCES)


@dataclass(frozen=True)
class Owner:
    """Who holds a lock."""

    pid: int  # process id on `host`; children of that process hold the lock too
    host: str  # name of the machine
    started: str  # when the lock was taken, ISO 8601, UTC


@contextmanager
def own(path: Path) -> Iterator[Owner]:
    """Own the folder of `path` until the block ends or the process dies.

    What a dead owner left is taken over: its entry in the lock is overwritten, the unfinished files
    beside the lock are removed. The lock file itself stays, empty, so that no two processes can
    ever hold two files of one name.

    Args:
        path: The lock file, made where it is missing.

    Raises:
        BusyError: If a live process owns it; names its pid, host and start. Exit code 4.
        StoreError: If the file cannot be written, or the file system has no locks.
    """
    try:
        make_folder(path.parent)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise refusal(path, error, action="lock") from error
    try:
        _acquire(handle, path)
        owner = Owner(
            os.getpid(), socket.gethostname(), datetime.now(UTC).isoformat("T", "seconds")
        )
        try:
            _enter(handle, json.dumps(asdict(owner)))
        except OSError as error:
            raise refusal(path, error, action="lock") from error
        sweep(path.parent, recursive=False)
        try:
            yield owner
        finally:
            os.ftruncate(handle, 0)
    finally:
        os.close(handle)


def owner_of(path: Path) -> Owner | None:
    """The live owner of a lock file, or None where nobody holds it.

    Raises:
        StoreError: If the file exists and cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refusal(path, error, action="read") from error
    entered = _entered(handle)
    try:
        if entered is not None:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return entered
        raise StoreError(_no_locks(path, error)) from error
    finally:
        os.close(handle)
    return None


def _acquire(handle: int, path: Path) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _BUSY:
                raise StoreError(_no_locks(path, error)) from error
            if time.monotonic() > deadline:
                raise BusyError(_busy(path, _entered(handle))) from error
            time.sleep(0.01)
        else:
            return


def _enter(handle: int, text: str) -> None:
    # one write of one length: a reader sees a dead owner's entry or this one, never a mixture
    os.pwrite(handle, text.encode().ljust(_ENTRY_BYTES), 0)
    os.fsync(handle)


def _entered(handle: int) -> Owner | None:
    try:
        return Owner(**json.loads(os.pread(handle, _ENTRY_BYTES, 0)))
    except (ValueError, TypeError):
        return None  # empty, or its owner died in the middle of writing it


def _busy(path: Path, owner: Owner | None) -> str:
    who = (
        f"process {owner.pid} on {owner.host} (started {owner.started})"
        if owner
        else "another process"
    )
    return (
        f"`{path.parent}` is owned by {who}, or by a process that it started. Nothing was changed. "
        "Wait for it to end, or stop it, then start the same command again."
    )


def _no_locks(path: Path, error: OSError) -> str:
    return (
        f"The file system of `{path}` cannot lock files ({error.strerror}), so two processes could "
        "not be kept apart. Nothing was changed. Give a results folder on another file system."
    )
