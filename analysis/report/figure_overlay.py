"""Boundaries of several groups in one figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column
from observatory.analysis.page.records import Record, draw_boundary_curve, limits, mark_critical
from observatory.analysis.page.style import LINE_COLOURS, LINE_STYLES, WIDTH, plain, styled

_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
MAX_GROUPS = 10
"""Groups up to which curves in one panel can be distinguished."""


@dataclass(frozen=True)
class Boundary:
    """Cells of a group, and its fitted boundary, or None where no estimator gave one."""

    label: str
    cells: pd.DataFrame
    record: Record | None


@styled
def overlay_figure(boundaries: Sequence[Boundary], window_max: float) -> Figure:
    """Rates with Wilson intervals, slightly spread sideways, and the fitted curves."""
    figure = Figure(figsize=(WIDTH, 3.6 + 0.17 * len(boundaries)))
    axes = figure.add_subplot()
    everywhere = np.unique(np.concatenate([column(b.cells, "weight_decay") for b in boundaries]))
    draw_decay_axis(axes, everywhere.tolist())
    apart = min(0.028, 0.12 / len(boundaries))  # decades: markers at one rate stay visible
    spread = apart * (np.arange(len(boundaries)) - (len(boundaries) - 1) / 2)
    for index, (boundary, shift) in enumerate(zip(boundaries, spread, strict=True)):
        colour, style = LINE_COLOURS[index % 5], LINE_STYLES[index // 5]
        decays, rate = column(boundary.cells, "weight_decay"), column(boundary.cells, "rate")
        low, high = (column(boundary.cells, name) for name in ("wilson_low", "wilson_high"))
        axes.errorbar(
            positions(decays, everywhere) * 10.0**shift,
            rate,
            yerr=np.stack([rate - low, high - rate]).clip(min=0),
            fmt=_MARKERS[index % len(_MARKERS)],
            color=colour,
            markersize=4,
            elinewidth=0.8,
            zorder=4,
            gid="rates",
            label=plain(boundary.label),
        )
        if boundary.record is None or limits(boundary.record, "critical") is None:
            continue
        look = {"color": colour, "linestyle": style}
        draw_boundary_curve(axes, boundary.record, decays, window_max, look)
        mark_critical(axes, boundary.record, colour, style)
    axes.set_ylim(-0.05, 1.06)
    axes.set_ylabel("event rate")
    figure.legend(loc="outside lower center", ncols=1 if len(boundaries) < 5 else 2)
    return figure
