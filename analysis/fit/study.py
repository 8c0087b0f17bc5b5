"""All fits of a study: the same outcomes at several horizons, for several events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.rules import require_numbers
from observatory.analysis.stats.wilson import wilson_interval
from observatory.analysis.tables.outcomes import censored, numbers, outcomes_of, replicas_table
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.files import write_atomically, write_json
from observatory.store.reader import Study

FITS = "observatory.analysis"
QUARTILES = {"t_q25": 0.25, "t_median": 0.5, "t_q75": 0.75}
OUTCOMES = ("diverged", "collapsed", "lost", "grokked", "memorised", "none")
NOT_POOLED = ("task", "model", "loss", "optimizer", "train_fraction", "batch_size")
"""Parts of a configuration that replicas of one boundary should share."""


@runtime_checkable
class Fit(Protocol):
    """What every component of `analysis/fits` offers."""

    fit_name: str
    estimator: str
    level: float
    window_max: float

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """The estimate, or `FitRefusedError` where the data cannot give one."""
        ...


@dataclass(frozen=True)
class StudyPlan:
    """Which events and horizons are fitted.

    Attributes:
        events: Names of event presets, the main one first.
        horizon_fractions: Horizons as shares of the one that was run.
        horizon_steps: Horizons in steps, instead of the fractions, or None.
        critical_from: Names of the boundary fits whose critical point the times may take, the first
            that is not refused counts.
        longest_only: Names of fits made for the main event at the longest horizon only.
        seed: Seed of every resampling: replicas are drawn jointly over horizons.
    """

    events: Sequence[str]
    horizon_fractions: Sequence[float]
    horizon_steps: Sequence[int] | None
    critical_from: Sequence[str]
    longest_only: Sequence[str]
    seed: int


def read_settings(settings: Mapping[str, Any]) -> tuple[StudyPlan, dict[str, Fit]]:
    """The plan and the fits of a configuration's `fit` node, given as plain values.

    Raises:
        ConfigError: If a fit is not one of `analysis/fits`, lacks a number, or has one that breaks
            its rule.
    """
    plan = StudyPlan(**{f.name: settings["study"][f.name] for f in fields(StudyPlan)})
    require_numbers({"seed": plan.seed})
    fits: dict[str, Fit] = {}
    for name, node in settings.items():
        if name == "study":
            continue
        numbers = dict(node)
        try:
            require_numbers(numbers)
        except ConfigError as error:
            raise ConfigError(f"`fit.{name}`: {error}") from error
        module, _, class_name = str(numbers.pop("_target_")).rpartition(".")
        if not module.startswith(f"{FITS}."):
            raise ConfigError(f"`fit.{name}._target_` must name a class in {FITS}, got {module}.")
        try:
            fits[name] = getattr(import_module(module), class_name)(**numbers)
        except (ImportError, AttributeError, TypeError) as error:
            raise ConfigError(f"`fit.{name}` cannot be built: {error}") from error
    return plan, fits


def cell_table(outcomes: pd.DataFrame, event: str, horizon: int, level: float) -> pd.DataFrame:
    """Counts, rates and times per weight decay.

    Args:
        outcomes: Replicas joined with their outcomes.
        event: Name of an event preset.
        horizon: Steps after which records are cut; at or beyond the one run, nothing is.
        level: Coverage of the Wilson intervals.

    Returns:
        One row per weight decay: `n` finished replicas, `n_event` of them that grokked, `rate`,
        `wilson_low`, `wilson_high`; how many have each label of the whole record (`diverged` to
        `none`), and `unfinished`; `t_q25`, `t_median`, `t_q75`, the steps by which that share of
        the n replicas had grokked (NaN where it never did), and `t_median_grokked`, the median
        over those that did. Without a finished replica the rates are NaN.

    Raises:
        ConfigError: If the outcomes hold no such event.
        FitRefusedError: If an event without a time is to be cut at the horizon.
    """
    data = censored(outcomes, event, horizon)
    everyone = numbers(outcomes, "weight_decay")
    table: list[dict[str, float | int]] = []
    for weight_decay in np.unique(everyone):
        at = data.weight_decay == weight_decay
        n, n_event = int(at.sum()), int(data.grokked[at].sum())
        reached = data.t_hi[at][data.grokked[at]]
        low, high = wilson_interval([n_event], [n], level) if n else ([np.nan], [np.nan])
        row: dict[str, float | int] = {
            "weight_decay": float(weight_decay),
            "n": n,
            "n_event": n_event,
            "rate": n_event / n if n else np.nan,
            "wilson_low": float(low[0]),
            "wilson_high": float(high[0]),
        }
        row |= {outcome: int((data.outcome[at] == outcome).sum()) for outcome in OUTCOMES}
        row["unfinished"] = int((everyone == weight_decay).sum()) - n
        row |= {name: waiting_time(reached, n, share) for name, share in QUARTILES.items()}
        row["t_median_grokked"] = float(np.median(reached)) if n_event else np.nan
        table.append(row)
    return pd.DataFrame(table)


def waiting_time(reached: NDArray[np.float64], n: int, share: float) -> float:
    """The time by which a share of n replicas had grokked, NaN where it never did.

    With all others censored at one horizon, or competing, it is the quantile of the cumulative
    incidence. A replica that grokked at an unknown time makes it NaN.

    Example:
        >>> waiting_time(np.array([100.0, 300.0]), 4, 0.5)
        300.0
    """
    needed = max(int(np.ceil(share * n - 1e-9)), 1)
    return float(np.sort(reached)[needed - 1]) if reached.size >= needed else np.nan


def fit_outcomes(
    outcomes: pd.DataFrame,
    horizon_steps: int,
    steps_per_epoch: int | None,
    settings: Mapping[str, Any],
    caveats: Sequence[str],
) -> list[dict[str, Any]]:
    """Every fit of the settings, for every event and horizon.

    Args:
        outcomes: Replicas that may be pooled, joined with their outcomes.
        horizon_steps: Steps after which replicas were retired.
        steps_per_epoch: To give horizons in epochs too.
        settings: The `fit` node of a configuration, plain values.
        caveats: Warnings that every record carries.

    Returns:
        Records as `fits.json` holds them, in the order of the settings; a fit that refuses gives a
        record with the reason.

    Raises:
        ConfigError: If the settings are wrong, or name an unknown event or a horizon that is longer
            than the one run.
        FitRefusedError: If an event without a time is to be cut at a horizon.
    """
    plan, fits = read_settings(settings)
    unfinished = int(pd.isna(outcomes["outcome"]).to_numpy().sum())
    notes = [*caveats]
    if unfinished:
        notes.append(f"Replicas that have not finished are left out ({unfinished}).")
    first = [name for name in plan.critical_from if name in fits]
    steps = horizons(plan, horizon_steps)
    records: list[dict[str, Any]] = []
    for event in plan.events:
        for horizon in steps:
            main = event == plan.events[0] and horizon == steps[0]
            table = observations(outcomes, event, horizon, steps_per_epoch)
            made: dict[str, dict[str, Any]] = {}
            for name in [*first, *(name for name in fits if name not in first)]:
                if name in plan.longest_only and not main:
                    continue
                given = (critical_of(made[n]) for n in first if n in made)
                critical = next((value for value in given if value is not None), None)
                made[name] = attempt(fits[name], replace(table, critical=critical), plan.seed)
            ordered = [made[name] for name in fits if name in made]
            records += [{**r, "warnings": [*notes, *r["warnings"]]} for r in ordered]
    return records


def observations(
    outcomes: pd.DataFrame, event: str, horizon: int, steps_per_epoch: int | None
) -> Observations:
    """The table that fits take, from outcomes; raises as `censored` does."""
    data = censored(outcomes, event, horizon)
    return Observations(
        data.weight_decay,
        data.grokked,
        data.t_hi,
        event,
        horizon,
        steps_per_epoch,
        time_lo=data.t_lo,
        watched=data.watched,
        seed=data.seed,
        competing=data.failed,
        failed_at=data.failed_at,
    )


def attempt(fit: Fit, observations: Observations, seed: int) -> dict[str, Any]:
    """The record of one fit, refused or not."""
    try:
        return fit.fit(observations, seed).to_json()
    except FitRefusedError as refusal:
        return refusal_record(
            fit=fit.fit_name,
            estimator=fit.estimator,
            event=observations.event,
            horizon_steps=observations.horizon_steps,
            horizon_epochs=observations.horizon_epochs,
            level=fit.level,
            n=observations.within(fit.window_max).n,
            seed=seed,
            reason=str(refusal),
        )


def critical_of(record: Mapping[str, Any]) -> float | None:
    """The critical weight decay of a record, or None where it refused."""
    parameter = record["params"].get("critical")
    return None if parameter is None else parameter["value"]


def horizons(plan: StudyPlan, longest: int) -> list[int]:
    """The horizons of a plan in steps, longest first.

    Raises:
        ConfigError: If one is not in (0, longest]: a record cannot show what was not run.
    """
    asked = plan.horizon_steps
    steps = asked if asked is not None else [round(f * longest) for f in plan.horizon_fractions]
    if wrong := [s for s in steps if not 0 < s <= longest]:
        raise ConfigError(
            f"`horizon_steps` must be in (0, {longest}], the horizon that was run, got {wrong}."
        )
    return sorted(set(steps), reverse=True)


def fit_study(study: Study, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every fit of a study; see `fit_outcomes`.

    Runs with different horizons are cut at the shortest. Replicas that differ in more than weight
    decay and seed are pooled with a warning.
    """
    manifests = [run.manifest for run in study.runs]
    horizon_steps = min(int(m["horizon_steps"]) for m in manifests)
    epochs = {int(m["steps_per_epoch"]) for m in manifests}
    outcomes = outcomes_of(study)
    return fit_outcomes(
        outcomes,
        horizon_steps,
        epochs.pop() if len(epochs) == 1 else None,
        settings,
        pooling_caveats(outcomes, manifests),
    )


