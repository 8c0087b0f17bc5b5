"""Fits of runs: a table as observations, an estimator of `conf/fit`, and both as a task."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from observatory.analysis.fit.contract import EveryControl, Fit
from observatory.analysis.fit.lead import LEAD
from observatory.analysis.fit.settings import build, draw_seed, settings_of, shared_setting
from observatory.analysis.fit.source import Source, groups_of, replica_source
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.numbers import checked_numbers
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.observe import observe
from observatory.analysis.tables.open import Table
from observatory.analysis.tables.reading import Columns, cut
from observatory.analysis.tables.replicas import is_ours
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.core.settings import checked

_MAX_VALUES = 2000
"""Values of the control that a boundary may have."""
MAX_DRAWN = 150_000_000
"""Rows of all resamples together: 2.5 GB."""
SETTINGS = ("level", "n_bootstrap", "interval", "smoothing", "window_max")
"""Settings of an estimator that have an option of their own."""
ALIASES = {"x": "control"}
"""Options by the name that they had before."""


@dataclass(frozen=True)
class Opened:
    """A table as fits take it, not cut at its horizon yet."""

    observations: Observations  # its rows
    horizon_steps: int | None  # where they will be cut; None where nobody knows
    run_steps: int | None  # the horizon that was run, likewise
    window_max: float  # largest control that enters fits, unless they say otherwise
    warnings: Sequence[str]  # what a reader of any fit should know
    columns: str  # which column was read as what

    def cut(self) -> tuple[Observations, list[str]]:
        """The records at the horizon, and what is to be said of them; raises as `cut` does."""
        return cut(self.observations, self.horizon_steps, self.run_steps)


def open_runs(table: Table | Source, options: Mapping[str, Any], *, timed: bool) -> Opened:
    """Read and check a table.

    Args:
        table: A frame, a CSV or Parquet file, a study or its folder, "mlflow:EXPERIMENT".
        options: Names of columns, event and horizon, as of `RunOptions`.
        timed: Whether the fit needs times.

    Raises:
        ConfigError: If the table or an option breaks a rule.
        StoreError: If a folder is no study.
    """
    given = {name: v for name, v in options.items() if v is not None}
    source = replica_source(table, given)
    run, horizon = source.horizon_steps, given.get("horizon_steps", source.horizon_steps)
    if run == 0:
        raise ConfigError("`TABLE` must hold runs that were trained, and these end at step 0.")
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
    ours = ours and given.get("control", "weight_decay") == "weight_decay"
    return Opened(
        data,
        horizon,
        run,
        given.get("window_max", shared_setting("window_max") if ours else np.inf),
        [*source.pooled(vars(columns).values()), *source.caveats, *read.warnings],
        read.columns,
    )


def known_options(options: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Options by their present names, their numbers checked.

    Raises:
        ConfigError: If there is no such option, one is given by both its names, or a number breaks
            its rule.
    """
    named = {ALIASES.get(name, name): value for name, value in options.items()}
    if twice := [old for old, name in ALIASES.items() if {old, name} <= set(options)]:
        raise ConfigError(f"`{ALIASES[twice[0]]}` and `{twice[0]}` are one option: give one.")
    checked(named, dict.fromkeys(kind.__annotations__, Any), owner="this fit")
    return checked_numbers(named, given=True)


def left_out(data: Observations, window_max: float | None, *, axis: bool = True) -> list[str]:
    """Warnings that count the runs that lie outside the window, or on no log axis where it has one.

    Example:
        >>> from observatory.analysis.stats.observations import from_counts
        >>> left_out(from_counts([0.0, 1.0, 8.0], [4, 8, 8], [0, 4, 8], "first99", 2500), 1.0)[1]
        'Runs with weight decay above 1 are left out (8).'
    """
    end = np.inf if window_max is None else window_max
    cases = (
        (axis & (data.weight_decay == 0), "0, which no log axis shows,"),
        (data.weight_decay > end, f"above {end:g}"),
    )
    return [
        f"Runs with {data.control} {where} are left out ({data.take(rows).n})."
        for rows, where in cases
        if rows.any()
    ]


def fitted(fit: Fit, data: Observations, seed: int) -> Estimate:
    """What a fit finds, with what it leaves out counted by its reason; also where it refuses."""
    said = left_out(data, fit.window_max, axis=not isinstance(fit, EveryControl))
    try:
        found = fit.fit(data, seed)
    except FitRefusedError as refusal:
        raise FitRefusedError(" ".join([str(refusal), *said])) from refusal
    return replace(found, warnings=[*said, *found.warnings])


