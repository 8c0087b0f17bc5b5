"""A comparison of forecasts, of studies or a long table: settings, signals and records, checked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build, draw_seed, settings_of
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.forecast.estimators.comparison import MEMORISED, ForecastComparison
from observatory.analysis.forecast.from_runs import from_runs, sources
from observatory.analysis.forecast.from_table import from_frame
from observatory.analysis.forecast.replica_records import SignalTable
from observatory.analysis.page.facts import Facts
from observatory.analysis.stats.estimate import refusal_record
from observatory.analysis.tables.open import Table, open_studies
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Run

FORECAST = "forecast"


def prepare_forecast(tables: Sequence[Table], options: Mapping[str, Any]) -> Task:
    """The comparison, its records and the seed; nothing is computed yet.

    Args:
        tables: Studies or their folders; or one frame, CSV or Parquet file.
        options: As of `ForecastOptions`, checked.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    folder = options.get("config_dir")
    given = {"level": options.get("level"), "n_bootstrap": options.get("n_bootstrap")}
    changes: dict[str, Any] = {name: v for name, v in given.items() if v is not None}
    name, node = settings_of(FORECAST, None, {**changes, **(options.get("settings") or {})}, folder)
    comparison: ForecastComparison = build(name, node, trusted=folder is not None)
    if (named := options.get("signals")) is not None:
        words = named.split(",") if isinstance(named, str) else named
        comparison = replace(comparison, signals=[word.strip() for word in words])
    read = read_signals(tables, comparison, options)
    part = forecast_part(comparison, read, draw_seed(options.get("seed")))
    return Task(FORECAST, [part])


def read_signals(
    tables: Sequence[Table], comparison: ForecastComparison, options: Mapping[str, Any]
) -> SignalTable:
    """Replicas, signals and events of studies or of a long table.

    Args:
        tables: At least one.
        comparison: Which signals, and when alarms begin to count.
        options: As of `ForecastOptions`: columns, event and horizon.

    Raises:
        ConfigError: If a column or an event is missing or breaks its rule.
        StoreError: If a folder is no study.
    """
    if not tables:
        raise ConfigError("`table` must be given: a study, several, or a CSV or Parquet file.")
    opened = open_studies(tables, options.get("tracking_uri"))
    memorised, signals = comparison.start == MEMORISED, comparison.signals
    if isinstance(opened, list):
        runs = [run for study in opened for run in study.runs]
        return from_runs(runs, signals, options, memorised=memorised)
    return from_frame(opened, signals, options, memorised=memorised)


def forecast_part(comparison: ForecastComparison, read: SignalTable, seed: int) -> Part:
    """A comparison as a part of a task.

    Args:
        comparison: The rules, the scores and the tests.
        read: What it is of.
        seed: Of folds, resamples, flips and permutations.
    """
    records = read.records
    horizon, epoch = records.horizon_steps, records.steps_per_epoch
    return Part(
        fit=comparison.fit_name,
        estimator=comparison.estimator,
        event=records.event,
        level=comparison.level,
        n=records.n,
        seed=seed,
        compute=lambda: comparison.estimate(records, seed),
        horizon_steps=horizon,
        horizon_epochs=horizon / epoch if epoch and horizon else None,
        warnings=read.warnings,
        extras={"columns": read.columns},
    )


def fit_group(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """The comparison of the signals that a group's runs record, as `fits.json` holds it.

    Args:
        facts: The group.
        settings: The `fit` node of the configuration; of studies before there were forecasts it
            names none.
    """
    if FORECAST not in settings:
        return []
    comparison: ForecastComparison = build(FORECAST, settings[FORECAST])
    seed, runs = int(settings[STUDY]["seed"]), facts.group.runs
    try:
        comparison = replace(comparison, signals=_recorded(runs, comparison.signals))
        if sum(len(run.replicas()) for run in runs) > len(facts.group.replicas):
            raise ConfigError("A run holds several settings: forecasts take its runs whole.")
        memorised = comparison.start == MEMORISED
        named = {"event": facts.event}
        read = from_runs(runs, comparison.signals, named, memorised=memorised)
        found = comparison.estimate(read.records, seed)
    except (ConfigError, FitRefusedError) as refusal:
        record = refusal_record(
            fit=comparison.fit_name,
            estimator=comparison.estimator,
            event=facts.event,
            horizon_steps=facts.horizon,
            horizon_epochs=facts.horizon / facts.group.steps_per_epoch,
            level=comparison.level,
            n=len(facts.group.replicas),
            seed=seed,
            reason=str(refusal),
        )
        return [record]
    return [replace(found, warnings=[*read.warnings, *found.warnings]).to_json()]


def _recorded(runs: Sequence[Run], signals: Sequence[str] | None) -> list[str] | None:
    """Those of a family that every run records; raises `ConfigError` where none is."""
    if signals is None:
        return None
    common = set.intersection(*({source.name for source in sources(run)} for run in runs))
    found = [name for name in signals if name.partition("@")[0] in common]
    if not found:
        raise ConfigError("No probe was on that records a signal of the family.")
    return found
