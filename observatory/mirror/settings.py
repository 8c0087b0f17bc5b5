"""Where and how MLflow shows a study: the settings of conf/mlflow, checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import yaml

from observatory.core.errors import ConfigError
from observatory.core.secrets import without_secrets
from observatory.core.settings import NotNegative, Positive, Range, checked, declared
from observatory.mirror.cells import Granularity
from observatory.mirror.connection import default_tracking_uri, is_server


@dataclass(frozen=True, kw_only=True)
class MlflowSettings:
    """Where and how a study is shown; the values are in conf/mlflow.

    Attributes:
        tracking_uri: Any MLflow database or server.
        experiment: Name of the MLflow experiment; null: the study's.
        artifacts: Folder or URI of the artifacts of a new experiment; null: MLflow decides.
        granularity: "cell": one MLflow run per cell, its curves are medians over seeds.
            "replica": one per replica, in an experiment of its own.
        points: Log-spaced steps that a curve keeps.
        per_layer: Whether the layers of a quantity that also has a mean over layers are drawn.
        timeout_s: Seconds for which answers of a server are waited for in all, beyond one for each.
        lock_timeout_s: Seconds to wait for another mirror of the same database.
        prefixes: Section of the charts for each probe; others have a section of their own name.
    """

    tracking_uri: str
    experiment: str | None
    artifacts: str | None
    granularity: Granularity
    points: Annotated[int, Range(2, advice="Give the steps per curve.")]
    per_layer: bool
    timeout_s: Positive
    lock_timeout_s: NotNegative
    prefixes: Mapping[str, str]


def mlflow_settings(values: Mapping[str, Any], results: Path) -> MlflowSettings:
    """The settings from plain values, as the group `mlflow` of a configuration holds them.

    Args:
        values: Every attribute of `MlflowSettings`.
        results: Folder of the studies; where `tracking_uri` is null, the database and the artifacts
            lie in it.

    Raises:
        ConfigError: If a value is outside its rule.
    """
    types = declared(MlflowSettings) | {"tracking_uri": str | None}
    values = checked(values, types, "mlflow", complete=True)
    uri = values["tracking_uri"] or default_tracking_uri(results)
    artifacts = values["artifacts"]
    if artifacts is not None and (shown := without_secrets(artifacts)) != artifacts:
        raise ConfigError(
            "`mlflow.artifacts` must hold no password or token: MLflow writes the address into its "
            f"database and shows it, got {shown}. Give them by the environment, such as "
            "AWS_SECRET_ACCESS_KEY, or by a file as ~/.netrc."
        )
    if artifacts is None and not is_server(uri):
        artifacts = (results.resolve() / "mlartifacts").as_uri()
    return MlflowSettings(**{**values, "tracking_uri": uri, "artifacts": artifacts})


def default_settings(results: Path, tracking_uri: str | None = None) -> MlflowSettings:
    """The settings of conf/mlflow/default.yaml.

    Args:
        results: Folder of the studies.
        tracking_uri: A database or server; null: the one of the results folder.
    """
    text = files("observatory.conf").joinpath("mlflow", "default.yaml").read_text(encoding="utf-8")
    return mlflow_settings({**yaml.safe_load(text), "tracking_uri": tracking_uri}, results)
