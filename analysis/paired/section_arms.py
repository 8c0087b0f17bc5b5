"""Interventions on the page: arms beside their replicas over time, and the effects in rows."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.single import drawn
from observatory.analysis.page.style import (
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    plain,
    styled,
)
from observatory.analysis.page.table import Table
from observatory.analysis.paired.arms import BY_PARENT, PARENT
from observatory.analysis.paired.section import draw_differences, size_of
from observatory.analysis.stats.paired_tests import p_text

_TITLE = "Interventions"
_SPOKEN = {
    "val_acc": "validation accuracy",
    "val_loss": "validation loss (nats)",
    "sigma_h": "sigma_h (nats)",
}


def draw_arms(comparison: GroupComparison) -> Iterator[Drawing | NotDrawn]:
    """The stored comparison of arms with their replicas; nothing where there is none."""
    records = [r for r in comparison.of("paired") if r["extras"].get(BY_PARENT)]
    fitted = [record for record in records if record["refused"] is None]
    for record in records:
        if record["refused"] is not None:
            reason = str(record["refused"]).split("; ")[0].rstrip(".")
            yield NotDrawn(f"{_TITLE}: {record['event']}", f"the comparison refused: {reason}")
    lines = next((record for record in records if record["curves"]), None)
    if lines is not None:
        yield _timeline(lines)
    if fitted:
        yield _forest(fitted)


def figure_of(fitted: Fitted) -> Figure:
    """The forest of one table, or of every outcome of arms below each other."""
    records = [record for record in fitted.records if record["refused"] is None]
    if len(fitted.records) == 1:
        return drawn(draw_differences, fitted.record, None, None, size_of(fitted.record))
    return _forest_figure(records)


def notices_of_arms(records: Sequence[Record]) -> list[str]:
    """What is to be said of arms whatever their outcome: no control, a moment that never came."""
    own = [record["warnings"] for record in records if record["extras"].get(BY_PARENT)]
    return [text for text in own[0] if all(text in others for others in own)] if own else []


def methods_of_arms(records: Sequence[Record]) -> str:
    """A paragraph to be pasted on how arms were compared; empty where there are none."""
    own = [r for r in records if r["extras"].get(BY_PARENT) and r["refused"] is None]
    if not own:
        return ""
    extras, noise = own[0]["extras"], own[0]["extras"].get("noise")
    placebo = f" Arms of noise, as long as the act of another arm: {noise}." if noise else ""
    return (
        "Every arm parted from its replica in one bit-identical state at its moment, and ran on "
        "with the same data, batches and settings. Each is compared with its replica, and with the "
        f"control arm that it names, pair by pair (n = {_pairs(own)} pairs): peaks of signals over "
        "the steps after the act that both were watched, times with the horizon in place of those "
        f"without the event, rates, and retention. {str(extras['method']).capitalize()}; family of "
        f"{extras['n_tests']} tests, intervals {own[0]['level']:.0%} (Holm, Scand. J. Stat. 6 "
        f"(1979) 65).{placebo}"
    )


def _pairs(records: Sequence[Record]) -> str:
    counts = sorted({int(row["n"]) for record in records for row in record["table"].values()})
    return f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


@styled
def _timeline_figure(record: Record) -> Figure:
    curves = _curves(record)
    signals = list(dict.fromkeys(signal for signal, _ in curves))
    figure = Figure(figsize=(WIDTH, 0.6 + 2.1 * len(signals)))
    grid = figure.subplots(len(signals), 1, squeeze=False, sharex=True)[:, 0]
    arms = list(dict.fromkeys(arm for _, arm in curves))
    for axes, signal in zip(grid, signals, strict=True):
        axes.axhline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="equal")
        for place, arm in enumerate(arms):
            if (signal, arm) in curves:
                _line(axes, curves[signal, arm], arm, place)
        axes.set_ylabel(plain(f"{_SPOKEN.get(signal, signal)}\narm − replica"))
    grid[-1].set_xlabel("steps since the act")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(arms)))
    return figure


def _line(axes: Axes, columns: Mapping[str, Sequence[float]], arm: str, place: int) -> None:
    colour = LINE_COLOURS[place % len(LINE_COLOURS)]
    style = LINE_STYLES[place % len(LINE_STYLES)]
    since = np.array(columns["since"], dtype=np.float64)
    axes.fill_between(since, columns["low"], columns["high"], color=colour, alpha=0.15, linewidth=0)
    axes.plot(since, columns["mean"], color=colour, linestyle=style, label=plain(arm))


def _curves(record: Record) -> dict[tuple[str, str], dict[str, Sequence[float]]]:
    """The columns of each curve, by signal and arm."""
    found: dict[tuple[str, str], dict[str, Sequence[float]]] = {}
    for name, values in record["curves"].items():
        curve, _, part = name.rpartition(".")
        signal, _, arm = curve.partition(" ")
        found.setdefault((signal, arm), {})[part] = values
    return found


def _timeline(record: Record) -> Drawing:
    noise = record["extras"].get("noise")
    return Drawing(
        name="interventions-timeline",
        title=f"{_TITLE}: each arm minus its replica, from the act on",
        caption=(
            "Mean difference of an arm and the replica that it parted from, over seeds, each with "
            f"the mean of its weight decays, with its {record['level']:.0%} t interval at each "
            "step; before the act both are equal to the last bit. Pairs leave the mean where one "
            "of the two is watched no longer."
            f"{f' Noise of the size of an act: {noise}.' if noise else ''}"
        ),
        figure=_timeline_figure(record),
    )


@styled
def _forest_figure(records: Sequence[Record]) -> Figure:
    rows = [len(record["params"]) for record in records]
    figure = Figure(figsize=(WIDTH, 0.4 + sum(0.75 + 0.24 * n for n in rows)))
    grid = figure.subplots(len(records), 1, squeeze=False, height_ratios=[2 + n for n in rows])
    for axes, record in zip(grid[:, 0], records, strict=True):
        alone = len({row["condition"] for row in record["table"].values()}) == 1
        noise = str(record["extras"].get("noise", "")).split(", ")
        names = [
            f"{row['arm']}{' (noise)' if row['arm'] in noise and row['arm'] != 'noise' else ''} − "
            f"{_short(row['reference'])}{'' if alone else ', ' + str(row['condition'])}"
            for row in record["table"].values()
        ]
        draw_differences(axes, record, names)
        axes.set_xlabel(plain(f"difference of {record['event']}"))
        if axes is not grid[0, 0]:
            axes.set_title("")
    return figure


def _short(reference: str) -> str:
    return "replica" if reference == PARENT else reference


def _forest(records: Sequence[Record]) -> Drawing:
    extras, noise = records[0]["extras"], records[0]["extras"].get("noise")
    beside = f" Noise of the size of an act: {noise}." if noise else ""
    return Drawing(
        name="interventions-effects",
        title=f"{_TITLE}: paired effects",
        caption=(
            "Each arm minus its own replica, or minus its control arm, with "
            f"{records[0]['level']:.0%} intervals that are not adjusted; p by Holm over the family "
            f"of {extras['n_tests']} tests of all outcomes; filled: differs. Undecided is not "
            "equal. Peaks are those after the act, over the steps that both were watched; one "
            f"right after it is the act itself.{beside}"
        ),
        figure=_forest_figure(records),
        table=_table(records),
    )


def _table(records: Sequence[Record]) -> Table:
    rows: list[list[str]] = []
    for record in records:
        for name, row in record["table"].items():
            found, d = record["params"][name], row.get("d_z")
            rows.append(
                [
                    str(record["event"]),
                    f"{row['arm']} − {_short(row['reference'])}",
                    str(row["condition"] or ""),
                    f"{row['n']}",
                    f"{found['value']:.3g} [{found['ci_low']:.3g}, {found['ci_high']:.3g}]",
                    "" if d is None else f"{d:.2f}",
                    p_text(row["p"]),
                    p_text(row["p_holm"]),
                    _detectable(row),
                    str(row["verdict"]),
                ]
            )
    heads = ("outcome", "contrast", "where", "pairs", "difference [interval]", "d")
    return Table(
        "Paired effects of the arms",
        (*heads, "p", "p by Holm", "detectable", "verdict"),
        ("text", "text", "", "num", "num", "num", "num", "num", "num", ""),
        rows,
        caption=(
            "d is Cohen’s, on paired differences; detectable is the least difference that so many "
            f"pairs find with a power of {records[0]['extras']['power']:.0%}."
        ),
        notes=list(dict.fromkeys(text for record in records for text in record["warnings"])),
    )


def _detectable(row: Mapping[str, object]) -> str:
    found = row.get("detectable")
    return f"{found:.3g}" if isinstance(found, float) else ""
