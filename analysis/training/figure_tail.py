"""The late part of long records, on a linear axis: a panel per quantity, a line per replica."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import column, where
from observatory.analysis.page.panels import LEGEND, finish_steps
from observatory.analysis.page.style import LINE_COLOURS, WIDTH, note, styled

_COLUMNS = 2


@styled
def tail_figure(
    tables: Mapping[str, pd.DataFrame],
    titles: Mapping[str, str],
    window: tuple[float, float],
    decays: Sequence[float],
) -> Figure:
    """Every replica by itself, coloured by weight decay.

    Args:
        tables: Columns replica (an index), weight_decay, step and value, by quantity.
        titles: Quantities in the order of the panels, with what is written above each.
        window: First and last step.
        decays: The weight decays of the figure, at most as many as there are line colours.
    """
    columns = min(_COLUMNS, len(titles))
    rows = ceil(len(titles) / columns)
    figure = Figure(figsize=(WIDTH, 0.8 + 1.75 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    colours = dict(zip(decays, LINE_COLOURS, strict=False))
    for axes, (name, title) in zip(grid.flat, titles.items(), strict=False):
        table, drawn = tables[name], False
        for _, line in table.groupby("replica"):
            inside = where(line, (column(line, "step") >= window[0]))
            if inside.empty or not np.isfinite(column(inside, "value")).any():
                continue
            colour, drawn = colours[float(column(inside, "weight_decay")[0])], True
            look = {"color": colour, "linewidth": 0.8, "gid": "replica"}
            axes.plot(column(inside, "step"), column(inside, "value"), **look)
        if not drawn:
            note(axes, "no finite reading")
        axes.set_title(title)
        axes.set_xlim(*window)
    finish_steps(grid, len(titles), log=False)
    handles = [Line2D([], [], color=colours[d], label=decay_label(d)) for d in decays]
    figure.legend(handles=handles, loc="outside upper center", ncols=6, **LEGEND)
    return figure
