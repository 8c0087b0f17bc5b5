"""One copy of a study into MLflow: what is missing there, cell by cell, then the study's run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING

import numpy as np

from observatory.core.secrets import redacted
from observatory.mirror.cells import (
    TAG_LIMIT,
    Cell,
    cells,
    flattened,
    legal,
    places,
    rates,
    run_labels,
    shortened,
    swept_settings,
    times,
)
from observatory.mirror.deadline import Deadline
from observatory.mirror.descriptions import cell_words, curve_rule, study_words
from observatory.mirror.experiment import (
    NOTE,
    RUN_NAME,
    MlflowExperiment,
    Point,
    clock,
    open_client,
    open_experiment,
)
from observatory.mirror.points import SKIPPED, Lines, fresh_points, measured
from observatory.mirror.settings import MlflowSettings
from observatory.mirror.study_run import copy_own_run, report_tab
from observatory.mirror.view import (
    COLOUR_TAG,
    CROWD,
    VIEW_TAG,
    colour,
    run_link,
    view_tag,
)
from observatory.store.describe import seeds_text
from observatory.store.parts import frame_of
from observatory.store.reader import Run, Study

if TYPE_CHECKING:
    from mlflow.entities import Run as MlflowRun

_KIND = "mlflow.experimentKind"
_WRITTEN_TAG = "observatory.written"
"""Up to which step each table was written, as JSON; `_DONE` where nothing is left to come."""
_DONE = "all"
_STATES = {"failed": "FAILED", "interrupted": "KILLED"}
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


def copy_study(
    study: Study, settings: MlflowSettings, deadline: Deadline | None, *, own_run: bool
) -> Copied:
    """Add what MLflow lacks; the caller holds the lock and has silenced MLflow.

    Args:
        study: The study.
        settings: How it is shown.
        deadline: Of a server's answers; None for an embedded database.
        own_run: See `mirror`.

    Raises:
        StoreError: If the store is damaged, the experiment was deleted, or no answer comes.
        Exception: Whatever MLflow and its database raise.
    """
    name = settings.experiment or study.name
    if settings.granularity == "replica":
        name = f"{name} (replicas)"
    client = open_client(settings.tracking_uri, deadline)
    experiment = open_experiment(client, name, settings.artifacts)
    mirrored = experiment.mirrored_runs()
    manifests = [run.manifest for run in study.runs]
    labels = run_labels([manifest["config"] for manifest in manifests])
    cells_of = [
        _swept_cells(run, settings, label) for run, label in zip(study.runs, labels, strict=True)
    ]
    together = [cell for found in cells_of for cell in found]
    colours = {key: colour(place) for key, place in places(together).items()}
    quartiles = settings.granularity == "cell" and len(together) <= CROWD
    rule = curve_rule(settings.points, settings.granularity, quartiles)
    done = [
        copy_run(experiment, run, found, mirrored, settings, colours, rule, quartiles)
        for run, found in zip(study.runs, cells_of, strict=True)
    ]
    keys = frozenset().union(*(copied.keys for copied in done))
    fresh_own = 0
    if own_run:
        own, fresh_own = copy_own_run(experiment, study, together, mirrored)
        report = run_link(experiment.experiment_id, own, report_tab(study))
        words = study_words(together, manifests, rule, str(study.folder), report)
        view = view_tag(keys, len(together), clock(manifests[0]["created"]))
        experiment.describe({_KIND: "custom_model_development", NOTE: words, VIEW_TAG: view})
    return Copied(
        experiment.experiment_id,
        sum(copied.runs for copied in done) + fresh_own,
        sum(copied.points for copied in done),
        all(copied.complete for copied in done),
        keys,
    )


def _swept_cells(run: Run, settings: MlflowSettings, label: str) -> list[Cell]:
    """The cells of a run with what their replicas have shown."""
    swept = swept_settings(list(run.replicas().columns))
    return cells(run.outcomes(), swept, settings.granularity, label)


def copy_run(
    experiment: MlflowExperiment,
    run: Run,
    found: Sequence[Cell],
    mirrored: Mapping[str, "MlflowRun"],
    settings: MlflowSettings,
    colours: Mapping[str, str],
    rule: str,
    quartiles: bool,
) -> Copied:
    """Bring the cells of one run up to date.

    Args:
        experiment: The experiment.
        run: The run of the store.
        found: Its cells.
        mirrored: MLflow's runs by key.
        settings: How curves are drawn.
        colours: Colour of each cell by key.
        rule: What the curves are, in words.
        quartiles: Whether they have quartiles beside the median.
    """
    start = clock(run.manifest["created"])
    fresh = {
        # The table shows the latest start on top: there stands the cell with the smallest settings.
        cell.key: experiment.create(cell.key, cell.name, start + len(found) - place)
        for place, cell in enumerate(found)
        if cell.key not in mirrored
    }
    pairs = [(cell, fresh.get(cell.key) or mirrored[cell.key]) for cell in found]
    pairs = [
        (cell, run_there) for cell, run_there in pairs if run_there.info.lifecycle_stage == "active"
    ]
    keys = {key for _, run_there in pairs for key in run_there.data.metrics}
    open_pairs = [
        (c, run_there) for c, run_there in pairs if run_there.data.tags.get(_WRITTEN_TAG) != _DONE
    ]
    for cell, run_there in open_pairs:
        if cell.complete:  # before the curves: the page lists metrics in the order they were made
            summary = _summary_points(cell)
            experiment.log_points(run_there.info.run_id, summary, start)
            keys |= {key for key, _, _ in summary}
    points, written = _copy_curves(experiment, run, open_pairs, settings, quartiles)
    keys |= {key for key, _, _ in points}
    status = run.status
    for cell, run_there in pairs:
        left = _DONE if cell.complete else json.dumps(written[cell.key], sort_keys=True)
        tags = {COLOUR_TAG: colours[cell.key], _WRITTEN_TAG: left}
        tags |= _cell_tags(cell, run, rule)
        _describe(experiment, run_there, cell, run, status, tags)
    return Copied(
        experiment.experiment_id,
        len(fresh),
        len(points),
        all(cell.complete for cell in found),
        frozenset(keys),
    )


def _describe(
    experiment: MlflowExperiment,
    run_there: "MlflowRun",
    cell: Cell,
    run: Run,
    status: str,
    tags: Mapping[str, str],
) -> None:
    """Write the settings, tags and state of a cell's run."""
    state = "FINISHED" if cell.complete else _STATES.get(status, "RUNNING")
    status = "done" if cell.complete else status
    params = {**flattened(redacted(run.manifest["config"])), **flattened(cell.settings)}
    experiment.log_texts(run_there, params, {**tags, "status": status})
    end = clock(run.manifest["finished"] or run.manifest["created"])
    experiment.conclude(run_there, state, end)


