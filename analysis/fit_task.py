"""A fit and the table that it is for, read and checked: what every fit of a table takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, TypedDict, Unpack, final

import numpy as np
import pandas as pd

from observatory.analysis.fit_settings import build, changed, settings_of, shared_setting
from observatory.analysis.fits.estimate import refusal_record
from observatory.analysis.fits.observations import Observations
from observatory.analysis.fitted import Fitted, flat_record
from observatory.analysis.sources import open_source
from observatory.analysis.study_fits import Fit
from observatory.analysis.tables.columns import Columns
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.reading import cut
from observatory.analysis.tables.replicas import is_ours
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Study

Table = pd.DataFrame | Study | Path | str
TIMED = ("times", "horizon", "survival")
"""Fits that need times."""
MAX_VALUES = 2000
"""Values of the control that a boundary may have."""
MAX_DRAWN = 150_000_000
"""Rows of all resamples together: 2.5 GB."""
NUMBERS = ("level", "n_bootstrap", "interval", "smoothing", "window_max")
"""Settings of a fit that have an option of their own."""


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


@final
@dataclass(frozen=True)
class Task:
    """A fit and the table that it is for, both checked: nothing is computed yet.

    Attributes:
        kind: What is fitted, such as "boundary".
        fit: The component.
        observations: Of the table, not cut yet.
        horizon_steps: Where they will be cut.
        run_steps: The horizon that was run; None where nobody knows.
        warnings: What a reader should know of the table.
        columns: Which column was read as what.
        seed: Of the resampling.
        holds_boundary: Whether it holds the critical point of a boundary fit.
    """

    kind: str
    fit: Fit
    observations: Observations
    horizon_steps: int | None
    run_steps: int | None
    warnings: Sequence[str]
    columns: str
    seed: int
    holds_boundary: bool

    def run(self) -> Fitted:
        """The fit.

        Raises:
            FitRefusedError: If the table cannot give one.
        """
        data, notes = cut(self.observations, self.horizon_steps, self.run_steps)
        if data.critical is None and self.holds_boundary:
            data = replace(data, critical=boundary_critical(data, self.seed))
        estimate = self.fit.fit(data, self.seed)
        notes += left_out(data, self.fit.window_max)
        estimate = replace(
            estimate,
            warnings=[*self.warnings, *notes, *estimate.warnings],
            extras={**estimate.extras, "columns": self.columns},
        )
        return Fitted(self.kind, estimate, data)

    def refused(self, reason: str) -> dict[str, Any]:
        """The record of this fit where it refused."""
        data = self.observations
        record = refusal_record(
            fit=self.fit.fit_name,
            estimator=self.fit.estimator,
            event=data.event,
            horizon_steps=self.horizon_steps,
            horizon_epochs=replace(data, horizon_steps=self.horizon_steps).horizon_epochs,
            level=self.fit.level,
            n=data.within(self.fit.window_max).n,
            seed=self.seed,
            reason=reason,
        )
        return flat_record({**record, "warnings": list(self.warnings)})


def left_out(data: Observations, window_max: float | None) -> list[str]:
    """Warnings that count the runs that lie on no log axis, or outside the window."""
    end = np.inf if window_max is None else window_max
    cases = (
        (data.weight_decay == 0, "0, which no log axis shows,"),
        (data.weight_decay > end, f"above {end:g}"),
    )
    return [
        f"Runs with {data.control} {where} are left out ({data.take(rows).n})."
        for rows, where in cases
        if rows.any()
    ]


def require_size(kind: str, data: Observations, n_bootstrap: int) -> None:
    """Refuse a table that would take more memory than a computer has.

    Raises:
        ConfigError: If a boundary has too many values of the control, or resampled times too many
            rows.
    """
    n_values, n_rows = np.unique(data.weight_decay).size, data.time.size
    if kind == "boundary" and n_values > MAX_VALUES:
        raise ConfigError(
            f"`{data.control}` must have at most {MAX_VALUES} values, got {n_values}: a boundary "
            "is fitted to the rate at each. Round it, so that runs share values."
        )
    if kind in TIMED and n_rows * n_bootstrap > MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` must be at most {MAX_DRAWN // n_rows} for {n_rows} rows, got "
            f"{n_bootstrap}: every resample holds them all. Lower it, or thin the table."
        )


def boundary_critical(data: Observations, seed: int) -> float | None:
    """The critical point of the first boundary fit that does not refuse, as in a study."""
    for name in shared_setting("critical_from"):
        fit = build(name, settings_of("boundary", name)[1])
        try:
            return fit.fit(data, seed).params["critical"].value
        except FitRefusedError:
            continue
    return None


def prepare(kind: str, table: Table, estimator: str | None, **options: Unpack[Options]) -> Task:
    """Read and check a table and the settings of a fit.

    Args:
        kind: "boundary", "times", "survival" or "horizon".
        table: A frame, a CSV or Parquet file, a study or its folder.
        estimator: Name of a file of conf/fit without `kind`; None: the usual one.
        options: See `Options`.

    Raises:
        ConfigError: If the table or a setting breaks a rule, or an option is unknown.
        StoreError: If a folder is no study.
    """
    given: dict[str, Any] = {name: v for name, v in options.items() if v is not None}
    if unknown := sorted(set(given) - set(Options.__annotations__)):
        raise ConfigError(f"There is no option {unknown}, only {sorted(Options.__annotations__)}.")
    name, node = settings_of(kind, estimator)
    source = open_source(table)
    ours = is_ours([str(column) for column in source.frame.columns])
    if "window_max" in node and not (ours and given.get("x", "weight_decay") == "weight_decay"):
        node["window_max"] = np.inf
    changes = {key: given[key] for key in NUMBERS if key in given}
    node = changed(name, node, {**changes, **(options.get("settings") or {})})
    fit = build(name, node)
    columns = Columns(**{f.name: given.get(f.name) for f in fields(Columns)})
    horizon = options.get("horizon_steps")
    horizon = source.horizon_steps if horizon is None else horizon
    if source.horizon_steps is not None and horizon is not None and horizon > source.horizon_steps:
        raise ConfigError(
            f"`horizon_steps` must be at most {source.horizon_steps}, the horizon that was run, "
            f"got {horizon}. A record cannot show what was not run."
        )
    read = observe(source.frame, columns, options.get("event"), horizon, timed=kind in TIMED)
    data = replace(
        read.observations,
        steps_per_epoch=options.get("steps_per_epoch") or source.steps_per_epoch,
        critical=options.get("critical"),
    )
    require_size(kind, data, node.get("n_bootstrap") or 0)
    seed = options.get("seed")
    return Task(
        kind,
        fit,
        data,
        horizon,
        source.horizon_steps,
        [*source.caveats, *read.warnings],
        read.columns,
        shared_setting("seed") if seed is None else seed,
        node.get("critical") == "boundary",
    )
