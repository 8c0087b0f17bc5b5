"""Event rate against weight decay, with the fitted boundary, or both edges of a window."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import (
    Record,
    draw_boundary_curve,
    estimator_name,
    limits,
    mark_critical,
)
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    OUTCOME_COLOURS,
    plain,
)
from observatory.analysis.page.wording import with_ends

_MARKERS = {"collapsed": "x", "diverged": "+", "lost": "D"}
_EDGES = {
    "critical": (LINE_COLOURS[0], "memorisation edge"),
    "critical_upper": (LINE_COLOURS[1], "collapse edge"),
}


def draw_rates(axes: Axes, cells: pd.DataFrame, *, counts: bool) -> None:
    """Points with Wilson intervals; where `counts`, the number of replicas above each."""
    x = positions(cells["weight_decay"], cells["weight_decay"])
    rate = cells["rate"].to_numpy()
    spread = np.stack([rate - cells["wilson_low"], cells["wilson_high"] - rate]).clip(min=0)
    look = {"fmt": "o", "color": INK, "markersize": 4.5, "elinewidth": 1.0, "capsize": 2}
    label = "event rate, with Wilson interval"
    axes.errorbar(x, rate, yerr=spread, **look, zorder=4, gid="rates", label=label)
    for place, n in zip(x, cells["n"], strict=True) if counts else ():
        axes.text(place, 1.045, f"{n}", ha="center", va="bottom", fontsize=6.5, color=MUTED)
    axes.set_ylim(-0.05, 1.12)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1])


def _draw_share(axes: Axes, cells: pd.DataFrame, kind: str) -> None:
    """The share of replicas with an outcome, where it is above 0."""
    share = column(cells, kind) / np.maximum(column(cells, "n"), 1)
    if share.any():
        x = positions(cells["weight_decay"], cells["weight_decay"])[share > 0]
        style = {"markersize": 6, "markerfacecolor": "none", "markeredgewidth": 1.4, "zorder": 5}
        label, colour = f"{kind}, share", OUTCOME_COLOURS[kind]
        axes.plot(x, share[share > 0], _MARKERS[kind], color=colour, gid=f"share-{kind}",
                  label=label, **style)  # fmt: skip


def _draw_curve(
    axes: Axes, record: Record, decays: NDArray[np.float64], window_max: float, index: int
) -> None:
    found = with_ends(*(limits(record, "critical") or (np.nan, None, None)))
    colour, style = LINE_COLOURS[index % 5], LINE_STYLES[index % 5]
    label = f"{plain(estimator_name(record))}: λc = {found}"
    look = {"color": colour, "linestyle": style, "label": label}
    draw_boundary_curve(axes, record, decays, window_max, look)
    if index == 0:
        mark_critical(axes, record, colour, style)


def draw_rate_and_boundary(
    axes: Axes, cells: pd.DataFrame, boundaries: Sequence[Record], window_max: float
) -> None:
    """Event rate per weight decay, the fitted curves, the first critical point.

    Args:
        axes: Where to draw.
        cells: The table of `cell_table`.
        boundaries: Records of fitted boundaries at the same horizon; refused ones are not drawn.
        window_max: Largest weight decay that entered the fits.
    """
    draw_decay_axis(axes, cells["weight_decay"].tolist())
    draw_rates(axes, cells, counts=True)
    for kind in _MARKERS:
        _draw_share(axes, cells, kind)
    drawn = [record for record in boundaries if limits(record, "critical")]
    for index, record in enumerate(drawn):
        _draw_curve(axes, record, column(cells, "weight_decay"), window_max, index)
    axes.set_ylabel("share of replicas")


def draw_window(axes: Axes, cells: pd.DataFrame, record: Record) -> None:
    """Rates over all weight decays, the fitted window and the intervals of its two edges."""
    decays = column(cells, "weight_decay")
    draw_decay_axis(axes, decays.tolist())
    draw_rates(axes, cells, counts=True)
    _draw_share(axes, cells, "collapsed")
    look = {"color": INK, "label": "fitted window"}
    draw_boundary_curve(axes, record, decays, np.inf, look, n_points=400)
    for name, (colour, words) in _EDGES.items():
        mark_critical(axes, record, colour, "-", name)
        label = f"{words}: {with_ends(*(limits(record, name) or (np.nan, None, None)))}"
        axes.plot([], [], color=colour, linewidth=1.0, label=label)
    axes.set_ylabel("share of replicas")
