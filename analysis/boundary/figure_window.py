"""Both edges of the window in which networks grok: memorisation below it, collapse above it."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.boundary.figure_rate import draw_rates, draw_share, finish_rates
from observatory.analysis.page.decay_axis import draw_decay_axis
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, draw_boundary_curve, limits, mark_critical
from observatory.analysis.page.style import INK, LINE_COLOURS, WIDTH, styled

_EDGES = {
    "critical": (LINE_COLOURS[0], "memorisation edge"),
    "critical_upper": (LINE_COLOURS[1], "collapse edge"),
}


@styled
def window_figure(cells: pd.DataFrame, record: Record) -> Figure:
    """Rates over all weight decays, the fitted window and the intervals of its two edges.

    Args:
        cells: The table of `cell_table`.
        record: A fitted window with the parameters critical and critical_upper.
    """
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.add_subplot()
    decays = column(cells, "weight_decay")
    draw_decay_axis(axes, decays.tolist())
    draw_rates(axes, cells, counts=True)
    draw_share(axes, cells, "collapsed")
    look = {"color": INK, "label": "fitted window"}
    draw_boundary_curve(axes, record, decays, np.inf, look, n_points=400)
    for name, (colour, words) in _EDGES.items():
        mark_critical(axes, record, colour, "-", name)
        value, *ends = limits(record, name) or (np.nan, None, None)
        low, high = ("…" if end is None else f"{end:.3g}" for end in ends)
        label = f"{words}: {value:.3g} [{low}, {high}]"
        axes.plot([], [], color=colour, linewidth=1.0, label=label)
    finish_rates(figure, axes)
    return figure
