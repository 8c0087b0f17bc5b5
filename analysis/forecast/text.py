"""A comparison of forecasts as text: the table of signals, false alarms, times, rules."""

import textwrap
from collections.abc import Mapping
from typing import Any

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted

WIDTH = 110
Row = Mapping[str, Any]


def rows_of(record: Record) -> dict[str, Row]:
    """The rows of a record's signals, the baselines first, each with its share of events."""
    return {name: {**share, **record["table"][name]} for name, share in record["params"].items()}


def is_baseline(row: Row) -> bool:
    """Whether a row is of a baseline, which has no verdict."""
    return row["role"] == "baseline"


def is_better(row: Row) -> bool:
    """Whether a signal is better than the clock at least."""
    return str(row["verdict"]).startswith("better")


def kinds_text(record: Record) -> str:
    """How many negatives there are of each kind, such as "8 twin, 5 early"."""
    extras = record["extras"]
    return ", ".join(f"{extras[f'n_{kind}']} {kind}" for kind in extras["kinds"].split(", "))


def forecast_text(fitted: Fitted) -> str:
    """A row per signal, false alarms per kind of negatives, times, rules, warnings."""
    record, extras = fitted.record, fitted.record["extras"]
    rows = rows_of(record)
    kinds = extras["kinds"].split(", ")
    kinds += ["unmatched"] if "n_unmatched" in extras else []
    wide = max(12, *(len(name) + 2 for name in rows))
    lines = textwrap.wrap(f"forecast: {_heading(record)}", WIDTH, subsequent_indent="  ")
    lines += [
        f"  false alarms at most {extras['alpha']:g} in training; leads of {extras['min_lead']:g} "
        f"steps to {extras['max_lead_share']:.0%} of the event's time; * baselines",
        "",
        f"{'signal':{wide}} {'forecast':>17} {'lead':>6} {'share':>6} {'nowcast':>7} "
        f"{'within a cell':>17} {'- clock':>20} {'p':>6} {'- best':>6} {'p':>6}  verdict",
    ]
    lines += [_row(name, row, wide).rstrip() for name, row in rows.items()]
    lines += ["", f"{'false alarms':{wide}} " + " ".join(f"{kind:>19}" for kind in kinds)]
    lines += [
        f"{_label(name, row):{wide}} " + " ".join(f"{_alarms(row, kind):>19}" for kind in kinds)
        for name, row in rows.items()
    ]
    lines += _times(rows, extras["coverage"], wide)
    lines += _onsets(rows, wide)
    lines += ["", *(f"rule {name}: {row['rule']}" for name, row in rows.items())]
    for warning in record["warnings"]:
        lines += textwrap.wrap(f"warning: {warning}", WIDTH, subsequent_indent="  ")
    return "\n".join(lines)


def _heading(record: Record) -> str:
    """What was compared: the event, its number, its negatives, seeds and horizon."""
    extras = record["extras"]
    text = (
        f"event {record['event']}, horizon {record['horizon_steps']} steps, {extras['n_events']} "
        f"events, negatives: {kinds_text(record)}; {extras['n_seeds']} seeds, family of "
        f"{extras['n_tests']}"
    )
    if "n_unmatched" not in extras:
        return text
    return f"{text}; not held: {extras['n_unmatched']} unmatched"


def _label(name: str, row: Row) -> str:
    return f"{name} *" if is_baseline(row) else name


def share_text(
    value: float | None, low: float | None, high: float | None, missing: str = "-"
) -> str:
    """A share with its limits; `missing` where there is none.

    Example:
        >>> share_text(0.5, 0.25, 0.75), share_text(0.5, None, None), share_text(None, None, None)
        ('0.50 [0.25, 0.75]', '0.50', '-')
    """
    if value is None:
        return missing
    return f"{value:.2f}" if low is None or high is None else f"{value:.2f} [{low:.2f}, {high:.2f}]"


def number_text(value: float | None, form: str, missing: str = "-") -> str:
    """A number as a format has it; `missing` where there is none."""
    return missing if value is None else f"{value:{form}}"


def _row(name: str, row: Row, wide: int) -> str:
    gap = "-"
    if row["clock_difference"] is not None:
        low, high = row["clock_low"], row["clock_high"]
        gap = f"{row['clock_difference']:+.2f} [{low:+.2f}, {high:+.2f}]"
    cells = (
        (17, share_text(row["value"], row["ci_low"], row["ci_high"])),
        (6, number_text(row["lead"], ".0f")),
        (6, number_text(row["lead_share"], ".0%")),
        (7, number_text(row["nowcast"], ".0%")),
        (17, share_text(row["within"], row["within_low"], row["within_high"])),
        (20, gap),
        (6, number_text(row["clock_p_holm"], ".2g")),
        (6, number_text(row["best_difference"], "+.2f")),
        (6, number_text(row["every_p_holm"], ".2g")),
    )
    numbers = " ".join(f"{text:>{width}}" for width, text in cells)
    return f"{_label(name, row):{wide}} {numbers}  {row['verdict'] or ''}"


def _alarms(row: Row, kind: str) -> str:
    low, high = row[f"false_{kind}_low"], row[f"false_{kind}_high"]
    return f"{row[f'false_{kind}']:.0f}/{row[f'n_{kind}']:.0f} [{low:.2f}, {high:.2f}]"


def _times(rows: Mapping[str, Row], coverage: float, wide: int) -> list[str]:
    """Forecasts of the event's time, of signals that have some."""
    timed = {name: row for name, row in rows.items() if row["time_n"] is not None}
    if not timed:
        return []
    lines = [
        "",
        f"{'time of the event':{wide}} {coverage:.0%} intervals made at the alarm: covered, median "
        "width in steps; the clock's, then, and knowing the control",
    ]
    for name, row in timed.items():
        width, clock, control = (
            "unbounded" if row[f"time_{of}width"] is None else f"{row[f'time_{of}width']:.0f}"
            for of in ("", "clock_", "control_")
        )
        covered = share_text(row["time_covered"], row["time_covered_low"], row["time_covered_high"])
        lines.append(
            f"{_label(name, row):{wide}} n {row['time_n']:.0f}: {covered}, {width}; "
            f"clock {row['time_clock_covered']:.2f}, {clock}; "
            f"control {row['time_control_covered']:.2f}, {control}"
        )
    return lines


def _onsets(rows: Mapping[str, Row], wide: int) -> list[str]:
    """Alarms regressed on events, of signals that have enough."""
    known = {name: row for name, row in rows.items() if row["onset_slope"] is not None}
    if not known:
        return []
    about = "slopes of logarithms; leads rise with their events by construction: see the null"
    return [
        "",
        f"{'alarm on event':{wide}} {about}",
        *(
            f"{_label(name, row):{wide}} "
            f"{row['onset_slope']:.2f} (Theil-Sen {row['onset_theil_sen']:.2f}), "
            f"R2 {row['onset_r2']:.2f}, p {row['onset_p_onset']:.2g}; "
            f"lead {row['onset_lead_slope']:.2f}, R2 {row['onset_lead_r2']:.2f}, "
            f"null {row['onset_null_slope']:.2f}, {row['onset_null_r2']:.2f}, "
            f"p {row['onset_p_lead']:.2g}"
            for name, row in known.items()
        ),
    ]


def leads_text(fitted: Fitted) -> str:
    """Both regressions and the null of the second as text, with warnings."""
    record = fitted.record
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
            f"warning: {warning}", 100, initial_indent="  ", subsequent_indent="    "
        )
    return "\n".join(lines)
