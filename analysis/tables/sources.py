"""A table from anywhere, opened and checked: a frame, a file, or a study of the run store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, cast

import numpy as np
import pandas as pd

from observatory.analysis.fit.settings import shared_setting
from observatory.analysis.fit.study import pooling_caveats
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.columns import Columns
from observatory.analysis.tables.files import read_table
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.outcomes import outcomes_of, replicas_table
from observatory.analysis.tables.reading import cut
from observatory.analysis.tables.replicas import is_ours
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

Table = pd.DataFrame | Study | Path | str
LOGGED = "params.horizon_steps"


class Options(TypedDict, total=False):
    """What every fit of a table takes; None, or left out: as the table or conf/fit has it.

    Attributes:
        x: Column of the control; weight_decay where it is not named.
        success: Column that says whether a run grokked.
        time: Column of times.
        t_lo: Column of the last look before.
        watched: Column of steps watched.
        group: Column that says what rows share, such as a seed: the unit of resampling.
        weights: Column that says how many runs a row stands for.
        outcome: Column that says how a run ended.
        n: Column of runs, in a table of counts.
        n_grokked: Column of grokked runs, likewise.
        event: What grokked means; an event preset in a table of replicas.
        horizon_steps: Where records are cut; or the horizon that counts belong to.
        steps_per_epoch: To tell the horizon in epochs too.
        critical: A critical point, for fits that hold one.
        level: Coverage of the intervals.
        n_bootstrap: Resamples.
        interval: Kind of interval, where the estimator offers several.
        smoothing: s of (k + s) / (n + 2 s), where the estimator has it.
        window_max: Largest control that enters the fit; infinite: all.
        seed: Seed of the resampling.
        settings: Further settings of the estimator by name.
    """

    x: str | None
    success: str | None
    time: str | None
    t_lo: str | None
    watched: str | None
    group: str | None
    weights: str | None
    outcome: str | None
    n: str | None
    n_grokked: str | None
    event: str | None
    horizon_steps: int | None
    steps_per_epoch: int | None
    critical: float | None
    level: float | None
    n_bootstrap: int | None
    interval: str | None
    smoothing: float | None
    window_max: float | None
    seed: int | None
    settings: Mapping[str, Any] | None


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
        table: A frame, its caveats in `attrs["caveats"]`; a study or its folder; a CSV or Parquet
            file.

    Raises:
        ConfigError: If a file is no table.
        StoreError: If a folder is no study.
    """
    if isinstance(table, pd.DataFrame):
        caveats = tuple(str(caveat) for caveat in table.attrs.get("caveats", ()))
        return Source(table, _logged_horizon(table), caveats=caveats)
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


@dataclass(frozen=True)
class Opened:
    """A table as fits take it, not cut at its horizon yet.

    Attributes:
        observations: Its rows.
        horizon_steps: Where they will be cut; None where nobody knows.
        run_steps: The horizon that was run, likewise.
        window_max: Largest control that enters fits, unless they say otherwise.
        warnings: What a reader of any fit should know.
        columns: Which column was read as what.
    """

    observations: Observations
    horizon_steps: int | None
    run_steps: int | None
    window_max: float
    warnings: Sequence[str]
    columns: str

    def cut(self) -> tuple[Observations, list[str]]:
        """The records at the horizon, and what is to be said of them; raises as `cut` does."""
        return cut(self.observations, self.horizon_steps, self.run_steps)


def open_table(table: Table, options: Options, *, timed: bool) -> Opened:
    """Read and check a table.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder.
        options: Names of columns, event and horizon, see `Options`.
        timed: Whether the fit needs times.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
    """
    given = cast(dict[str, Any], {name: v for name, v in options.items() if v is not None})
    if unknown := sorted(set(given) - set(Options.__annotations__)):
        raise ConfigError(f"There is no option {unknown}, only {sorted(Options.__annotations__)}.")
    source = open_source(table)
    run, horizon = source.horizon_steps, given.get("horizon_steps", source.horizon_steps)
    if run is not None and horizon is not None and horizon > run:
        raise ConfigError(
            f"`horizon_steps` must be at most {run}, the horizon that was run, got {horizon}. A "
            "record cannot show what was not run."
        )
    columns = Columns(**{field.name: given.get(field.name) for field in fields(Columns)})
    read = observe(source.frame, columns, given.get("event"), horizon, timed=timed)
    data = replace(
        read.observations,
        steps_per_epoch=given.get("steps_per_epoch", source.steps_per_epoch),
        critical=given.get("critical"),
    )
    ours = is_ours([str(column) for column in source.frame.columns])
    ours = ours and given.get("x", "weight_decay") == "weight_decay"
    return Opened(
        data,
        horizon,
        run,
        given.get("window_max", shared_setting("window_max") if ours else np.inf),
        [*source.caveats, *read.warnings],
        read.columns,
    )
