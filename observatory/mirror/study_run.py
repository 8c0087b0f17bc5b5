"""The study's own run in MLflow: report, figures and tables as artifacts, fits as metrics."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.core.secrets import without_secrets
from observatory.mirror.cells import (
    TAG_LIMIT,
    Cell,
    digest,
    legal,
    outcome_words,
    shortened,
)
from observatory.mirror.descriptions import report_words
from observatory.mirror.experiment import NOTE, MlflowExperiment, Point, clock
from observatory.mirror.view import COLOUR_TAG
from observatory.store.files import read_json
from observatory.store.reader import Run, Study

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

_STUDY_KEY = "study"
_FITS_TAG = "observatory.fits"
_FILES_TAG = "observatory.files"
_TOP_FILES = ("report.html", "fits.json", "replicas.csv")
_RUN_FILES = ("manifest.json", "config.yaml", "code.diff")
LIMITS = {"value": "", "se": "_se", "ci_low": "_ci_low", "ci_high": "_ci_high"}
"""Suffix of a metric's name for each number of an estimate."""


def _fit_entries(study_folder: Path) -> list[Mapping[str, Any]]:
    """The fits of all replicas of the study, refused ones included; empty before the first fit.

    Fits of single groups or curves are in the artifact: one metric cannot hold them all.

    Raises:
        StoreError: If `fits.json` cannot be read.
    """
    path = study_folder / "fits.json"
    entries = list(read_json(path)["fits"]) if path.exists() else []
    return [e for e in entries if e.get("study_group") is None and "group" not in e]


def _fit_points(entries: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Estimates as metrics; the step is the horizon at which the records were censored.

    A boundary belongs to a horizon, so the same fit at several horizons is one curve.

    Example:
        >>> entry = {"fit": "boundary", "estimator": "mle", "event": "first99",
        ...          "horizon_steps": 2500, "params": {"critical": {"value": 0.1, "ci_low": 0.05}}}
        >>> for point in _fit_points([entry]): print(point)
        ('boundary/critical.mle.first99', 2500, 0.1)
        ('boundary/critical.mle.first99_ci_low', 2500, 0.05)
    """
    found: dict[tuple[str, int], float] = {}
    for entry in entries:
        for parameter, estimate in (entry.get("params") or {}).items():
            name = legal(f"{entry['fit']}/{parameter}.{entry['estimator']}.{entry['event']}")
            for limit, suffix in LIMITS.items():
                if estimate.get(limit) is not None:
                    key = (f"{name}{suffix}", entry["horizon_steps"] or 0)
                    found.setdefault(key, estimate[limit])
    return [(key, step, value) for (key, step), value in found.items()]


def _artifact_files(study_folder: Path, runs: Sequence[Run]) -> dict[Path, str]:
    """Files to hand over, each with its folder among the artifacts."""
    wanted = {study_folder / name: "" for name in _TOP_FILES}
    figures = sorted((study_folder / "report").rglob("*"))
    wanted |= {f: f.parent.relative_to(study_folder).as_posix() for f in figures if f.is_file()}
    for run in runs:
        wanted |= {run.folder / name: f"runs/{run.run_id}" for name in _RUN_FILES}
    return {path: folder for path, folder in wanted.items() if path.is_file()}


def content(files: Mapping[Path, str]) -> str:
    """A name for all the files together that changes with any of them."""
    each = (
        f"{place}/{p.name} {hashlib.sha256(p.read_bytes()).hexdigest()}"
        for p, place in files.items()
    )
    return digest("\n".join(sorted(each)))


def report_tab(study: Study) -> str:
    """Where the page of the study's run shows the report, or the artifacts while there is none."""
    return "artifacts/report.html" if (study.folder / "report.html").is_file() else "artifacts"


def copy_own_run(
    experiment: MlflowExperiment,
    study: Study,
    found: Sequence[Cell],
    mirrored: Mapping[str, "MlflowRun"],
) -> tuple[str, int]:
    """Bring the study's own run up to date; returns its id, and how many runs were created.

    Artifacts that changed are replaced. Estimates cannot be: when a fit was made anew, a new run
    takes the place of the old one, which MLflow keeps among the deleted.
    """
    entries = _fit_entries(study.folder)
    points = _fit_points(entries)
    files = _artifact_files(study.folder, study.runs)
    shown = content(files)
    made_of = digest(json.dumps(points))
    mirrored_run = mirrored.get(_STUDY_KEY)
    if mirrored_run is not None and mirrored_run.info.lifecycle_stage != "active":
        return mirrored_run.info.run_id, 0
    if mirrored_run is not None and mirrored_run.data.tags.get(_FITS_TAG, made_of) != made_of:
        experiment.client.delete_run(mirrored_run.info.run_id)
        mirrored_run = None
    fresh = mirrored_run is None
    first = study.runs[0].manifest
    start = clock(first["created"])
    if mirrored_run is None:
        # Below all cells, see `copy_run`: as the first run it would lead the legend of every chart.
        mirrored_run = experiment.create(_STUDY_KEY, f"study {study.name}", start)
    if points:  # the tag first: points without it could not be distinguished from older ones
        experiment.log_texts(mirrored_run, {}, {_FITS_TAG: made_of})
        experiment.log_points(mirrored_run.info.run_id, points, start)
    if mirrored_run.data.tags.get(_FILES_TAG) != shown:
        for path, folder in files.items():
            experiment.log_file(mirrored_run.info.run_id, path, folder)
    outcomes = [outcome for cell in found for outcome in cell.outcomes]
    tags = {
        **outcome_words(outcomes, sum(len(cell.replicas) for cell in found)),
        NOTE: shortened(report_words(study.name, entries), TAG_LIMIT),
        "study": study.name,
        "status": "done" if study.folder / "report.html" in files else "no report yet",
        "mlflow.source.name": without_secrets(first["command"]),
        "mlflow.source.type": "LOCAL",
        COLOUR_TAG: "#808080",
        _FILES_TAG: shown,
    }
    experiment.log_texts(mirrored_run, {}, tags)
    experiment.conclude(mirrored_run, "FINISHED", clock(first["finished"] or first["created"]))
    return mirrored_run.info.run_id, int(fresh)
