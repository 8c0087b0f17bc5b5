"""Where a table may come from: a frame, a file, or a study of the run store."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from observatory.analysis.study_fits import pooling_caveats
from observatory.analysis.study_outcomes import outcomes_of, replicas_table
from observatory.analysis.tables.files import read_table
from observatory.store.reader import Study

LOGGED = "params.horizon_steps"


@dataclass(frozen=True)
class Source:
    """A table, and what is known of it beside its cells.

    Attributes:
        frame: The table.
        horizon_steps: The horizon that was run; None where nobody knows.
        steps_per_epoch: Optimizer steps per epoch, likewise.
        caveats: What a reader of any fit should know.
    """

    frame: pd.DataFrame
    horizon_steps: int | None = None
    steps_per_epoch: int | None = None
    caveats: Sequence[str] = ()


def open_source(table: pd.DataFrame | Study | Path | str) -> Source:
    """The table in whatever was given.

    Args:
        table: A frame; a study or its folder; a CSV or Parquet file.

    Raises:
        ConfigError: If a file is no table.
        StoreError: If a folder is no study.
    """
    if isinstance(table, pd.DataFrame):
        return Source(table, _logged_horizon(table))
    if isinstance(table, Study):
        return study_source(table)
    path = Path(table)
    return study_source(Study(path)) if path.is_dir() else Source(read_table(path))


def study_source(study: Study) -> Source:
    """The replicas of a study; runs of different horizons are cut at the shortest."""
    manifests = [run.manifest for run in study.runs]
    outcomes = outcomes_of(study)
    epochs = {int(manifest["steps_per_epoch"]) for manifest in manifests}
    return Source(
        replicas_table(outcomes),
        min(int(manifest["horizon_steps"]) for manifest in manifests),
        epochs.pop() if len(epochs) == 1 else None,
        pooling_caveats(outcomes, manifests),
    )


def _logged_horizon(frame: pd.DataFrame) -> int | None:
    """The horizon of a mirrored study: a param that all its runs share."""
    values = set(frame[LOGGED]) if LOGGED in frame.columns else set()
    return int(values.pop()) if len(values) == 1 else None
