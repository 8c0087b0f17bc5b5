"""The same records, censored at several horizons: the boundary moves."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from observatory.analysis.figures.boundary import Record, boundary_curve, limits, mark_critical
from observatory.analysis.figures.decay_axis import draw_decay_axis
from observatory.analysis.figures.rate import draw_rates
from observatory.analysis.figures.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    WIDTH,
    note,
    plain_log_ticks,
    styled,
)


def _draw_critical(axes: Axes, records: Sequence[Record]) -> None:
    """lambda_c against the horizon, and the slope that a time of C / weight_decay would give."""
    points = [(r["horizon_steps"], limits(r, "critical")) for r in records]
    found = [(horizon, c) for horizon, c in points if horizon is not None and c is not None]
    axes.set_title("λc against\nthe horizon")
    if not found:
        note(axes, "no boundary was found")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    for horizon, (value, low, high) in found:
        ends = [value if end is None else end for end in (low, high)]
        colour = LINE_COLOURS[0]
        axes.plot([horizon, horizon], ends, "_-", color=colour, linewidth=1.0, gid="interval")
        axes.plot(horizon, value, "s", color=colour, markersize=4.5, gid="critical-at-horizon")
    horizons = np.array(sorted(horizon for horizon, _ in found), dtype=np.float64)
    if horizons.size > 1:
        longest, anchor = max(found, key=lambda pair: pair[0])
        axes.plot(
            horizons,
            anchor[0] * longest / horizons,
            color=MUTED,
            linestyle=(0, (4, 2)),
            linewidth=1.0,
            gid="inverse",
            label="∝ 1 / horizon",
        )
        axes.legend(loc="best")
    axes.xaxis.set_major_locator(FixedLocator(horizons.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(horizons.tolist(), [f"{horizon:.0f}" for horizon in horizons])
    axes.set_xlim(horizons[0] / 1.3, horizons[-1] * 1.3)
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel("horizon (steps)")


@styled
def horizons_figure(
    cells: Mapping[int, pd.DataFrame], records: Sequence[Record], window_max: float
) -> Figure:
    """One panel of rates per horizon, and the critical weight decay against the horizon.

    Args:
        cells: The table of `cell_table` at each horizon, in steps.
        records: Boundaries of one estimator at these horizons.
        window_max: Largest weight decay that entered the fits.
    """
    figure = Figure(figsize=(WIDTH, 2.7))
    panels = figure.subplots(1, len(cells) + 1, squeeze=False)[0]
    by_horizon = {record["horizon_steps"]: record for record in records}
    for axes, (horizon, table) in zip(panels, sorted(cells.items()), strict=False):
        draw_decay_axis(axes, table["weight_decay"].tolist(), spacing=0.058)
        draw_rates(axes, table, counts=False)
        record = by_horizon.get(horizon)
        inside = table.loc[table["weight_decay"] > 0, "weight_decay"]
        inside = inside[inside <= window_max]
        title = f"{horizon} steps"
        if record is not None and (found := limits(record, "critical")) and len(inside) > 1:
            x = np.geomspace(inside.min(), inside.max(), 200)
            axes.plot(x, boundary_curve(record, x), color=LINE_COLOURS[0], zorder=3, gid="fit")
            mark_critical(axes, record, LINE_COLOURS[0], "-")
            title += f"\nλc = {found[0]:.3g}"
        else:
            title += "\nfit refused"
        axes.set_title(title)
        axes.tick_params(axis="x", labelrotation=90)
        axes.tick_params(axis="x", labelsize=6.5, labelcolor=INK)
    panels[0].set_ylabel("share grokked")
    for axes in panels[1:-1]:
        axes.tick_params(axis="y", labelleft=False)
    _draw_critical(panels[-1], records)
    return figure
