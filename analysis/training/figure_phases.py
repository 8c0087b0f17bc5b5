"""Two phases of training: heads coordinate, then differentiate, against three clocks."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import LEGEND, decay_handles, draw_lines
from observatory.analysis.page.style import MUTED, WIDTH, note, plain_log_ticks, styled

_TITLES = {"val_acc": "val accuracy (0–1)", "s_bar": "s_bar", "sigma_h": "sigma_h (nats)"}
"""Quantities in the order of the rows."""


@styled
def phases_figure(clocks: Mapping[str, pd.DataFrame]) -> Figure:
    """A column per clock, a row per quantity: medians and quartiles, a colour per weight decay.

    Args:
        clocks: Tables as of `bands` or `aligned`, by what the horizontal axis says; where it counts
            in units of a replica's own time, 1 is marked. Empty: no replica had that event.
    """
    found = {name for table in clocks.values() for name in table["quantity"]}
    titles = {name: title for name, title in _TITLES.items() if name in found}
    figure = Figure(figsize=(WIDTH, 0.6 + 1.55 * len(titles)))
    grid = figure.subplots(len(titles), len(clocks), squeeze=False, sharex="col", sharey="row")
    decays = sorted({decay for table in clocks.values() for decay in table["weight_decay"]})
    for place, (label, table) in enumerate(clocks.items()):
        for axes, quantity in zip(grid[:, place], titles, strict=True):
            if table.empty:
                note(axes, "no replica\nhad this event")
                continue
            draw_lines(axes, table, quantity, {}, spread=True, decays=decays)
            if "/" in label:
                axes.axvline(1.0, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), gid="event")
        grid[-1, place].set_xlabel(label)
        if not table.empty:
            plain_log_ticks(grid[-1, place].xaxis)
    for axes, title in zip(grid[:, 0], titles.values(), strict=True):
        axes.set_ylabel(title)
    figure.align_ylabels(grid[:, 0])
    handles = decay_handles(decays, marked=False)
    figure.legend(handles=handles, loc="outside upper center", ncols=6, **LEGEND)
    return figure
