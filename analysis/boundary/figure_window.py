"""Both edges of the window in which networks grok: memorisation below it, collapse above it."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.boundary.figure_rate import draw_rates
from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, boundary_curve, limits, mark_critical
from observatory.analysis.page.style import INK, LINE_COLOURS, OUTCOME_COLOURS, WIDTH, styled

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
    share = column(cells, "collapsed") / np.maximum(column(cells, "n"), 1)
    if share.any():
        axes.plot(
            positions(decays, decays)[share > 0],
            share[share > 0],
            "x",
            color=OUTCOME_COLOURS["collapsed"],
            markersize=6,
            markeredgewidth=1.4,
            gid="share-collapsed",
            label="collapsed, share",
        )
    x = np.geomspace(decays[decays > 0].min(), decays.max(), 400)
    axes.plot(x, boundary_curve(record, x), color=INK, zorder=3, gid="fit", label="fitted window")
    for name, (colour, words) in _EDGES.items():
        mark_critical(axes, record, colour, "-", name)
        value, *ends = limits(record, name) or (np.nan, None, None)
        low, high = ("…" if end is None else f"{end:.3g}" for end in ends)
        label = f"{words}: {value:.3g} [{low}, {high}]"
        axes.plot([], [], color=colour, linewidth=1.0, label=label)
    axes.set_ylabel("share of replicas")
    handles, labels = axes.get_legend_handles_labels()
    handles, labels = [*handles[-1:], *handles[:-1]], [*labels[-1:], *labels[:-1]]  # points first
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure
