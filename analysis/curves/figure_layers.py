"""A quantity of every layer over training, as a map: a row per layer, or per weight decay."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.page.style import (
    GROUND,
    INK,
    MUTED,
    WIDTH,
    finish_colour_bar,
    plain_log_ticks,
    styled,
)

_COLUMNS = 3
MAX_CELLS = 6000
"""Cells of all maps together, each a path of the vector file."""


@dataclass(frozen=True)
class Peak:
    """Where a fitted law has its peak.

    Attributes:
        row: Of the map.
        step: Its place.
        low: Lower limit of the place; None where unbounded, as below.
        high: Upper limit.
    """

    row: int
    step: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class LayerMap:
    """One panel.

    Attributes:
        title: What it is of.
        rows: What each row is of, from below.
        steps: Positive, rising, `[step]`.
        values: Positive, NaN where there is none, `[row, step]`.
        peaks: Of fitted laws.
    """

    title: str
    rows: Sequence[str]
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    peaks: Sequence[Peak]


@styled
def layers_figure(maps: Sequence[LayerMap], label: str, row_label: str) -> Figure:
    """A map per panel, all of one logarithmic scale of colours.

    Args:
        maps: The panels.
        label: What the colours say.
        row_label: What the rows are.
    """
    columns = min(_COLUMNS, len(maps))
    rows = ceil(len(maps) / columns)
    most = max(len(m.rows) for m in maps)
    figure = Figure(figsize=(WIDTH, 0.75 + rows * (0.55 + 0.2 * max(most, 4))))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    finite = np.concatenate([m.values[np.isfinite(m.values)] for m in maps])
    low, high = float(finite.min()), float(finite.max())
    norm = LogNorm(low, max(high, low * 1.001))
    drawn = [_draw(axes, m, norm) for axes, m in zip(grid.flat, maps, strict=False)]
    for axes in list(grid.flat)[len(maps) :]:
        axes.set_axis_off()
    for index, axes in enumerate(list(grid.flat)[: len(maps)]):
        if index + columns >= len(maps):
            axes.set_xlabel("steps")
            axes.tick_params(axis="x", labelbottom=True)
    for axes in grid[:, 0]:
        axes.set_ylabel(row_label)
    plain_log_ticks(grid[0, 0].xaxis)
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


def _draw(axes: Axes, one: LayerMap, norm: LogNorm) -> QuadMesh:
    n = len(one.rows)
    drawn = axes.pcolormesh(
        _edges(one.steps),
        np.arange(n + 1) - 0.5,
        np.ma.masked_invalid(one.values),
        cmap=mpl.colormaps["viridis"],
        norm=norm,
        edgecolors="face",
        linewidth=0.5,
        gid="map",
    )
    for peak in one.peaks:
        ends = (peak.low or one.steps[0], peak.high or one.steps[-1])
        for width, colour in ((2.6, INK), (1.2, GROUND)):
            axes.plot(ends, [peak.row] * 2, color=colour, linewidth=width, gid="peak-interval")
        axes.plot(peak.step, peak.row, "o", color=GROUND, mec=INK, mew=0.8, ms=5, gid="peak")
    axes.set_xscale("log")
    axes.set_xlim(one.steps[0], one.steps[-1])
    axes.set_ylim(-0.5, n - 0.5)
    every = max(1, n // 8)
    axes.set_yticks(np.arange(n)[::every], list(one.rows)[::every])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False)
    axes.set_title(one.title, fontsize=7.5, pad=2.5, color=INK)
    axes.tick_params(axis="x", color=MUTED)
    return drawn