def pooling_caveats(outcomes: pd.DataFrame, manifests: Sequence[Mapping[str, Any]]) -> list[str]:
    """What sets the replicas apart beside weight decay and seed."""
    swept = ["lr"] if len(np.unique(numbers(outcomes, "lr"))) > 1 else []
    configs = [m["config"] for m in manifests]
    parts = [p for p in NOT_POOLED if len({repr(c.get(p)) for c in configs}) > 1]
    if len({m["horizon_steps"] for m in manifests}) > 1:
        parts.append("horizon_steps (cut at the shortest)")
    if not swept and not parts:
        return []
    return [f"Replicas that differ in {', '.join([*swept, *parts])} are pooled."]


def write_fits(study_folder: Path, records: Sequence[Mapping[str, Any]]) -> Path:
    """Write `fits.json` atomically; raises as `write_json` does."""
    path = Path(study_folder) / "fits.json"
    write_json(path, {"schema_version": 1, "fits": list(records)})
    return path


def write_replicas_csv(study: Study) -> Path:
    """Write `replicas.csv` atomically; raises as `write_atomically` does."""
    path = study.folder / "replicas.csv"
    table = replicas_table(outcomes_of(study))
    write_atomically(path, lambda temporary: table.to_csv(temporary, index=False))
    return path
