"""Fitted laws of curves with their bands, and a quantity of every layer over training as maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.fit.contract import Record
from observatory.analysis.fit.result import Fitted
from observatory.analysis.page.amounts import draw_amounts
from observatory.analysis.page.panels import finish_steps
from observatory.analysis.page.records import arrow_from
from observatory.analysis.page.style import (
    GROUND,
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    finish_colour_bar,
    plain,
    plain_log_ticks,
    styled,
)
from observatory.analysis.stats.text import group_words

_MAX_PANELS = 12


def _column(record: Record, name: str) -> NDArray[np.float64]:
    values = record["curves"].get(name, [])
    return np.array([np.nan if v is None else v for v in values], dtype=np.float64)


def _words(record: Record) -> str:
    """What the record found, in a few words."""
    extras = record["extras"]
    kind = extras.get("class") or extras.get("degeneracy")
    kappa = record["params"].get("kappa") or record["params"].get("kappa_per_step")
    if kappa is not None:
        kind = f"κ = {kappa['value']:.3g}"
    parts = [f"R² {extras['r2']:.3f}", f"n = {record['n']}"]
    return ", ".join(parts if kind in (None, "none") else [str(kind), *parts])


def draw_curve(axes: Axes, record: Record, names: Any = None) -> None:
    """One curve into axes: points, law, band, peak with its interval, the better law if any."""
    steps, values = _column(record, "data.step"), _column(record, "data.value")
    refused = record["refused"] is not None
    size, colour = 3.0 if steps.size <= 80 else 1.6, MUTED if refused else INK
    axes.plot(steps, values, "o", color=colour, markersize=size, gid="data", label="readings")
    if refused or steps.size == 0:
        return
    lowest, highest = float(values.min()), float(values.max())
    room = 0.15 * (highest - lowest)
    axes.set_ylim(lowest - room, highest + room)  # a band may leave it between two readings
    x, band = _column(record, "fit.step"), {"color": LINE_COLOURS[0], "linewidth": 0}
    low, high = _column(record, "fit.low"), _column(record, "fit.high")
    axes.fill_between(x, low, high, alpha=0.2, gid="band", **band)
    axes.plot(
        x, _column(record, "fit.value"), color=LINE_COLOURS[0], gid="fit", label=record["fit"]
    )
    if (other := _column(record, "other.value")).size:
        style = {"color": LINE_COLOURS[1], "linestyle": LINE_STYLES[1], "linewidth": 1.1}
        axes.plot(_column(record, "other.step"), other, gid="other", label="better law", **style)
    peak = record["params"].get("t_peak")
    if peak is not None:
        axes.axvline(peak["value"], color=MUTED, linewidth=0.9, gid="peak", label="peak")
        if peak["ci_low"] is not None and peak["ci_high"] is not None:
            ends = (max(peak["ci_low"], float(steps[0])), peak["ci_high"])
            axes.axvspan(*ends, color=MUTED, alpha=0.18, linewidth=0, gid="peak-interval")


def fitted_figure(fitted: Fitted) -> Figure:
    """The curves of a result, a panel each, the first twelve."""
    titles = [group_words(record.get("group", {})) for record in fitted.records]
    return curves_figure(fitted.records, titles, fitted.data)


@styled
def curves_figure(
    records: Sequence[Record], titles: Sequence[str], names: tuple[str, str]
) -> Figure:
    """A panel per curve, at most twelve, evenly; `names` are those of abscissa and ordinate."""
    every = np.arange(len(records))
    kept = every[np.linspace(0, every.size - 1, min(every.size, _MAX_PANELS)).round().astype(int)]
    columns = min(_COLUMNS, kept.size)
    rows = ceil(kept.size / columns)
    height = 3.6 if kept.size == 1 else 0.7 + 1.9 * rows
    figure = Figure(figsize=(WIDTH, height))
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, index in zip(grid.flat, kept.tolist(), strict=False):
        record = records[index]
        draw_curve(axes, record)
        head = plain(str(titles[index]))
        found = "refused" if record["refused"] is not None else _words(record)
        axes.set_title("\n".join(part for part in (head, found) if part), fontsize=7.5)
    for axes in grid.flat[kept.size :]:
        axes.set_axis_off()
    figure.supxlabel(plain(str(names[0])), fontsize=8.5)
    figure.supylabel(plain(str(names[1])), fontsize=8.5)
    handles: dict[str, Any] = {}
    for axes in grid.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(str(label), handle)
    place = {"loc": "outside upper right", "ncols": max(len(handles), 1)}
    figure.legend(list(handles.values()), list(handles), **place)
    return figure


_COLUMNS = 3
MAX_CELLS = 6000
"""Cells of all maps together, each a path of the vector file."""


@dataclass(frozen=True)
class Peak:
    """Where a fitted law has its peak: row of the map, step, and limits, None where unbounded."""

    row: int
    step: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LayerMap:
    """One panel: rows from below, steps positive and rising, values positive or NaN."""

    title: str
    rows: Sequence[str]
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    peaks: Sequence[Peak]


@styled
def layers_figure(maps: Sequence[LayerMap], label: str, row_label: str) -> Figure:
    """A map per panel, all of one logarithmic scale of colours; `label` says what they show."""
    columns = min(_COLUMNS, len(maps))
    rows = ceil(len(maps) / columns)
    most = max(len(m.rows) for m in maps)
    figure = Figure(figsize=(WIDTH, 0.75 + rows * (0.55 + 0.2 * max(most, 4))))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    finite = np.concatenate([m.values[np.isfinite(m.values)] for m in maps])
    low, high = float(finite.min()), float(finite.max())
    norm = LogNorm(low, max(high, low * 1.001))
    drawn = [_draw_map(axes, m, norm) for axes, m in zip(grid.flat, maps, strict=False)]
    finish_steps(grid, len(maps))
    for axes in grid[:, 0]:
        axes.set_ylabel(row_label)
    bar = figure.colorbar(drawn[0], ax=grid, pad=0.015, aspect=30)
    finish_colour_bar(bar, label)
    plain_log_ticks(bar.ax.yaxis)
    return figure


def _edges(steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Borders between steps on a log axis."""
    logs = np.log(steps)
    if logs.size == 1:
        return steps[0] * np.array([0.9, 1.1])
    middle = (logs[1:] + logs[:-1]) / 2
    first, last = 2 * logs[0] - middle[0], 2 * logs[-1] - middle[-1]
    return np.exp(np.concatenate([[first], middle, [last]]))


