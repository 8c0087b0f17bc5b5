"""The runs of an MLflow experiment as a table, anyone's or our own mirror of a study."""

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from observatory.core.errors import ConfigError, StoreError
from observatory.core.extras import require
from observatory.core.secrets import without_secrets
from observatory.mirror.cells import EVENT_RATE
from observatory.mirror.connection import (
    check_reachable,
    database_file,
    default_tracking_uri,
    suppress_output,
)
from observatory.mirror.database import opened_uri
from observatory.mirror.deadline import Deadline
from observatory.mirror.experiment import SCHEMA_S, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

PAGE = 1000
"""Runs that MLflow gives in one call."""
_TIMEOUT_S = 5.0
ENDED = "FINISHED"


def experiment_table(name: str, tracking_uri: str | None) -> pd.DataFrame:
    """One row per finished run: `run_id`, and its `params.*`, `metrics.*` and `tags.*`.

    Metrics are the last values; params that are numbers become numbers. An experiment that mirrors
    a study also has the columns `weight_decay`, `n` and `n_grokked`, a row per cell; its own run,
    which holds the report, is left out. What a reader of a fit should know is in
    `attrs["caveats"]`.

    Args:
        name: Of the experiment.
        tracking_uri: Any database or server of MLflow; None: that of `MLFLOW_TRACKING_URI`, else
            the database in results/.

    Raises:
        ConfigError: If there is no such experiment, it has no finished run, or the URI is of no
            kind that MLflow reads.
        MissingExtraError: If MLflow is not installed.
        StoreError: If nobody answers, or the database does not exist.
    """
    require("mlflow", by=f"`mlflow:{name}`")
    suppress_output(_TIMEOUT_S)
    uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
    uri = uri or default_tracking_uri(Path("results"))
    if uri.startswith("sqlite:") and not database_file(uri).is_file():
        raise StoreError(f"`{database_file(uri)}` does not exist. Give `tracking_uri`.")
    deadline = Deadline(_TIMEOUT_S)
    deadline.run(lambda: check_reachable(uri, _TIMEOUT_S, deadline))
    from mlflow.exceptions import MlflowException

    try:
        frame = deadline.run(lambda: _read(name, uri, deadline))
    except MlflowException as error:
        raise StoreError(without_secrets(f"{uri} cannot be read: {error}")) from error
    if frame.empty:
        raise ConfigError(f"Experiment {name!r} has no finished run. Wait, or name another.")
    table = _numbers(_mirrored(frame))
    table.attrs["caveats"] = frame.attrs["caveats"]
    return table


def _read(name: str, uri: str, deadline: Deadline) -> pd.DataFrame:
    embedded = uri.startswith("sqlite")
    with deadline.asking(SCHEMA_S if embedded else 0.0):  # whose schema may be an older one
        open_uri = opened_uri(uri, _TIMEOUT_S)
    client = open_client(open_uri, None if embedded else deadline)
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        known = sorted(e.name for e in client.search_experiments(max_results=50))
        raise ConfigError(f"`mlflow:` must name one of {known}, got {name!r}.")
    return _runs(client, experiment.experiment_id)


def _runs(client: "MlflowClient", experiment_id: str) -> pd.DataFrame:
    rows: list[dict[str, object]] = []
    skipped, token = 0, None
    while True:
        page = client.search_runs([experiment_id], max_results=PAGE, page_token=token)
        for run in page:
            if run.info.status != ENDED:
                skipped += 1
                continue
            row: dict[str, object] = {"run_id": run.info.run_id}
            row |= {f"params.{key}": value for key, value in run.data.params.items()}
            row |= {f"metrics.{key}": value for key, value in run.data.metrics.items()}
            tags = run.data.tags.items()
            row |= {f"tags.{k}": v for k, v in tags if not k.startswith("mlflow.")}
            rows.append(row)
        token = page.token
        if not token:
            break
    frame = pd.DataFrame(rows)
    frame.attrs["caveats"] = []
    if skipped:
        log.warning("%d runs that have not finished are left out.", skipped)
        frame.attrs["caveats"] = [f"Runs that have not finished are left out ({skipped})."]
    return frame


def _mirrored(frame: pd.DataFrame) -> pd.DataFrame:
    """Counts per cell beside the columns of a mirrored study; any other table as it is."""
    names = ["metrics.cell/weight_decay", "metrics.cell/replicas", "metrics.rate/grokked"]
    if not set(names) <= set(frame.columns):
        return frame
    cells = frame.loc[frame["metrics.cell/replicas"].notna()].reset_index(drop=True)
    decay, n, rate = (cells[name].to_numpy(dtype=np.float64) for name in names)
    if (name := f"metrics.{EVENT_RATE}") in cells:  # older mirrors have it as rate/grokked
        now = cells[name].to_numpy(dtype=np.float64)
        rate = np.where(np.isnan(now), rate, now)
    return cells.assign(weight_decay=decay, n=n, n_grokked=np.rint(rate * n))


def _numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Params that are all numbers, or empty, as numbers."""
    changed: dict[str, pd.Series] = {}
    for name in (column for column in frame.columns if str(column).startswith("params.")):
        text = pd.Series(frame[name])
        read = pd.Series(pd.to_numeric(text, errors="coerce"))
        if bool((read.notna() == text.notna()).all()):
            changed[str(name)] = read
    return frame.assign(**changed)
