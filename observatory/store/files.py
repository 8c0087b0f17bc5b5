"""Files and folders that are whole or not there: temporary name, fsync, rename, fsync above."""

import errno
import json
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from observatory.core.errors import StoreError

TEMPORARY = ".*.tmp"
"""Glob of the names that unfinished files and folders have; no reader looks at them."""

_durable: set[Path] = set()
"""Folders whose names this process knows to be on the disk."""
_AGAIN = "start the same command again"
_REASONS = {
    errno.ENOSPC: f"the disk is full. Free some space, then {_AGAIN}",
    errno.EDQUOT: f"your disk quota is used up. Free some space, then {_AGAIN}",
    errno.EFBIG: f"the file would exceed the size limit. Raise it (`ulimit -f`), then {_AGAIN}",
    errno.EROFS: "the file system is read-only. Give a results folder that can be written",
    errno.EACCES: "permission denied. Give a folder that is yours, or correct its permissions",
    errno.EPERM: "operation not permitted. Give a folder that is yours, or correct its permissions",
}


def refusal(path: Path, error: OSError, *, action: str = "write") -> StoreError:
    """The error that says what failed, that earlier data is intact, and what to do.

    Args:
        path: The file or folder that was to be written.
        error: What the operating system said.
        action: What was tried, as a verb.
    """
    detail = os.strerror(error.errno) if error.errno else str(error)
    reason = _REASONS.get(error.errno or 0, f"{detail}. Correct that, then {_AGAIN}")
    return StoreError(
        f"Could not {action} `{path}`: {reason}. What was recorded earlier is intact."
    )


def require_writable(folder: Path) -> None:
    """Refuse a folder that nothing can be written into, before anything is computed.

    Raises:
        StoreError: If it is there and cannot be written.
    """
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        denied = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise refusal(folder, denied, action="write into")


def temporary_beside(path: Path) -> Path:
    """A fresh name in the folder of `path` that `TEMPORARY` matches."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


@contextmanager
def refused_as_store_error(path: Path) -> Iterator[None]:
    """Turn what the operating system refused while writing `path` into a `StoreError`."""
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        if (cause := _operating_system_error(error)) is None:
            raise
        raise refusal(path, cause) from error


def write_atomically(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a temporary file, make it durable and give it its name, replacing any other.

    A reader sees the old file or the new one, whole, whenever the process or the machine dies.

    Args:
        path: The file; its folder is made where it is missing.
        write: Writes the whole file at the path that it is given. A library that hides the
            reason of a failed write (`torch.save`) should be given an opened file.

    Raises:
        StoreError: If the operating system refused; `path` is as it was, no temporary file is left.
    """
    temporary = temporary_beside(path)
    with refused_as_store_error(path):
        make_folder(path.parent)
        try:
            write(temporary)
            rename_durably(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def make_folder(path: Path) -> None:
    """Make a folder, and those above it, durable: each name is synced in the folder that has it.

    One that exists may be the work of a process that died before it synced: it is synced as well,
    once per process, up to the first folder in which this user could not have made anything.

    Raises:
        OSError: If the folder cannot be made.
    """
    path = path.absolute()
    above = path.parent
    try:
        path.mkdir()
    except FileNotFoundError:
        make_folder(above)
        path.mkdir(exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise
        if path in _durable or above == path or not os.access(above, os.W_OK | os.R_OK):
            return
    make_folder(above)
    sync(above)
    _durable.add(path)


def rename_durably(temporary: Path, path: Path) -> None:
    """Make a finished file, or folder with all that is in it, durable, and give it its name.

    Raises:
        OSError: If the name is taken or the disk could not take it.
    """
    for each in (*temporary.rglob("*"), temporary):
        sync(each)
    os.rename(temporary, path)
    sync(path.parent)


def write_json(path: Path, value: Any) -> None:
    """Write plain values as indented JSON, atomically.

    Raises:
        StoreError: See `write_atomically`.
        ValueError: If `value` holds NaN or an infinity, which JSON cannot say.
    """
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text, atomically; raises as `write_atomically` does."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes, atomically; raises as `write_atomically` does."""

    def fill(temporary: Path) -> None:
        temporary.write_bytes(content)

    write_atomically(path, fill)


def read_json(path: Path) -> Any:
    """The plain values of a JSON file.

    Raises:
        StoreError: If it is missing, unreadable or no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise refusal(path, error, action="read") from error
    except ValueError as error:
        raise StoreError(
            f"`{path}` is not the JSON that the store wrote: {error}. Its neighbours are intact. "
            "Restore it from a copy, or move its folder away and run again."
        ) from error


def sync(path: Path) -> None:
    """Force a file or a folder to the disk.

    Raises:
        OSError: If the disk could not take it.
    """
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        # some network file systems cannot sync a folder, and need not
        if not (path.is_dir() and error.errno in (errno.EINVAL, errno.ENOTSUP)):
            raise
    finally:
        os.close(handle)


def sweep(folder: Path, *, recursive: bool) -> None:
    """Remove the unfinished files and folders that a dead writer left in `folder`.

    Only for the owner of `folder`: those of a live writer would go too.

    Args:
        folder: May be missing.
        recursive: Whether to look into the folders below.
    """
    for left in list(folder.rglob(TEMPORARY) if recursive else folder.glob(TEMPORARY)):
        remove_if_older(left, 0)


def remove_if_older(path: Path, age_s: float) -> None:
    """Remove a file, or a folder with its content, that nobody touched for `age_s` seconds."""
    try:
        if time.time() - path.stat().st_mtime < age_s:
            return
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except FileNotFoundError:
        return  # its writer gave it its name, or another process removed it first


def _operating_system_error(error: BaseException | None) -> OSError | None:
    """The first OSError of the chain: a library may wrap it."""
    while error is not None:
        if isinstance(error, OSError):
            return error
        error = error.__cause__ or error.__context__
    return None
