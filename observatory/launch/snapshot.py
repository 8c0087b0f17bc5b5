"""The package as it is now, copied beside a study: jobs that wait in a queue run this code."""

import functools
import hashlib
import shutil
from pathlib import Path

import observatory
from observatory.store.files import (
    make_folder,
    refused_as_store_error,
    rename_durably,
    temporary_beside,
)


@functools.cache
def freeze(study: Path) -> Path:
    """Copy the package to `code/<digest>/` of a study, once per state of the code.

    Later calls of a process give what the first one froze, whatever was edited since. Modules of
    the user's own, such as a task's, are not copied.

    Args:
        study: Folder of the study.

    Returns:
        The folder that belongs on PYTHONPATH, absolute.
    """
    package = Path(observatory.__file__).parent
    shelf = study.resolve() / "code"
    with refused_as_store_error(shelf):
        make_folder(shelf)
        copy = temporary_beside(shelf / package.name)
        shutil.copytree(package, copy / package.name, ignore=shutil.ignore_patterns("__pycache__"))
        folder = shelf / _digest(copy)
        if folder.exists() and _digest(folder) == folder.name:
            shutil.rmtree(copy)
        else:  # what is not as its name says was changed since, or is none of ours
            shutil.rmtree(folder, ignore_errors=True)
            rename_durably(copy, folder)
    return folder


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]
