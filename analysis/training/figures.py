"""Figures of training: trajectories, phases, the late part, order parameters, outcomes."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from observatory.analysis.page.decay_axis import (
    MAX_DOTS,
    decay_label,
    draw_decay_axis,
    positions,
    spread_positions,
)
from observatory.analysis.page.frames import column, spread_rows, where, words
from observatory.analysis.page.panels import (
    LEGEND,
    MAX_PANELS,
    chosen_decays,
    decay_handles,
    draw_lines,
    finish_steps,
)
from observatory.analysis.page.style import (
    GROUND,
    INK,
    LINE_COLOURS,
    MUTED,
    OUTCOME_COLOURS,
    WIDTH,
    plain_log_ticks,
    styled,
)

_SPLITS = {"val": (LINE_COLOURS[0], "-"), "train": (LINE_COLOURS[1], (0, (4, 1.5)))}
_PHASES = {"val_acc": "val accuracy (0–1)", "s_bar": "s_bar", "sigma_h": "sigma_h (nats)"}
"""Quantities in the order of the rows."""
_HATCHES = {"lost": "///", "collapsed": "\\\\\\", "diverged": "xxx", "unfinished": "..."}


def _grid(n: int, most: int, top: float, each: float, **shared: Any) -> tuple[Figure, Any]:
    """A figure of `n` panels, at most `most` beside each other, and its axes."""
    columns = min(most, n)
    rows = ceil(n / columns)
    figure = Figure(figsize=(WIDTH, top + each * rows))
    return figure, figure.subplots(rows, columns, squeeze=False, **shared)


@styled
def trajectories_figure(bands: pd.DataFrame, kind: Literal["acc", "loss"], unit: str) -> Figure:
    """Median and quartiles of the train and val accuracy, or loss, of `bands`, a panel per cell."""
    decays = chosen_decays(bands["weight_decay"].tolist(), MAX_PANELS)
    figure, grid = _grid(len(decays), 4, 0.5, 1.35, sharex=True, sharey=True)
    for axes, decay in zip(grid.flat, decays, strict=False):
        cell = where(bands, column(bands, "weight_decay") == decay)
        for split, (colour, style) in _SPLITS.items():
            line = where(cell, words(cell, "quantity") == f"{split}_{kind}")
            look = {"color": colour, "linestyle": style, "label": split}
            axes.plot(line["step"], line["median"], gid=f"median-{split}", **look)
            band = {"color": colour, "alpha": 0.18, "linewidth": 0, "gid": f"quartiles-{split}"}
            axes.fill_between(column(line, "step"), line["q25"], line["q75"], **band)
        n = f"n = {column(cell, 'n_cell')[0]:.0f}"
        axes.set_title(f"weight decay {decay_label(decay)}, {n}", fontsize=7.5, pad=2.5)
    first = grid[0, 0]
    first.set_xscale("log")
    if kind == "loss":
        first.set_yscale("log")
        plain_log_ticks(first.yaxis)
    else:
        first.set_ylim(-0.03, 1.03)
    finish_steps(grid, len(decays))
    figure.supylabel(unit, fontsize=8.5)
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return figure


@styled
def phases_figure(clocks: Mapping[str, pd.DataFrame]) -> Figure:
    """A column per clock, a row per quantity: medians and quartiles, a colour per weight decay.

    `clocks` are tables as of `bands` or `aligned`, none empty, by what the horizontal axis says;
    where it counts in units of a replica's own time, 1 is marked.
    """
    found = {name for table in clocks.values() for name in table["quantity"]}
    titles = {name: title for name, title in _PHASES.items() if name in found}
    figure = Figure(figsize=(WIDTH, 0.6 + 1.55 * len(titles)))
    grid = figure.subplots(len(titles), len(clocks), squeeze=False, sharex="col", sharey="row")
    decays = sorted({decay for table in clocks.values() for decay in table["weight_decay"]})
    for place, (label, table) in enumerate(clocks.items()):
        for axes, quantity in zip(grid[:, place], titles, strict=True):
            draw_lines(axes, table, quantity, {}, spread=True, decays=decays)
            if "/" in label:
                axes.axvline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), gid="event")
        grid[-1, place].set_xlabel(label)
        plain_log_ticks(grid[-1, place].xaxis)
    for axes, title in zip(grid[:, 0], titles.values(), strict=True):
        axes.set_ylabel(title)
    figure.align_ylabels(grid[:, 0])
    handles = decay_handles(decays, marked=False)
    figure.legend(handles=handles, loc="outside upper center", ncols=6, **LEGEND)
    return figure


@styled
def tail_figure(
    tables: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str],
    window: tuple[float, float],
    decays: Sequence[float],
) -> Figure:
    """The late part of long records, a panel per quantity, a line per replica.

    `tables` have columns replica (an index), weight_decay, step and value, by quantity; `decays`
    are at most as many as line colours.
    """
    figure, grid = _grid(len(titles), 2, 0.8, 1.75, sharex=True)
    colours = dict(zip(decays, LINE_COLOURS, strict=False))
    for axes, (name, title) in zip(grid.flat, titles.items(), strict=False):
        for _, line in tables[name].groupby("replica"):
            inside = where(line, (column(line, "step") >= window[0]))
            if inside.empty or not np.isfinite(column(inside, "value")).any():
                continue
            colour = colours[float(column(inside, "weight_decay")[0])]
            look = {"color": colour, "linewidth": 0.8, "gid": "replica"}
            axes.plot(column(inside, "step"), column(inside, "value"), **look)
        axes.set_title(title)
        axes.set_xlim(*window)
    finish_steps(grid, len(titles), log=False)
    handles = [Line2D([], [], color=colours[d], label=decay_label(d)) for d in decays]
    figure.legend(handles=handles, loc="outside upper center", ncols=6, **LEGEND)
    return figure


@styled
def order_parameters_figure(readings: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Replicas as dots, medians and quartiles of a weight decay over them, a panel each.

    `readings` has weight_decay and a column per quantity of `titles`; NaN: not defined. Of more
    than `MAX_DOTS` replicas as many dots are drawn, evenly by rank; medians are of all.
    """
    figure = Figure(figsize=(WIDTH, 2.7))
    grid = figure.subplots(1, len(titles), squeeze=False)[0]
    decays = column(readings, "weight_decay")
    cells = np.unique(decays)
    for axes, (name, title) in zip(grid, titles.items(), strict=True):
        draw_decay_axis(axes, cells.tolist(), spacing=0.11)
        values = column(readings, name)
        kept = spread_rows(decays, values, MAX_DOTS)
        x = spread_positions(decays[kept], 0.09)
        axes.plot(x, values[kept], "o", color=MUTED, ms=2.4, mew=0, alpha=0.55, gid="replica")
        for cell, place in zip(cells, positions(cells, cells), strict=True):
            own = values[(decays == cell) & np.isfinite(values)]
            if not own.size:
                continue
            q25, middle, q75 = np.quantile(own, [0.25, 0.5, 0.75])
            axes.plot([place, place], [q25, q75], color=INK, linewidth=1.6, gid="quartiles")
            dot = {"color": LINE_COLOURS[0], "mec": GROUND, "mew": 0.7, "ms": 5.5}
            axes.plot(place, middle, "o", gid="median", zorder=4, **dot)
        axes.set_title(title)
    return figure


