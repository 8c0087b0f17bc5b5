"""Forecasts and published lead times as tasks: settings, signals and records, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import STUDY, build, built, draw_seed
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.forecast.estimators.comparison import ForecastComparison
from observatory.analysis.forecast.estimators.derived import base_of
from observatory.analysis.forecast.estimators.lead_time import LeadTimes
from observatory.analysis.forecast.estimators.records import MEMORISED, Array, ForecastSettings
from observatory.analysis.forecast.from_runs import from_runs, sources
from observatory.analysis.forecast.from_table import from_frame
from observatory.analysis.forecast.replica_records import SignalTable
from observatory.analysis.page.facts import Facts
from observatory.analysis.stats.estimate import about, refusal_record
from observatory.analysis.tables.columns import Role, columns_text, resolve
from observatory.analysis.tables.open import Table, caveats_of, open_studies, open_table
from observatory.analysis.tables.values import numbers, refuse
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Run, Study

_FORECAST = "forecast"


def prepare_forecast(tables: Sequence[Table], options: Mapping[str, Any]) -> Task:
    """The comparison, its records and the seed; nothing is computed yet.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
        StoreError: If a folder is no study.
    """
    comparison: ForecastComparison = built(_FORECAST, None, options)[0]
    if (named := options.get("signals")) is not None:
        words = named.split(",") if isinstance(named, str) else named
        comparison = replace(comparison, signals=[word.strip() for word in words])
    read, seed = read_signals(tables, comparison, options), draw_seed(options.get("seed"))
    records = read.records
    part = Part(
        **about(comparison, seed),
        event=records.event,
        n=records.n,
        compute=lambda: comparison.estimate(records, seed),
        horizon_steps=records.horizon_steps,
        horizon_epochs=records.horizon_epochs,
        warnings=read.warnings,
        extras={"columns": read.columns},
    )
    return Task(_FORECAST, [part])


def read_signals(
    tables: Sequence[Table], settings: ForecastSettings, options: Mapping[str, Any]
) -> SignalTable:
    """Replicas, signals and events of studies or of a long table; raises as `prepare_forecast`."""
    if not tables:
        raise ConfigError("`table` must be given: a study, several, or a CSV or Parquet file.")
    opened = open_studies(tables, options.get("tracking_uri"), options.values())
    memorised, signals = settings.start == MEMORISED, settings.signals
    if isinstance(opened, list):
        runs = [run for study in opened for run in study.runs]
        return from_runs(runs, signals, options, memorised=memorised)
    read = from_frame(opened, signals, options, memorised=memorised)
    return replace(read, warnings=[*caveats_of(opened), *read.warnings])


def fit_group(facts: Facts, settings: Mapping[str, Any]) -> list[Record]:
    """The comparison of the signals that a group's runs record, as `fits.json` holds it."""
    if _FORECAST not in settings:
        return []
    comparison: ForecastComparison = build(_FORECAST, settings[_FORECAST])
    seed, runs, per = int(settings[STUDY]["seed"]), facts.group.runs, facts.group.steps_per_epoch
    try:
        comparison = replace(comparison, signals=_recorded(runs, comparison.signals))
        if sum(len(run.replicas()) for run in runs) > len(facts.group.replicas):
            raise ConfigError("A run holds several settings: forecasts take its runs whole.")
        event, memorised = {"event": facts.event}, comparison.start == MEMORISED
        read = from_runs(runs, comparison.signals, event, memorised=memorised)
        found = comparison.estimate(read.records, seed)
    except (ConfigError, FitRefusedError) as refusal:
        record = refusal_record(
            **about(comparison, seed),
            event=facts.event,
            horizon_steps=facts.horizon,
            horizon_epochs=facts.horizon / per if per else None,
            n=len(facts.group.replicas),
            reason=str(refusal),
        )
        return [record]
    return [replace(found, warnings=[*read.warnings, *found.warnings]).to_json()]


def _recorded(runs: Sequence[Run], signals: Sequence[str] | None) -> list[str] | None:
    """Those of a family that every run records; raises `ConfigError` where none is."""
    if signals is None:
        return None
    common = set.intersection(*({source.name for source in sources(run)} for run in runs))
    found = [name for name in signals if base_of(name).partition("@")[0] in common]
    if not found:
        raise ConfigError("No probe was on that records a signal of the family.")
    return found


_EVENTS = Role(usual=("event_step", "grok_step", "t_grok", "t_hi", "time"), required=True)


def prepare_leads(table: Table, options: Mapping[str, Any]) -> Task:
    """The regression of published onsets or leads on their events; a row of the table is a run."""
    chosen = {**options, "n_bootstrap": None}  # a setting of forecasts alone
    leads: LeadTimes = built("lead_times", None, chosen)[0]
    opened = open_table(table, options.get("tracking_uri"), options.values())
    if isinstance(opened, Study):
        raise ConfigError("Leads are read from a table, got a study. Give a CSV or Parquet file.")
    onset, event, columns = _read_leads(opened, options)
    seed = draw_seed(options.get("seed"))
    part = Part(
        **about(leads, seed),
        event=columns,
        n=int(onset.size),
        compute=lambda: leads.estimate(onset, event, columns, seed),
        warnings=caveats_of(opened),
    )
    return Task("lead_times", [part])


def _read_leads(frame: pd.DataFrame, options: Mapping[str, Any]) -> tuple[Array, Array, str]:
    """Onsets and events of the rows that have both, and which columns they are."""
    onset, lead = options.get("onset"), options.get("lead")
    if (onset is None) == (lead is None):
        raise ConfigError("`onset` or `lead` must be given, one of them: the column's name.")
    role = "onset" if lead is None else "lead"
    names = resolve(
        {role: onset or lead, "time": options.get("time")},
        {role: Role(required=True), "time": _EVENTS},
        list(frame.columns),
    )
    values = {
        r: numbers(frame, n, "Leave it empty where there is none.", empty=True)
        for r, n in names.items()
    }
    t = values["time"]
    at = values["onset"] if lead is None else t - values["lead"]
    known = np.isfinite(at) & np.isfinite(t)
    advice = "An onset at step 0 has no logarithm."
    refuse(known & (at <= 0), names[role], "must give a positive onset", advice)
    advice = "Leave out runs whose onset came later, and say how many."
    refuse(known & (at >= t), names[role], "must give an onset before its event", advice)
    return at[known], t[known], columns_text(names)
