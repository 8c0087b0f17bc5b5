"""Fitted curves: the readings, the law with its band, and the peak where there is one."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    plain,
    styled,
)

Record = Mapping[str, Any]

MAX_PANELS = 12
_COLUMNS = 3


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


def draw_curve(axes: Axes, record: Record) -> None:
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


@styled
def curves_figure(
    records: Sequence[Record], titles: Sequence[str], names: tuple[str, str]
) -> Figure:
    """A panel per curve.

    Args:
        records: Of the fits; more than `MAX_PANELS` are thinned evenly.
        titles: What each is of.
        names: Of the abscissa and the ordinate.
    """
    every = np.arange(len(records))
    kept = every[np.linspace(0, every.size - 1, min(every.size, MAX_PANELS)).round().astype(int)]
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
    names_shown = list(handles)
    figure.legend(
        [handles[name] for name in names_shown],
        names_shown,
        loc="outside upper right",
        ncols=max(len(names_shown), 1),
    )
    return figure