def require_size(question: str, data: Observations, n_bootstrap: int, *, timed: bool) -> None:
    """Refuse a table that would take more memory than a computer has.

    Raises:
        ConfigError: If a boundary has too many values of the control, or resampled times too many
            rows.
    """
    n_values, n_rows = np.unique(data.weight_decay).size, data.time.size
    if question == "boundary" and n_values > _MAX_VALUES:
        raise ConfigError(
            f"`{data.control}` must have at most {_MAX_VALUES} values, got {n_values}: a boundary "
            "is fitted to the rate at each. Round it, so that runs share values."
        )
    if timed and n_rows * n_bootstrap > MAX_DRAWN:
        raise ConfigError(
            f"`n_bootstrap` must be at most {MAX_DRAWN // n_rows} for {n_rows} rows, got "
            f"{n_bootstrap}: every resample holds them all. Lower it, or thin the table."
        )


def _boundary_critical(
    data: Observations, window_max: float | None, seed: int
) -> tuple[float | None, str | None]:
    """The critical point of the lead, as in a study that has this horizon alone, and its name."""
    for name in shared_setting(LEAD):
        fit = build(name, settings_of("boundary", name, {"window_max": window_max})[1])
        try:
            return fit.fit(data, seed).params["critical"].value, name
        except FitRefusedError:
            continue
    return None, None


def prepare(
    question: str, table: Table | Source, estimator: str, options: Mapping[str, Any], *, timed: bool
) -> Task:
    """A fit of `conf/fit` on a table of runs, both checked.

    Args:
        question: Its name.
        table: See `open_runs`.
        estimator: Name of a file of conf/fit, with or without the question.
        options: As of `FitOptions`, checked by `known_options`.
        timed: Whether the fit needs times.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    folder = options.get("config_dir")
    given = {key: options[key] for key in SETTINGS if options.get(key) is not None}
    given |= options.get("settings") or {}
    name, node = settings_of(question, estimator, given, folder)
    _require_held(name, node, options.get("critical"))
    seed = draw_seed(options.get("seed"))
    by = options.get("by")
    if by is not None:
        alone = {key: value for key, value in options.items() if key != "by"}
        parts = groups_of(replica_source(table, options), by)
        made = {
            k: prepare(question, part, estimator, alone, timed=timed) for k, part in parts.items()
        }
        fits = [replace(task.parts[0], group={by: label}) for label, task in made.items()]
        return Task(question, fits, {label: task.data for label, task in made.items()})
    opened = open_runs(table, options, timed=timed)
    if "window_max" not in given and node.get("window_max") is not None:
        node["window_max"] = opened.window_max
    fit = build(name, node, trusted=folder is not None)
    if not isinstance(fit, Fit):
        needed = ", ".join(Fit.__annotations__)
        raise ConfigError(f"`fit.{name}` must have `fit` and the attributes {needed}.")
    require_size(question, opened.observations, node.get("n_bootstrap") or 0, timed=timed)

    def compute() -> Estimate:
        data, notes = opened.cut()
        if data.critical is None and node.get("critical") == "boundary":
            critical, lead = _boundary_critical(data, fit.window_max, seed)
            data = replace(data, critical=critical, critical_by=lead)
        found = fitted(fit, data, seed)
        return replace(found, warnings=[*notes, *found.warnings])

    part = run_part(fit.fit_name, fit.estimator, fit.level, seed, opened, fit.window_max, compute)
    return Task(question, [part], opened)


def run_part(
    fit: str,
    estimator: str,
    level: float,
    seed: int,
    opened: Opened,
    window_max: float | None,
    compute: Callable[[], Estimate],
) -> Part:
    """A fit of runs as a part of a task."""
    data = replace(opened.observations, horizon_steps=opened.horizon_steps)
    return Part(
        fit=fit,
        estimator=estimator,
        event=data.event,
        level=level,
        n=data.within(window_max).n,
        seed=seed,
        compute=compute,
        horizon_steps=data.horizon_steps,
        horizon_epochs=data.horizon_epochs,
        warnings=opened.warnings,
        extras={"columns": opened.columns, "control": data.control},
    )


def _require_held(name: str, node: Mapping[str, Any], critical: Any) -> None:
    """Refuse a critical point that the fit would not hold, or that is none."""
    if critical is None:
        return
    if node.get("critical") != "boundary":
        raise ConfigError(
            f"`critical` is a point to hold, and {name} holds none: leave it out, or take `fit "
            "times` with the estimator boundary."
        )
    if isinstance(critical, bool) or not isinstance(critical, int | float) or not critical >= 0:
        raise ConfigError(f"`critical` must be a number of at least 0, got {critical!r}.")
