"""Published onsets or leads against their events: a row per run, read and checked."""

import textwrap
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.settings import build, draw_seed, settings_of
from observatory.analysis.fit.task import Part, Task
from observatory.analysis.forecast.estimators.lead_time import LeadTimes
from observatory.analysis.tables.columns import Role, columns_text, resolve
from observatory.analysis.tables.open import Table, open_table
from observatory.analysis.tables.values import numbers, refuse
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

Array = NDArray[np.float64]

EVENTS = Role(usual=("event_step", "grok_step", "t_grok", "t_hi", "time"), required=True)
WIDTH = 100


def prepare_leads(table: Table, options: Mapping[str, Any]) -> Task:
    """The regression of published onsets or leads on their events.

    Args:
        table: A frame, a CSV or Parquet file, "mlflow:EXPERIMENT": a row per run.
        options: As of `LeadOptions`, checked.

    Raises:
        ConfigError: If the table or a setting breaks a rule.
    """
    folder = options.get("config_dir")
    level = options.get("level")
    given: Mapping[str, Any] = {} if level is None else {"level": level}
    changes = {**given, **(options.get("settings") or {})}
    name, node = settings_of("lead_times", None, changes, folder)
    leads: LeadTimes = build(name, node, trusted=folder is not None)
    opened = open_table(table, options.get("tracking_uri"))
    if isinstance(opened, Study):
        raise ConfigError("Leads are read from a table, got a study. Give a CSV or Parquet file.")
    onset, event, columns = read_leads(opened, options)
    seed = draw_seed(options.get("seed"))
    part = Part(
        fit=leads.fit_name,
        estimator=leads.estimator,
        event=columns,
        level=leads.level,
        n=int(onset.size),
        seed=seed,
        compute=lambda: leads.estimate(onset, event, columns, seed),
    )
    return Task("lead_times", [part])


def read_leads(frame: pd.DataFrame, options: Mapping[str, Any]) -> tuple[Array, Array, str]:
    """Onsets and events of a table, and which columns they are; rows without either are left out.

    Args:
        frame: A row per run.
        options: As of `LeadOptions`.

    Raises:
        ConfigError: If a column is missing or no number, or an onset does not precede its event.
    """
    onset, lead = options.get("onset"), options.get("lead")
    if (onset is None) == (lead is None):
        raise ConfigError("`onset` or `lead` must be given, one of them: the column's name.")
    role = "onset" if lead is None else "lead"
    names = resolve(
        {role: onset or lead, "time": options.get("time")},
        {role: Role(required=True), "time": EVENTS},
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


def leads_text(record: Record) -> str:
    """Both regressions and the null of the second as text, with warnings."""
    extras, slope = record["extras"], record["params"]["onset_slope"]
    lines = [
        f"lead times: {record['event']}, {record['n']} pairs, logarithms",
        f"  onset on event: slope {slope['value']:.3f} {record['level']:.0%} "
        f"[{slope['ci_low']:.3f}, {slope['ci_high']:.3f}], "
        f"Theil-Sen {extras['theil_sen']:.3f}, R2 {extras['r2']:.3f}, "
        f"p {extras['p_onset']:.2g} by permutation",
        f"  lead on event: slope {extras['lead_slope']:.3f}, R2 {extras['lead_r2']:.3f}",
        f"  lead on event, onsets permuted: median slope {extras['null_slope']:.3f}, median R2 "
        f"{extras['null_r2']:.3f}, p of so large an R2 {extras['p_lead']:.2g}",
    ]
    for warning in record["warnings"]:
        lines += textwrap.wrap(
            f"warning: {warning}", WIDTH, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines)
