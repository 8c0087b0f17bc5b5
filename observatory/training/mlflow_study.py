"""The study's own run in MLflow: report, figures and tables as artifacts, fits as metrics."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from observatory.store.files import read_json
from observatory.store.reader import Run
from observatory.training.mlflow_cells import legal
from observatory.training.mlflow_desk import Point

STUDY_KEY = "study"
FITS_TAG = "observatory.fits"
FILES_TAG = "observatory.files"
TOP_FILES = ("report.html", "fits.json", "replicas.csv")
RUN_FILES = ("manifest.json", "config.yaml", "code.diff")
LIMITS = {"value": "", "se": "_se", "ci_low": "_ci_low", "ci_high": "_ci_high"}
"""Suffix of a metric's name for each number of an estimate."""


def fit_entries(study_folder: Path) -> list[Mapping[str, Any]]:
    """All fits of the study, refused ones included; empty before the first fit.

    Raises:
        StoreError: If `fits.json` cannot be read.
    """
    path = study_folder / "fits.json"
    return list(read_json(path)["fits"]) if path.exists() else []


def fit_points(entries: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Estimates as metrics; the step is the horizon at which the records were censored.

    A boundary belongs to a horizon, so the same fit at several horizons is one curve.

    Example:
        >>> entry = {"fit": "boundary", "estimator": "mle", "event": "first99",
        ...          "horizon_steps": 2500, "params": {"critical": {"value": 0.1, "ci_low": 0.05}}}
        >>> for point in fit_points([entry]): print(point)
        ('boundary/critical mle first99', 2500, 0.1)
        ('boundary/critical mle first99_ci_low', 2500, 0.05)
    """
    found: dict[tuple[str, int], float] = {}
    for entry in entries:
        for parameter, estimate in (entry.get("params") or {}).items():
            name = legal(f"{entry['fit']}/{parameter} {entry['estimator']} {entry['event']}")
            for limit, suffix in LIMITS.items():
                if estimate.get(limit) is not None:
                    key = (f"{name}{suffix}", entry["horizon_steps"] or 0)
                    found.setdefault(key, estimate[limit])
    return [(key, step, value) for (key, step), value in found.items()]


def artifact_files(study_folder: Path, runs: Sequence[Run]) -> dict[Path, str]:
    """Files to hand over, each with its folder among the artifacts."""
    wanted = {study_folder / name: "" for name in TOP_FILES}
    figures = sorted((study_folder / "report").rglob("*"))
    wanted |= {f: f.parent.relative_to(study_folder).as_posix() for f in figures if f.is_file()}
    for run in runs:
        wanted |= {run.folder / name: f"runs/{run.run_id}" for name in RUN_FILES}
    return {path: folder for path, folder in wanted.items() if path.is_file()}


def digest(content: bytes) -> str:
    """A short digest by which a change is seen."""
    return hashlib.sha256(content).hexdigest()[:12]


def digests(files: Mapping[Path, str]) -> dict[str, str]:
    """Digest of each file by its place among the artifacts."""
    return {f"{folder}/{p.name}".lstrip("/"): digest(p.read_bytes()) for p, folder in files.items()}
