"""One copy of a study into MLflow: what is missing there, cell by cell, then the study's own run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observatory.store.reader import Run, Study
from observatory.training.mlflow_cells import (
    Cell,
    cells,
    flattened,
    outcome_words,
    rates,
    shortened,
    swept_settings,
    times,
)
from observatory.training.mlflow_desk import Desk, Point, open_desk
from observatory.training.mlflow_lines import SKIPPED, Lines, fresh_points, measured
from observatory.training.mlflow_settings import MlflowSettings
from observatory.training.mlflow_study import (
    FITS_TAG,
    FILES_TAG,
    STUDY_KEY,
    artifact_files,
    digests,
    fit_entries,
    fit_points,
)
from observatory.training.mlflow_view import COLOUR_TAG, VIEW_TAG, colour, view_tag
from observatory.training.mlflow_words import cell_words, report_words, study_words

if TYPE_CHECKING:
    from mlflow.entities import Run as Twin

NOTE, RUN_NAME, KIND = "mlflow.note.content", "mlflow.runName", "mlflow.experimentKind"
WRITTEN_TAG = "observatory.written"
"""Up to which step each table was written, as JSON; `DONE` where nothing is left to come."""
DONE = "all"
STATES = {"failed": "FAILED", "interrupted": "KILLED"}
"""MLflow's word for a cell whose fleet stopped before its end."""


@dataclass(frozen=True)
class Copied:
    """What was added.

    Attributes:
        experiment_id: The study's experiment.
        runs: MLflow runs that were created.
        points: Points of curves that were written.
        complete: Whether no curve or outcome is left to come.
        keys: Metrics of the runs.
    """

    experiment_id: str
    runs: int
    points: int
    complete: bool
    keys: frozenset[str]


def copy_study(study: Study, settings: MlflowSettings) -> Copied:
    """Add what MLflow lacks; the caller holds the lock and has silenced MLflow.

    Raises:
        StoreError: If the store is damaged or the experiment was deleted in MLflow.
        Exception: Whatever MLflow and its database raise.
    """
    from mlflow import MlflowClient

    name = settings.experiment or study.name
    if settings.granularity == "replica":
        name = f"{name} (replicas)"
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    desk = open_desk(client, name, settings.artifacts)
    twins = desk.twins()
    known = [swept_cells(run, settings) for run in study.runs]
    done = [
        copy_run(desk, run, found, twins, settings)
        for run, found in zip(study.runs, known, strict=True)
    ]
    fresh_own = copy_own_run(desk, study, twins)
    keys = frozenset().union(*(copied.keys for copied in done))
    manifests = [run.manifest for run in study.runs]
    together = [cell for found in known for cell in found]
    desk.describe(
        {
            KIND: "custom_model_development",
            NOTE: study_words(study.name, manifests, together, settings.points, str(study.folder)),
            VIEW_TAG: view_tag(keys, clock(manifests[0]["created"])),
        }
    )
    return Copied(
        desk.experiment_id,
        sum(copied.runs for copied in done) + fresh_own,
        sum(copied.points for copied in done),
        all(copied.complete for copied in done),
        keys,
    )


def clock(moment: str) -> int:
    """An ISO time in MLflow's milliseconds."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def swept_cells(run: Run, settings: MlflowSettings) -> list[Cell]:
    """The cells of a run with what is known of their replicas."""
    swept = swept_settings(list(run.replicas().columns))
    return cells(run.outcomes(), swept, settings.granularity)


def copy_run(
    desk: Desk, run: Run, found: Sequence[Cell], twins: Mapping[str, "Twin"], settings: MlflowSettings
) -> Copied:
    """Bring the cells of one run up to date."""
    start = clock(run.manifest["created"])
    fresh = {
        # The table shows the latest start on top: there stands the cell with the smallest settings.
        cell.key: desk.create(cell.key, cell.name, start + len(found) - place)
        for place, cell in enumerate(found)
        if cell.key not in twins
    }
    pairs = [(cell, fresh.get(cell.key) or twins[cell.key]) for cell in found]
    pairs = [(cell, twin) for cell, twin in pairs if twin.info.lifecycle_stage == "active"]
    keys = {key for _, twin in pairs for key in twin.data.metrics}
    open_pairs = [(c, twin) for c, twin in pairs if twin.data.tags.get(WRITTEN_TAG) != DONE]
    points, written = copy_curves(desk, run, open_pairs, settings)
    for cell, twin in open_pairs:
        summary = summary_points(cell) if cell.complete else []
        desk.log_points(twin.info.run_id, summary, start)
        keys |= {key for key, _, _ in summary}
    status = run.status
    for place, (cell, twin) in enumerate(pairs):
        ended = DONE if cell.complete else json.dumps(written.get(cell.key, {}), sort_keys=True)
        shade = colour(place / max(len(pairs) - 1, 1))
        tags = {WRITTEN_TAG: ended, COLOUR_TAG: shade, "status": "done" if cell.complete else status}
        desk.log_texts(
            twin,
            {**flattened(run.manifest["config"]), **flattened(cell.settings)} if twin.info.run_id in
            {t.info.run_id for t in fresh.values()} else {},
            {**cell_tags(cell, run, settings.points), **tags},
        )
        state = "FINISHED" if cell.complete else STATES.get(status, "RUNNING")
        desk.conclude(twin, state, clock(run.manifest["finished"] or run.manifest["created"]))
    return Copied(
        desk.experiment_id,
        len(fresh),
        len(points),
        all(cell.complete for cell in found),
        frozenset(keys | {key for key, _, _ in points}),
    )
