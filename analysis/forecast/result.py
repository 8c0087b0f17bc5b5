"""An audit of forecasts that prints itself, as a table and as a figure."""

import html
import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pandas as pd

from observatory.analysis.fit.result import flat_record
from observatory.analysis.forecast.replicas import AuditTable
from observatory.analysis.page.save import save_picture
from observatory.analysis.stats.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDTH = 110
Record = Mapping[str, Any]
Row = Mapping[str, float | None]


@final
@dataclass(frozen=True, repr=False)
class AuditFit:
    """An audit and the table that it was made of.

    Attributes:
        estimate: Scores, verdicts, warnings.
        read: What was read.
    """

    estimate: Estimate
    read: AuditTable

    @property
    def verdicts(self) -> pd.Series:
        """The verdict of every signal that is no baseline."""
        extras = self.estimate.extras
        names = [n for n in self.estimate.params if f"verdict[{n}]" in extras]
        return pd.Series({name: extras[f"verdict[{name}]"] for name in names}, dtype=object)

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader could take wrongly."""
        return [*self.read.warnings, *self.estimate.warnings]

    @property
    def table(self) -> pd.DataFrame:
        """A row per signal: scores, limits, p-values, rule and verdict."""
        return audit_frame(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return flat_record(replace(self.estimate, warnings=self.warnings).to_json())

    def to_string(self) -> str:
        """The record as JSON text."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False)

    def plot(self) -> "Figure":
        """Draw what each signal forecasts, and its difference to the clock."""
        from observatory.analysis.forecast.figure import audit_figure

        return audit_figure(self.to_json())

    def save_plot(self, path: Path) -> None:
        """Write the figure; the ending of `path` names the format.

        Raises:
            ConfigError: If the file cannot be written.
        """
        save_picture(self.plot(), path)

    def __str__(self) -> str:
        return audit_text(self.to_json())

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def audit_frame(record: Record) -> pd.DataFrame:
    """The table of a record: a row per signal, the baselines first.

    Args:
        record: Of `ForecastAudit`, not a refusal.
    """
    columns = {
        name.removeprefix("table."): values
        for name, values in record["curves"].items()
        if name.startswith("table.")
    }
    frame = pd.DataFrame(columns, index=pd.Index(list(record["params"]), name="signal"))
    frame = frame.astype(float)
    for name in ("role", "rule", "verdict"):
        frame[name] = [record["extras"].get(f"{name}[{signal}]", "") for signal in frame.index]
    return frame


def heading(record: Record) -> str:
    """What was audited: the event, its number, its negatives, seeds and horizon."""
    extras = record["extras"]
    horizon = record["horizon_steps"]
    kinds = ", ".join(f"{extras[f'n_{k}']} {k}" for k in extras["kinds"].split(", "))
    text = (
        f"event {record['event']}, horizon {horizon} steps, {extras['n_events']} events, "
        f"negatives: {kinds}; {extras['n_seeds']} seeds, family of {extras['n_tests']}"
    )
    return (
        text
        if "n_unmatched" not in extras
        else f"{text}; not held: {extras['n_unmatched']} unmatched"
    )