def draw_outcomes(axes: Axes, cells: pd.DataFrame) -> None:
    """Stacked shares of the outcomes, one bar per weight decay, counts inside, of `cell_table`."""
    at = np.arange(len(cells), dtype=np.float64)
    n = np.sum([column(cells, outcome) for outcome in OUTCOME_COLOURS], axis=0)
    bottom = np.zeros(len(cells))
    for outcome, colour in OUTCOME_COLOURS.items():
        counts = column(cells, outcome)
        if not counts.any():
            continue
        look: dict[str, Any] = {
            "color": colour,
            "hatch": _HATCHES.get(outcome, ""),
            "edgecolor": INK,
        }
        look |= {"linewidth": 0.5, "label": outcome, "gid": f"bar-{outcome}"}
        axes.bar(at, counts / n, 0.82, bottom=bottom, **look)
        dark = outcome in {"grokked", "collapsed", "diverged"}
        text = {"ha": "center", "va": "center", "fontsize": 7, "color": "white" if dark else INK}
        box = {"facecolor": colour, "linewidth": 0, "pad": 1.0}
        for place in np.flatnonzero(counts) if len(cells) <= 24 else ():
            middle = bottom[place] + counts[place] / n[place] / 2
            axes.text(at[place], middle, f"{counts[place]:.0f}", bbox=box, **text)
        bottom = bottom + counts / n
    step = max(1, round(len(cells) / 20))
    labels = [decay_label(value) for value in cells["weight_decay"]]
    axes.set_xticks(at[::step], labels[::step])
    axes.set_xlabel("weight decay")
    axes.set_ylabel("share of replicas")
    axes.set_ylim(0, 1)
    axes.grid(visible=False, axis="x")
