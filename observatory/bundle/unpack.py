"""A bundle back into a study: checked whole before it takes a place among the others."""

import hashlib
import os
import shutil
import tarfile
from pathlib import Path, PurePosixPath

from observatory.bundle.export import ABOUT, BUNDLE_VERSION, SUMS
from observatory.core.errors import ConfigError, StoreError
from observatory.store.files import read_json, refused_as_store_error, sync, temporary_beside
from observatory.store.reader import Study


def import_bundle(bundle: Path, results: Path) -> Path:
    """Make a study of a bundle; `report`, `fit`, `status` and `browse` work on it.

    Args:
        bundle: What `export_study` wrote: a folder, or a tar of one.
        results: Folder of the studies.

    Returns:
        The study's folder, `results/<study>`.

    Raises:
        StoreError: If the bundle is damaged, of a newer version, or reaches out of its folder.
        ConfigError: If it does not exist, or the study does. In either case nothing is left.
    """
    temporary = temporary_beside(results / "bundle")
    with refused_as_store_error(results):
        results.mkdir(parents=True, exist_ok=True)
        try:
            temporary.mkdir()
            top = _unpacked(bundle, temporary)
            _check_sums(top, bundle)
            study = results / _checked_name(top, bundle)
            if study.exists() or study.is_symlink():
                raise ConfigError(
                    f"`{study}` exists and is not overwritten. Give another folder by `--results`."
                )
            os.rename(top, study)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync(results)
    return study


def _unpacked(bundle: Path, into: Path) -> Path:
    """A copy of the bundle's files below `into`; returns its top folder."""
    if bundle.is_dir():
        for path in bundle.rglob("*"):
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise StoreError(f"`{path}` is a link or a device; a bundle has only files.")
        shutil.copytree(bundle, into / "bundle")
        return into / "bundle"
    if not bundle.is_file():
        raise ConfigError(f"`BUNDLE` must be a tar or a folder, got {bundle}: it does not exist.")
    try:
        with tarfile.open(bundle, "r|*") as archive:
            for member in archive:
                _check_member(member, bundle)
                archive.extract(member, into, set_attrs=False, filter="data")
    except (tarfile.TarError, EOFError) as error:
        raise StoreError(
            f"`{bundle}` is no tar, or it ends too early ({error}). Fetch it again."
        ) from error
    tops = list(into.iterdir())
    if len(tops) != 1 or not tops[0].is_dir():
        raise StoreError(f"`{bundle}` is no bundle: it must hold one folder, has {len(tops)}.")
    return tops[0]


def _check_member(member: tarfile.TarInfo, bundle: Path) -> None:
    """Refuse what is no plain file, and names that lead elsewhere."""
    path = PurePosixPath(member.name)
    if path.is_absolute() or ".." in path.parts or not (member.isfile() or member.isdir()):
        raise StoreError(
            f"`{bundle}` holds {member.name!r}, which is a link, a device or leads out of its "
            "folder: observatory did not write it. Nothing was imported."
        )


def _check_sums(top: Path, bundle: Path) -> None:
    """Compare every file with the sums, and the sums with the files."""
    if not (top / SUMS).is_file():
        raise StoreError(
            f"`{bundle}` has no {SUMS}: it is no bundle, or it ends too early. Fetch it again."
        )
    lines = (top / SUMS).read_text(encoding="utf-8").splitlines()
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
                f"`{bundle}` {what} {', '.join(names[:3])}{more}: it was damaged or changed on its "
                "way. Nothing was imported; fetch it again."
            )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checked_name(top: Path, bundle: Path) -> str:
    """The study's name, once layout, store and name are known to be what this version reads."""
    about = read_json(top / ABOUT)
    version, name = about.get("bundle_version"), about.get("study")
    if not isinstance(version, int) or version > BUNDLE_VERSION:
        raise StoreError(
            f"`{bundle}` has `bundle_version` {version}, this version of observatory reads up to "
            f"{BUNDLE_VERSION}. Install observatory {about['software']['version']}."
        )
    plain = isinstance(name, str) and "\\" not in name and name == PurePosixPath(name).name
    if not plain or name.startswith("."):
        raise StoreError(f"`{bundle}` names its study {name!r}, no plain name of a folder.")
    Study(top)  # refuses a store of another version, and a bundle without a run
    return name