def _draw_map(axes: Axes, one: LayerMap, norm: LogNorm) -> QuadMesh:
    n = len(one.rows)
    drawn = draw_amounts(axes, _edges(one.steps), one.values, norm=norm, first=0, gid="map")
    for peak in one.peaks:
        first, last = one.steps[0], one.steps[-1]
        low, high = peak.low or -np.inf, peak.high or np.inf
        ends = (low if low >= first else peak.step, high if high <= last else peak.step)
        for width, colour in ((2.6, INK), (1.2, GROUND)):
            axes.plot(ends, [peak.row] * 2, color=colour, linewidth=width, gid="peak-interval")
        for beyond, towards in ((low < first, -1), (high > last, 1)):
            if beyond:
                arrow_from(axes, peak.step, peak.row, GROUND, towards)
        axes.plot(
            peak.step, peak.row, "o", color=GROUND, mec=INK, mew=0.8, ms=5, zorder=4, gid="peak"
        )
    axes.set_xlim(one.steps[0], one.steps[-1])
    every = max(1, n // 8)
    axes.set_yticks(np.arange(n)[::every], list(one.rows)[::every])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.set_title(one.title, fontsize=7.5, pad=2.5, color=INK)
    axes.tick_params(axis="x", color=MUTED)
    return drawn