def _copy_curves(
    experiment: MlflowExperiment,
    run: Run,
    pairs: Sequence[tuple[Cell, "MlflowRun"]],
    settings: MlflowSettings,
    quartiles: bool,
) -> tuple[list[Point], dict[str, dict[str, int]]]:
    """Write what is new and final of every curve of the cells.

    Returns:
        The points; and the step up to which each table of each cell is written now.
    """
    written: dict[str, dict[str, int]] = {
        cell.key: json.loads(run_there.data.tags.get(_WRITTEN_TAG, "{}"))
        for cell, run_there in pairs
    }
    lines = Lines(
        prefixes=settings.prefixes,
        points=settings.points,
        per_layer=settings.per_layer,
        horizon=run.manifest["horizon_steps"],
        groups=tuple(run.manifest["groups"]),
        quartiles=quartiles,
    )
    added: dict[str, list[Point]] = {cell.key: [] for cell, _ in pairs}
    for table in run.tables() if pairs else ():
        columns = [] if table in SKIPPED else measured(run.columns(table), lines)
        if not columns:
            continue
        rows = run.arrow(table, [column.name for column in columns])
        for cell, _ in pairs:  # one at a time: Arrow holds lists in a tenth of their memory
            frame, after = frame_of(rows, list(cell.left)), written[cell.key].get(table, -1)
            points, last = fresh_points(cell, frame, table, columns, lines, after)
            added[cell.key] += points
            written[cell.key][table] = last
    for (
        cell,
        run_there,
    ) in pairs:  # all tables together: MLflow's cost is that of calls and points
        experiment.log_points(
            run_there.info.run_id, added[cell.key], clock(run.manifest["created"])
        )
    return [point for points in added.values() for point in points], written


def _summary_points(cell: Cell) -> list[Point]:
    """What there is once all replicas have left: rates, times, and the cell's place on the map."""
    values = {
        **rates(cell),
        **times(cell),
        "cell/replicas": float(len(cell.replicas)),
        "cell/median_steps_watched": float(np.median(cell.replicas["step"].to_numpy(dtype=float))),
    }
    for name, value in cell.settings.items():
        if isinstance(value, float | int):
            values[f"cell/{name}"] = float(value)
            if name == "weight_decay" and value > 0:
                values[f"cell/log10_{name}"] = log10(value)
    return [(legal(name), 0, value) for name, value in values.items()]


def _cell_tags(cell: Cell, run: Run, rule: str) -> dict[str, str]:
    """What a cell is, how it ended and where its numbers come from."""
    manifest = redacted(run.manifest)
    tags = {
        **cell.words,
        "study": manifest["study"],
        "experiment": manifest["experiment"] or "none",
        "run_id": run.run_id,
        "cell": cell.name,
        "config_hash": manifest["identity"],
        "seeds": seeds_text(cell.replicas["seed"].tolist()),
        "git_sha": manifest["git"]["commit"] or "unknown",
        "dirty": str(manifest["git"]["dirty"]).lower(),
        "host": manifest["machine"]["host"],
        "device": manifest["machine"]["device"],
        RUN_NAME: cell.name,
        NOTE: cell_words(cell, manifest, rule),
        "mlflow.source.name": manifest["command"],
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": manifest["git"]["commit"] or "",
    }
    return {name: shortened(value, TAG_LIMIT) for name, value in tags.items() if value}
