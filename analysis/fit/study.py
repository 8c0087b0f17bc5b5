"""All fits of a study: the same outcomes at several horizons, for several events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pandas as pd

from observatory.analysis.fit.settings import STUDY, build
from observatory.analysis.stats.estimate import Estimate, refusal_record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.rules import require_numbers
from observatory.analysis.tables.cells import observations
from observatory.analysis.tables.outcomes import outcomes_of, pooling_caveats, replicas_table
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.files import write_atomically, write_json
from observatory.store.reader import Study


@runtime_checkable
class Fit(Protocol):
    """An estimator of observations of runs."""

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
        ConfigError: If a fit is none of this package's, lacks a number, or has one that breaks its
            rule.
    """
    plan = StudyPlan(**{f.name: settings[STUDY][f.name] for f in fields(StudyPlan)})
    require_numbers({"seed": plan.seed})
    made = {name: build(name, node) for name, node in settings.items() if name != STUDY}
    return plan, {name: fit for name, fit in made.items() if isinstance(fit, Fit)}


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
