"""Writing to one MLflow experiment: find or make runs, add points, params and tags in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from observatory.core.errors import StoreError
from observatory.core.secrets import without_secrets
from observatory.mirror.connection import is_server
from observatory.mirror.database import has_schema
from observatory.mirror.deadline import Deadline

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run as MlflowRun

NOTE, RUN_NAME = "mlflow.note.content", "mlflow.runName"
_KEY_TAG = "observatory.key"
"""Which part of the study a run shows; at most one run has it."""
METRIC_BATCH, TEXT_BATCH, PAGE = 1000, 100, 1000
"""Most metrics, params or tags, and runs that MLflow takes or gives in one call."""
SCHEMA_S = 120.0
"""In which a server of databases must have made some fifty tables."""

Item = TypeVar("Item")
Point = tuple[str, int, float]
"""Metric, step, value."""


def clock(moment: str) -> int:
    """An ISO time in MLflow's milliseconds."""
    return round(datetime.fromisoformat(moment).timestamp() * 1000)


def batches(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Consecutive pieces of at most `size` items.

    Example:
        >>> batches("abcde", 2)
        ['ab', 'cd', 'e']
    """
    return [items[start : start + size] for start in range(0, len(items), size)]


@dataclass(frozen=True)
class MlflowExperiment:
    """One experiment, open for writing.

    Attributes:
        client: MLflow's public client.
        experiment_id: The experiment.
        tags: Its tags when it was opened.
    """

    client: "MlflowClient"
    experiment_id: str
    tags: Mapping[str, str]

    def mirrored_runs(self) -> dict[str, "MlflowRun"]:
        """All runs that were written earlier by their key, deleted ones included."""
        from mlflow.entities import ViewType

        found: dict[str, MlflowRun] = {}
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], run_view_type=ViewType.ALL, max_results=PAGE, page_token=token
            )
            for run in page:
                key = run.data.tags.get(_KEY_TAG)
                if key and (key not in found or run.info.lifecycle_stage == "active"):
                    found[key] = run
            token = page.token
            if not token:
                return found

    def create(self, key: str, name: str, start_ms: int) -> "MlflowRun":
        """A fresh run."""
        return self.client.create_run(
            self.experiment_id, start_time=start_ms, tags={_KEY_TAG: key}, run_name=name
        )

    def log_points(self, run_id: str, points: Sequence[Point], start_ms: int) -> None:
        """Add points; their times follow from their steps: a repeated point is the same row."""
        from mlflow.entities import Metric

        for batch in batches(points, METRIC_BATCH):
            metrics = [Metric(key, value, start_ms + step, step) for key, step, value in batch]
            self.client.log_batch(run_id, metrics=metrics)

    def log_file(self, run_id: str, path: Path, folder: str) -> None:
        """Hand a file over; the settings of a run as older versions wrote them without secrets."""
        text = path.read_text(encoding="utf-8") if path.suffix in (".json", ".yaml") else ""
        if without_secrets(text) == text:
            self.client.log_artifact(run_id, str(path), folder or None)
        else:
            self.client.log_text(run_id, without_secrets(text), f"{folder}/{path.name}".lstrip("/"))

    def log_texts(
        self, mirrored_run: "MlflowRun", params: Mapping[str, str], tags: Mapping[str, str]
    ) -> None:
        """Add params that are missing, and tags that are missing or differ."""
        from mlflow.entities import Param, RunTag

        new_params = [Param(k, v) for k, v in params.items() if k not in mirrored_run.data.params]
        new_tags = [RunTag(k, v) for k, v in tags.items() if mirrored_run.data.tags.get(k) != v]
        for batch in batches(new_params, TEXT_BATCH):
            self.client.log_batch(mirrored_run.info.run_id, params=batch)
        for batch in batches(new_tags, TEXT_BATCH):
            self.client.log_batch(mirrored_run.info.run_id, tags=batch)

    def describe(self, tags: Mapping[str, str]) -> None:
        """Set the experiment's tags that differ."""
        for key, value in tags.items():
            if self.tags.get(key) != value:
                self.client.set_experiment_tag(self.experiment_id, key, value)

    def conclude(self, mirrored_run: "MlflowRun", status: str, end_ms: int) -> None:
        """Set the state of a run where it differs; only a run that is not RUNNING has an end."""
        if mirrored_run.info.status == status:
            return
        if status == "RUNNING":
            self.client.update_run(mirrored_run.info.run_id, status=status)
        else:
            self.client.set_terminated(mirrored_run.info.run_id, status, end_ms)


def open_client(uri: str, deadline: Deadline | None) -> "MlflowClient":
    """MLflow's client of a database or a server; what it asks has the deadline, where there is one.

    A database without a schema gets one: that, and no other answer, is waited for longer.
    """
    from mlflow import MlflowClient

    if deadline is None:
        return MlflowClient(tracking_uri=uri)
    with deadline.asking():
        more_s = 0.0 if is_server(uri) or has_schema(uri) else SCHEMA_S
    with deadline.asking(more_s):
        return deadline.watched(MlflowClient(tracking_uri=uri))


def open_experiment(client: "MlflowClient", name: str, artifacts: str | None) -> MlflowExperiment:
    """The experiment of that name, made where it is missing.

    Args:
        client: MLflow's public client.
        name: Name of the experiment.
        artifacts: Where a new experiment keeps its artifacts; null: where MLflow decides.

    Raises:
        StoreError: If it was deleted in MLflow, where its name stays taken.
    """
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = client.get_experiment(client.create_experiment(name, artifacts))
    if experiment.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment `{name}` was deleted there. Restore it (`mlflow experiments restore "
            f"-x {experiment.experiment_id}`), or give another name by `mlflow.experiment`."
        )
    return MlflowExperiment(client, experiment.experiment_id, dict(experiment.tags))
