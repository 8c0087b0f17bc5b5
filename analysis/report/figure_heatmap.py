"""Event rates over groups and weight decays, as a map with the counts in it."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import column
from observatory.analysis.page.style import (
    INK,
    MUTED,
    OUTCOME_COLOURS,
    WIDTH,
    finish_colour_bar,
    plain,
    styled,
)

_MAX_COUNTED = 16
"""Columns up to which both numbers of a cell fit in; of more, only the first is printed."""
_SCALE = LinearSegmentedColormap.from_list("rate", ["#f4f6f8", OUTCOME_COLOURS["grokked"]])


@styled
def heatmap_figure(groups: Sequence[tuple[str, pd.DataFrame]]) -> Figure:
    """A row per group, a column per weight decay, its colour the rate, k of n printed in it.

    Args:
        groups: Label and table of `cell_table` of each; a weight decay that one lacks stays blank.
    """
    decays = np.unique(np.concatenate([column(cells, "weight_decay") for _, cells in groups]))
    size = (len(groups), decays.size)
    rate, labels = np.full(size, np.nan), np.full(size, "", dtype=object)
    for row, (_, cells) in enumerate(groups):
        places = np.searchsorted(decays, column(cells, "weight_decay"))
        rate[row, places] = column(cells, "rate")
        for place, k, n in zip(places, cells["n_event"], cells["n"], strict=True):
            labels[row, place] = f"{k}/{n}" if decays.size <= _MAX_COUNTED else f"{k}"
    lines = max(label.count("\n") + 1 for label, _ in groups)
    figure = Figure(figsize=(WIDTH, 0.95 + (0.17 + 0.15 * lines) * size[0]))
    axes = figure.add_subplot()
    drawn = axes.pcolormesh(
        np.arange(decays.size + 1) - 0.5,
        np.arange(size[0] + 1) - 0.5,
        np.ma.masked_invalid(rate),
        cmap=_SCALE,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=1.0,
        gid="rates",
    )
    for (row, place), text in np.ndenumerate(labels):
        dark = rate[row, place] > 0.55
        axes.text(
            place,
            row,
            text or "–",
            ha="center",
            va="center",
            fontsize=6.5,
            color="white" if dark else INK if text else MUTED,
            gid="count",
        )
    axes.set_ylim(size[0] - 0.5, -0.5)
    step = max(1, -(-decays.size // 24))
    axes.set_xticks(np.arange(decays.size)[::step], [decay_label(d) for d in decays[::step]])
    axes.tick_params(axis="x", labelrotation=90 if decays.size > 14 else 0, length=0)
    axes.set_yticks(np.arange(size[0]), [plain(label) for label, _ in groups])
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel("weight decay")
    bar = figure.colorbar(drawn, ax=axes, pad=0.015, aspect=12, ticks=[0, 0.5, 1])
    finish_colour_bar(bar, "event rate")
    return figure
