"""A bundle back into a study: checked whole before it takes a place among the others."""

import gzip
import hashlib
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase, RawIOBase
from pathlib import Path, PurePosixPath
from typing import final

from observatory.bundle.schema import SUMS, check_bundle
from observatory.core.errors import ConfigError, StoreError
from observatory.launch.trust import IMPORTED
from observatory.store.files import (
    make_folder,
    refused_as_store_error,
    rename_durably,
    temporary_beside,
    write_json,
)

MADE = ("report.html", "report", "fits.json", "replicas.csv")
"""What was made of the runs elsewhere: kept apart, so that here it is made anew of the tables."""
FREE_BYTES, RATIO = 2**26, 20
"""A tar may hold the first, or as many times its own size as the second: a bundle has about 1.5."""


def import_bundle(bundle: Path, results: Path) -> Path:
    """Make a study of a bundle; `report`, `fit`, `status` and `browse` work on it.

    Pages and estimates that came with it are in its folder `imported/`, beside a note of where it
    came from.

    Args:
        bundle: What `export_study` wrote: a folder, or a tar of one.
        results: Folder of the studies.

    Returns:
        The study's folder, `results/<study>`.

    Raises:
        StoreError: If the bundle is damaged, of another version, too large, holds what `export`
            does not write, or reaches out of its folder.
        ConfigError: If it does not exist, or the study does. In either case nothing is left.
    """
    temporary = temporary_beside(results / "bundle")
    with refused_as_store_error(results):
        make_folder(results)
        try:
            temporary.mkdir()
            with _named(bundle):
                top = _unpacked(bundle, temporary)
                _check_sums(top)
                study = results / check_bundle(top)
            if study.exists() or study.is_symlink():
                raise ConfigError(
                    f"`{study}` exists and is not overwritten. Give another folder by `--results`."
                )
            _set_apart(top, bundle)
            rename_durably(top, study)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return study


@contextmanager
def _named(bundle: Path) -> Iterator[None]:
    """Say of which bundle an error is."""
    try:
        yield
    except StoreError as error:
        raise StoreError(f"`{bundle}` was not imported: {error}") from error


def _set_apart(top: Path, bundle: Path) -> None:
    """Mark a study as a stranger's."""
    (top / IMPORTED).mkdir()
    for name in MADE:
        if (top / name).exists():
            (top / name).rename(top / IMPORTED / name)
    write_json(top / IMPORTED / "origin.json", {"bundle": bundle.name, SUMS: _digest(top / SUMS)})


def _unpacked(bundle: Path, into: Path) -> Path:
    """A copy of the bundle's files below `into`; returns its top folder."""
    free = shutil.disk_usage(into).free
    if bundle.is_dir():
        paths = list(bundle.rglob("*"))
        for path in paths:
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise StoreError(f"`{path}` is a link or a device; a bundle has only files.")
        if (size := sum(path.stat().st_size for path in paths)) > free:
            raise StoreError(f"it has {size:,} bytes, and the disk {free:,}. Free some space.")
        shutil.copytree(bundle, into / "bundle")
        return into / "bundle"
    if not bundle.is_file():
        raise ConfigError(f"`BUNDLE` must be a tar or a folder, got {bundle}: it does not exist.")
    limit = max(FREE_BYTES, RATIO * bundle.stat().st_size)
    try:
        with (
            _opened(bundle) as file,
            tarfile.open(fileobj=_Bounded(file, min(free, limit)), mode="r|") as archive,
        ):
            for member in archive:
                _check_member(member)
                archive.extract(member, into, set_attrs=False, filter="data")
    except (tarfile.TarError, EOFError, ValueError, zlib.error, gzip.BadGzipFile) as error:
        raise StoreError(
            f"it is no tar, or it ends too early ({error}). Fetch it again."
        ) from error
    tops = list(into.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise StoreError(f"it is no bundle: it must hold one folder, has {len(tops)}.")
    return tops[0]


def _opened(bundle: Path) -> BufferedIOBase:
    with bundle.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    return gzip.open(bundle) if packed else bundle.open("rb")


@final
class _Bounded(RawIOBase):
    """A file of which no more than so many bytes are read.

    Args:
        file: Unpacks as it is read.
        limit: In bytes.
    """

    def __init__(self, file: BufferedIOBase, limit: int) -> None:
        self._file, self._limit, self._left = file, limit, limit

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, as many as are asked for; refuses those beyond the limit."""
        content = self._file.read(self._left + 1 if size < 0 else min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise StoreError(
                f"it unpacks to more than {self._limit:,} bytes, which no bundle of this size "
                "does, or for which the disk has no room. If it is yours, unpack it with `tar` "
                "and import the folder."
            )
        return content


def _check_member(member: tarfile.TarInfo) -> None:
    """Refuse what is no plain file, and names that lead elsewhere."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise StoreError(
            f"it holds {member.name!r}, which is a link, a device or leads out of its folder."
        )


def _check_sums(top: Path) -> None:
    """Compare every file with the sums, and the sums with the files."""
    if not (top / SUMS).is_file():
        raise StoreError(f"it has no {SUMS}: it is no bundle, or it ends too early.")
    lines = (top / SUMS).read_text(encoding="utf-8", errors="replace").splitlines()
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    found = {path.relative_to(top).as_posix() for path in top.rglob("*") if path.is_file()}
    found -= {SUMS}
    wrong = sorted(n for n in found & listed.keys() if _digest(top / n) != listed[n])
    for names, what in (
        (sorted(listed.keys() - found), "lacks"),
        (wrong, "has other bytes than the sums say in"),
        (sorted(found - listed.keys()), "has files that the sums do not name:"),
    ):
        if names:
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            raise StoreError(
                f"it {what} {', '.join(names[:3])}{more}. It was damaged or changed on its way: "
                "fetch it again."
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
