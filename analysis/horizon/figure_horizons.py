"""The same records, censored at several horizons: the boundary moves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from observatory.analysis.boundary.figure_rate import draw_rates
from observatory.analysis.fit.observed import Opened
from observatory.analysis.page.decay_axis import draw_decay_axis
from observatory.analysis.page.frames import column, evenly
from observatory.analysis.page.records import (
    Record,
    columns_of,
    draw_boundary_curve,
    limits,
    mark_critical,
)
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    note,
    plain,
    plain_log_ticks,
    styled,
)

_FORESIGHT = 4.0  # laws are drawn up to this multiple of the longest horizon: there they part
_DASHED = (0, (4, 2))


@dataclass(frozen=True)
class Track:
    """The critical weight decay against the horizon, as observed or of a law, `[horizon]`."""

    label: str  # what the legend says
    horizon: NDArray[np.float64]  # in steps
    critical: NDArray[np.float64]  # NaN where there is none, as are its limits
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    family: int = 0  # index of the law's distribution, which sets the colour
    free: bool = False  # whether the law has a critical weight decay of its own: dashed, else solid


def _draw_track(axes: Axes, observed: Track, laws: Sequence[Track], deciding: float | None) -> None:
    """lambda_c against the horizon, and what laws, or a time of C / weight_decay, give."""
    axes.set_title("λc against the horizon")
    found = ~np.isnan(observed.critical)
    if not found.any():
        note(axes, "no boundary was found")
        return
    axes.set_xscale("log")
    axes.set_yscale("log")
    x, y = observed.horizon[found], observed.critical[found]
    ends = (observed.low[found], observed.high[found])
    low, high = (np.where(np.isnan(end), y, end) for end in ends)
    for horizon, start, end in zip(x, low, high, strict=True):
        axes.plot([horizon, horizon], [start, end], "_-", color=INK, lw=1.0, gid="interval")
    axes.plot(x, y, "s", color=INK, markersize=4.5, gid="critical-at-horizon", zorder=5)
    bottom, top = float(low[low > 0].min(initial=y.min())), float(high.max())
    first, last = float(x.min()), float(x.max())
    if laws:
        last = min(_FORESIGHT * last, max(float(law.horizon.max()) for law in laws))
        inside = [law.critical[(law.horizon >= first) & (law.horizon <= last)] for law in laws]
        inside = np.concatenate(inside)
        bottom = max(min(bottom, float(inside[inside > 0].min(initial=bottom))), bottom / 30)
    margin = max(top / bottom, 2.0) ** 0.08
    limits_y = (bottom / margin, top * margin)
    for law in laws:
        inside = (law.critical >= limits_y[0] / 2) & (law.critical <= limits_y[1] * 2)
        style = {"linestyle": _DASHED if law.free else "-", "linewidth": 1.1}
        seen = np.where(inside, law.critical, np.nan)
        gid = "law-free" if law.free else "law-zero"
        axes.plot(law.horizon, seen, color=LINE_COLOURS[law.family % 5], gid=gid, **style)
    if not laws and x.size > 1:
        line, anchor = np.sort(x), int(np.argmax(x))
        inverse = y[anchor] * x[anchor] / line
        axes.plot(line, inverse, color=MUTED, lw=1.0, ls=LINE_STYLES[1], gid="inverse")
    if deciding is not None and x.max() < deciding <= last:
        axes.axvline(deciding, color=MUTED, lw=1.0, ls=LINE_STYLES[2], gid="deciding")
    axes.set_ylim(*limits_y)
    axes.set_xlim(first / 1.15, last * 1.15)
    plain_log_ticks(axes.yaxis)
    plain_log_ticks(axes.xaxis)
    axes.set_xlabel("horizon (steps)")


def _draw_rates(
    axes: Axes, horizon: int, table: pd.DataFrame, record: Record | None, window_max: float
) -> None:
    draw_decay_axis(axes, table["weight_decay"].tolist(), spacing=0.075)
    draw_rates(axes, table, counts=False)
    title = f"{horizon} steps"
    if record is not None and (found := limits(record, "critical")):
        decays = column(table, "weight_decay")
        draw_boundary_curve(axes, record, decays, window_max, {"color": LINE_COLOURS[0]})
        mark_critical(axes, record, LINE_COLOURS[0], "-")
        title += f"\nλc = {found[0]:.3g}"
    else:
        title += "\nfit refused"
    axes.set_title(title)
    axes.tick_params(axis="x", labelrotation=90, labelsize=6.5, labelcolor=INK)


@styled
def horizons_figure(
    cells: Mapping[int, pd.DataFrame],
    records: Sequence[Record],
    window_max: float,
    observed: Track,
    laws: Sequence[Track],
    deciding: float | None,
) -> Figure:
    """Rates at some horizons, and the critical weight decay against the horizon with its laws.

    `cells` are the counts at each horizon, in steps, `records` boundaries of one estimator there.
    Without `laws` the slope is drawn that a time of C / weight decay would give; `deciding` is a
    horizon in steps that would decide between the laws, or None.
    """
    chosen = [int(horizon) for horizon in evenly(sorted(cells), 3)]
    figure = Figure(figsize=(WIDTH, 3.1))
    widths = [*[1.0] * len(chosen), 1.75]
    panels = figure.subplots(1, len(chosen) + 1, squeeze=False, width_ratios=widths)[0]
    by_horizon = {record["horizon_steps"]: record for record in records}
    for axes, horizon in zip(panels, chosen, strict=False):
        _draw_rates(axes, horizon, cells[horizon], by_horizon.get(horizon), window_max)
    panels[0].set_ylabel("event rate")
    for axes in panels[1:-1]:
        axes.tick_params(axis="y", labelleft=False)
    _draw_track(panels[-1], observed, laws, deciding)
    found = not np.isnan(observed.critical).all()
    handles = _handles(observed, laws) if found else []
    if deciding is not None and deciding > float(observed.horizon.max(initial=0.0)):
        dotted = {"color": MUTED, "linestyle": LINE_STYLES[2]}
        handles.append(Line2D([], [], label="horizon that would decide", **dotted))
    if handles:
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _handles(observed: Track, laws: Sequence[Track]) -> list[Line2D]:
    seen = {"color": INK, "marker": "s", "markersize": 4.5, "linewidth": 1}
    lines: dict[str, dict[str, Any]] = {observed.label: seen}
    if not laws:
        lines["∝ 1 / horizon"] = {"color": MUTED, "linestyle": LINE_STYLES[1]}
    lines |= {law.label: {"color": LINE_COLOURS[law.family % 5]} for law in laws}
    if any(law.free for law in laws):
        lines["dashed: λc free"] = {"color": MUTED, "linestyle": _DASHED}
    if any(not law.free for law in laws):
        lines["solid: λc = 0"] = {"color": MUTED}
    return [Line2D([], [], label=label, **style) for label, style in lines.items()]


def draw_horizon(axes: Axes, record: Record, opened: Opened) -> None:
    """The boundary against the horizon, and what the preferred laws of the times make of it."""
    seen = columns_of(record, "boundary")
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = (np.where(np.isnan(seen[e]), seen["critical"], seen[e]) for e in ("low", "high"))
    axes.vlines(seen["horizon"], low, high, color=INK, linewidth=1.0, gid="interval")
    style = {"color": INK, "markersize": 4.5, "gid": "critical-at-horizon"}
    axes.plot(seen["horizon"], seen["critical"], "s", label="boundary", **style)
    best = record["extras"]["best_distribution"]
    words = {"zero": "no threshold", "free": "threshold free"}
    for index, (kind, meaning) in enumerate(words.items()):
        law = columns_of(record, f"law_{kind}_{best}")
        style = {"color": LINE_COLOURS[index], "linestyle": LINE_STYLES[index]}
        label = f"{best} times, {meaning}"
        axes.plot(law["horizon"], law["critical"], gid=f"law-{kind}", label=label, **style)
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel("horizon (steps)")
    axes.set_ylabel(f"critical {plain(opened.observations.control)}")
    entitle(axes, record, None)
