"""Whether what was made of a study still belongs to it: fits, report and the copy in MLflow.

`published.json` beside `fits.json` notes of what these were made: the files of the runs, the
settings, the code and its libraries; and what was made. Whatever differs from the note, or is
missing, is made anew: a wrong guess costs time and never a number.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import observatory
from observatory.core.errors import StoreError
from observatory.core.secrets import redacted
from observatory.store.files import read_json, write_json

PUBLISHED = "published.json"
MADE = ("fits.json", "replicas.csv", "report.html")
"""Files of a study that are made of its runs."""
_LIBRARIES = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib", "pyarrow", "mlflow")
_CODE = (".py", ".j2", ".css", ".js", ".yaml")
_PASSING = (".lock", ".log", ".tmp", ".pyc")
"""Endings of files in `runs/` that change without a change of what was recorded."""


def note(study: Path, settings: Mapping[str, Any], mirrored: str | None) -> None:
    """Note of what a study's fits, report and copy in MLflow were just made.

    Args:
        study: Its folder.
        settings: Plain values that they depend on.
        mirrored: Id of the experiment that holds all of the study; None where something lacks.

    Raises:
        StoreError: If it cannot be written.
    """
    content = {"schema_version": 1, "mirrored": mirrored, **_state(study, settings)}
    write_json(study / PUBLISHED, content)


def unchanged(study: Path, settings: Mapping[str, Any]) -> str | None:
    """Id of the experiment in MLflow, if nothing has changed since the note; else None.

    Args:
        study: Its folder.
        settings: Plain values, as of `note`.
    """
    try:
        noted = read_json(study / PUBLISHED)
        state = _state(study, settings)
    except (StoreError, OSError):
        return None
    same = isinstance(noted, dict) and all(noted.get(key) == state[key] for key in state)
    return noted["mirrored"] if same else None


def _state(study: Path, settings: Mapping[str, Any]) -> dict[str, str]:
    """Digests of all that counts; they say nothing of this machine.

    Raises:
        OSError: If one of the files that are made is missing.
    """
    made = [hashlib.sha256((study / name).read_bytes()).hexdigest() for name in MADE]
    return {
        "settings": _digest(redacted(settings)),
        "runs": _digest(list(_recorded(study / "runs"))),
        "made": _digest([*made, *_recorded(study / "report")]),
        "code": _digest([*_source(), *_versions()]),
    }


def _digest(values: Any) -> str:
    canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _recorded(folder: Path) -> Iterator[tuple[str, int, int]]:
    """Name, size and time of every file: the store renames whole files into place."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in _PASSING:
            found = path.stat()
            yield path.relative_to(folder).as_posix(), found.st_size, found.st_mtime_ns


def _source() -> Iterator[str]:
    """Digest of every file of the package, by name."""
    package = Path(observatory.__file__).parent
    for folder, below, names in os.walk(package, followlinks=True):
        below.sort()
        for name in sorted(names):
            if name.endswith(_CODE):
                yield hashlib.sha256((Path(folder) / name).read_bytes()).hexdigest()


def _versions() -> Iterator[str]:
    for library in _LIBRARIES:
        try:
            yield f"{library} {version(library)}"
        except PackageNotFoundError:
            yield f"no {library}"
