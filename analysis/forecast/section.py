"""What recorded signals forecast beside the clock and the plain baselines."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from observatory.analysis.forecast.api import audit_forecasts
from observatory.analysis.forecast.figure import audit_caption, audit_figure
from observatory.analysis.forecast.result import audit_frame
from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import DASH
from observatory.core.errors import ConfigError, FitRefusedError
from observatory.store.reader import Study

TITLE = "Forecasts of grokking"
FAMILY = {
    "probes/attention": ("s_bar", "sigma_h", "pr_norm", "spectral_gap"),
    "probes/massive_activations": ("top1",),
    "probes/representation": ("class_ratio",),
}
"""Signals that a page audits, by the table that records them: few, so that few seeds can decide."""
SETTINGS = {"n_bootstrap": 499, "n_permutations": 199}
"""Draws on a page; `observatory fit audit` takes more."""


def draw_forecast(facts: Facts) -> Drawing | NotDrawn:
    """The forest of signals with its table, where events, negatives and seeds are enough."""
    tables = set.intersection(*(set(run.tables()) for run in facts.group.runs))
    signals = [name for table, names in FAMILY.items() if table in tables for name in names]
    if not signals:
        return NotDrawn(TITLE, "no probe that is audited was on")
    if sum(len(run.replicas()) for run in facts.group.runs) > len(facts.group.replicas):
        return NotDrawn(TITLE, "a run holds several settings: an audit takes its runs whole")
    study = Study(facts.group.runs[0].folder.parent.parent)
    study.runs = list(facts.group.runs)
    try:
        record = audit_forecasts(study, signals=signals, event=facts.event, settings=SETTINGS)
    except (ConfigError, FitRefusedError) as refusal:
        return NotDrawn(TITLE, str(refusal).rstrip("."))
    return _drawing(facts, record.to_json())


def _drawing(facts: Facts, record: dict[str, Any]) -> Drawing:
    return Drawing(
        name="forecast",
        title=TITLE,
        caption=f"{audit_caption(record)} {context(facts)}",
        figure=audit_figure(record),
        table=_table(audit_frame(record), record["warnings"]),
    )


def _table(frame: pd.DataFrame, warnings: Sequence[str]) -> Table:
    """Scores and verdicts, the baselines first."""
    rows: list[list[str]] = []
    for name, cells in frame.iterrows():
        row = {str(key): value for key, value in cells.items()}
        baseline = row["role"] == "baseline"
        rows.append(
            [
                f"{name} (baseline)" if baseline else str(name),
                _with_limits(row, "detects"),
                _number(row["lead"], ".0f"),
                _with_limits(row, "within"),
                _with_limits(row, "clock", "_difference"),
                _number(row["clock_p_holm"], ".2g"),
                _number(row["every_p_holm"], ".2g"),
                DASH if baseline else str(row["verdict"]),
            ]
        )
    heads = (
        *("signal", "share of events forecast", "lead (steps)", "order within a weight decay"),
        *("minus clock", "p, clock (Holm)", "p, every baseline (Holm)", "verdict"),
    )
    caption = (
        f"{SETTINGS['n_bootstrap']} resamples. observatory fit audit STUDY TWINS tells more: "
        "false-alarm rates per kind of negatives, rules, times; with random-label twins it is a "
        "harder test."
    )
    kinds = ["", *["num"] * (len(heads) - 2), "text"]
    return Table("Forecasts", heads, kinds, rows, caption, rows_have_heads=True, notes=warnings)


def _number(value: Any, form: str) -> str:
    return DASH if pd.isna(value) else f"{value:{form}}"


def _with_limits(row: Mapping[str, Any], name: str, of: str = "") -> str:
    value, low, high = row[f"{name}{of}"], row[f"{name}_low"], row[f"{name}_high"]
    if pd.isna(value):
        return DASH
    limits = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{value:.2f}{limits}"
