"""What was read of every replica against weight decay: a panel per quantity."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.decay_axis import draw_decay_axis, positions, spread_positions
from observatory.analysis.page.frames import column
from observatory.analysis.page.style import GROUND, INK, LINE_COLOURS, MUTED, WIDTH, styled


@styled
def order_parameters_figure(readings: pd.DataFrame, titles: Mapping[str, str]) -> Figure:
    """Every replica as a dot, medians and quartiles of a weight decay over them.

    Args:
        readings: weight_decay and a column per quantity, a row per replica; NaN: not defined.
        titles: Quantities in the order of the panels, with what is written above each.
    """
    figure = Figure(figsize=(WIDTH, 2.7))
    grid = figure.subplots(1, len(titles), squeeze=False)[0]
    decays = column(readings, "weight_decay")
    cells = np.unique(decays)
    x = spread_positions(readings["weight_decay"], 0.09)
    for axes, (name, title) in zip(grid, titles.items(), strict=True):
        draw_decay_axis(axes, cells.tolist(), spacing=0.11)
        values = column(readings, name)
        axes.plot(x, values, "o", color=MUTED, ms=2.4, mew=0, alpha=0.55, gid="replica")
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
