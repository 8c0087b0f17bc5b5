"""Train and val curves of every weight decay, a panel each."""

from math import ceil
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import column, where, words
from observatory.analysis.page.panels import chosen_decays, finish_steps
from observatory.analysis.page.style import LINE_COLOURS, WIDTH, plain_log_ticks, styled

_SPLITS = {"val": (LINE_COLOURS[0], "-", "val"), "train": (LINE_COLOURS[1], (0, (4, 1.5)), "train")}
_COLUMNS = 4


def _draw_cell(axes: Axes, cell: pd.DataFrame, kind: str) -> None:
    for split, (colour, style, label) in _SPLITS.items():
        line = where(cell, words(cell, "quantity") == f"{split}_{kind}")
        axes.plot(
            line["step"],
            line["median"],
            color=colour,
            linestyle=style,
            label=label,
            gid=f"median-{split}",
        )
        axes.fill_between(
            column(line, "step"),
            line["q25"],
            line["q75"],
            color=colour,
            alpha=0.18,
            linewidth=0,
            gid=f"quartiles-{split}",
        )


@styled
def trajectories_figure(bands: pd.DataFrame, kind: Literal["acc", "loss"], unit: str) -> Figure:
    """Median and quartiles of the train and val accuracy, or loss, against steps.

    Args:
        bands: The table that `bands` makes, of the quantities train_acc and val_acc, or the losses.
        kind: "acc" for accuracy, 0-1; "loss" on a log axis.
        unit: What the vertical axis says.
    """
    decays = chosen_decays(bands["weight_decay"].tolist())
    columns = min(_COLUMNS, len(decays))
    rows = ceil(len(decays) / columns)
    figure = Figure(figsize=(WIDTH, 0.5 + 1.35 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes, decay in zip(grid.flat, decays, strict=False):
        cell = where(bands, column(bands, "weight_decay") == decay)
        _draw_cell(axes, cell, kind)
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
    handles, labels = first.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=2)
    return figure