def audit_text(record: Record) -> str:
    """The table as text, with warnings."""
    frame, extras = audit_frame(record), record["extras"]
    kinds = extras["kinds"].split(", ")
    kinds += ["unmatched"] if "n_unmatched" in extras else []
    wide = max(12, *(len(str(name)) + 2 for name in frame.index))
    lines = textwrap.wrap(f"forecast audit: {heading(record)}", WIDTH, subsequent_indent="  ")
    lines += [
        f"  false alarms at most {extras['alpha']:g} in training; leads of {extras['min_lead']:g} "
        f"steps to {extras['max_lead_share']:.0%} of the event's time; * baselines",
        "",
        f"{'signal':{wide}} {'forecast':>17} {'lead':>6} {'share':>6} {'nowcast':>7} "
        f"{'within a cell':>17} {'- clock':>20} {'p':>6} {'- best':>6} {'p':>6}  verdict",
    ]
    rows = [(str(name), {str(k): v for k, v in row.items()}) for name, row in frame.iterrows()]
    lines += [_row(name, row, wide).rstrip() for name, row in rows]
    lines += ["", f"{'false alarms':{wide}} " + " ".join(f"{kind:>19}" for kind in kinds)]
    lines += [
        f"{_label(name, row):{wide}} " + " ".join(f"{_alarms(row, kind):>19}" for kind in kinds)
        for name, row in rows
    ]
    timed = [(name, row) for name, row in rows if not pd.isna(row["time_n"])]
    if timed:
        lines += [
            "",
            f"{'time of the event':{wide}} {extras['coverage']:.0%} intervals made at the alarm: "
            "covered, median width in steps; the clock's, then, and knowing the knob",
        ]
        lines += [f"{_label(name, row):{wide}} {_times(row)}" for name, row in timed]
    onset = [(name, row) for name, row in rows if not pd.isna(row["onset_slope"])]
    if onset:
        about = "slopes of logarithms; leads rise with their events by construction: see the null"
        lines += ["", f"{'alarm on event':{wide}} {about}"]
        lines += [f"{_label(name, row):{wide}} {_onset(row)}" for name, row in onset]
    lines += ["", *(f"rule {name}: {row['rule']}" for name, row in rows)]
    for warning in record["warnings"]:
        lines += textwrap.wrap(f"warning: {warning}", WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def _label(name: str, row: Mapping[str, Any]) -> str:
    return f"{name} *" if row["role"] == "baseline" else name


def _share(row: Mapping[str, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "-"
    low, high = row[f"{name}_low"], row[f"{name}_high"]
    limits = "" if pd.isna(low) else f" [{low:.2f}, {high:.2f}]"
    return f"{row[name]:.2f}{limits}"


def _number(value: Any, form: str) -> str:
    return "-" if pd.isna(value) else f"{value:{form}}"


def _row(name: str, row: Mapping[str, Any], wide: int) -> str:
    gap = "-"
    if not pd.isna(row["clock_difference"]):
        low, high = row["clock_low"], row["clock_high"]
        gap = f"{row['clock_difference']:+.2f} [{low:+.2f}, {high:+.2f}]"
    return (
        f"{_label(name, row):{wide}} {_share(row, 'detects'):>17} {_number(row['lead'], '.0f'):>6} "
        f"{_number(row['lead_share'], '.0%'):>6} {_number(row['nowcast'], '.0%'):>7} "
        f"{_share(row, 'within'):>17} {gap:>20} {_number(row['clock_p_holm'], '.2g'):>6} "
        f"{_number(row['best_difference'], '+.2f'):>6} {_number(row['every_p_holm'], '.2g'):>6}  "
        f"{row['verdict']}"
    )


def _alarms(row: Mapping[str, Any], kind: str) -> str:
    low, high = row[f"false_{kind}_low"], row[f"false_{kind}_high"]
    return f"{row[f'false_{kind}']:.0f}/{row[f'n_{kind}']:.0f} [{low:.2f}, {high:.2f}]"


def _times(row: Mapping[str, Any]) -> str:
    def width(name: str) -> str:
        return "unbounded" if pd.isna(row[name]) else f"{row[name]:.0f}"

    return (
        f"n {row['time_n']:.0f}: {row['time_covered']:.2f} [{row['time_covered_low']:.2f}, "
        f"{row['time_covered_high']:.2f}], {width('time_width')}; "
        f"clock {row['time_clock_covered']:.2f}, {width('time_clock_width')}; "
        f"knob {row['time_knob_covered']:.2f}, {width('time_knob_width')}"
    )


def _onset(row: Mapping[str, Any]) -> str:
    return (
        f"{row['onset_slope']:.2f} (Theil-Sen {row['onset_theil_sen']:.2f}), "
        f"R2 {row['onset_r2']:.2f}, p {row['onset_p_onset']:.2g}; "
        f"lead {row['onset_lead_slope']:.2f}, R2 {row['onset_lead_r2']:.2f}, "
        f"null {row['onset_null_slope']:.2f}, {row['onset_null_r2']:.2f}, "
        f"p {row['onset_p_lead']:.2g}"
    )
