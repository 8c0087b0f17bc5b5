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

from observatory.analysis.fit.observed import Opened
from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column, evenly
from observatory.analysis.page.records import (
    Record,
    columns_of,
    draw_boundary_curve,
    limits,
)
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    WIDTH,
    plain,
    plain_log_ticks,
    shades,
    styled,
)

_FORESIGHT = 4.0  # laws are drawn up to this multiple of the longest horizon: there they part
_KINDS: dict[bool, dict[str, Any]] = {
    False: {"color": LINE_COLOURS[0], "linestyle": "-", "linewidth": 1.2},
    True: {"color": LINE_COLOURS[1], "linestyle": (0, (4, 2)), "linewidth": 1.2},
}
"""Laws without a critical weight decay of their own, and with one."""


@dataclass(frozen=True)
class Track:
    """The critical weight decay against the horizon, as observed or of a law, `[horizon]`."""

    label: str  # what the legend says
    horizon: NDArray[np.float64]  # in steps
    critical: NDArray[np.float64]  # NaN where there is none, as are its limits
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    free: bool = False  # whether the law has a critical weight decay of its own


def _draw_track(axes: Axes, observed: Track, laws: Sequence[Track], deciding: float | None) -> None:
    """lambda_c against the horizon, and what laws, or a time of C / weight_decay, give."""
    axes.set_title("λc against the horizon")
    found = ~np.isnan(observed.critical)
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
    for free, style in _KINDS.items():
        own = [law for law in laws if law.free == free]
        if own:
            steps = own[0].horizon
            every = np.sort([law.critical for law in own], axis=0)  # of one grid of horizons
            band = {"color": style["color"], "alpha": 0.16, "linewidth": 0, "gid": "laws"}
            axes.fill_between(steps, every[0], every[-1], **band)
            gid = "law-free" if free else "law-zero"
            axes.plot(steps, every[len(own) // 2], gid=gid, **style)
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
    axes: Axes,
    cells: Mapping[int, pd.DataFrame],
    records: Mapping[int, Record],
    window_max: float,
) -> None:
    """The rates at some horizons, with the fitted curves of those that have one."""
    every = sorted({d for table in cells.values() for d in table["weight_decay"]})
    draw_decay_axis(axes, every, spacing=0.06)
    looks = zip(cells.items(), shades(len(cells)), (-0.025, 0.0, 0.025), strict=False)
    for (horizon, table), colour, aside in looks:  # decades: equal rates stay visible
        decays = column(table, "weight_decay")
        dots = {"color": colour, "markersize": 4, "label": f"{horizon} steps", "gid": "rates"}
        axes.plot(positions(decays, every) * 10**aside, column(table, "rate"), "o", **dots)
        if (record := records.get(horizon)) is not None and limits(record, "critical"):
            draw_boundary_curve(axes, record, decays, window_max, {"color": colour})
    axes.set_ylim(-0.05, 1.05)
    axes.set_title("Event rate")


@styled
def horizons_figure(
    cells: Mapping[int, pd.DataFrame],
    records: Sequence[Record],
    window_max: float,
    observed: Track,
    laws: Sequence[Track],
    deciding: float | None,
) -> Figure:
    """Rates at three horizons, and the critical weight decay against the horizon with its laws.

    `cells` are the counts at each horizon, in steps, `records` boundaries of one estimator there.
    Without `laws` the slope is drawn that a time of C / weight decay would give; `deciding` is a
    horizon in steps that would decide between the laws, or None.
    """
    chosen = {int(horizon): cells[int(horizon)] for horizon in evenly(sorted(cells), 3)}
    figure = Figure(figsize=(WIDTH, 3.1))
    left, right = figure.subplots(1, 2)
    _draw_rates(left, chosen, {r["horizon_steps"]: r for r in records}, window_max)
    _draw_track(right, observed, laws, deciding)
    handles = [*left.get_legend_handles_labels()[0], *_handles(observed, laws)]
    if deciding is not None and deciding > float(observed.horizon.max(initial=0.0)):
        dotted = {"color": MUTED, "linestyle": LINE_STYLES[2]}
        handles.append(Line2D([], [], label="horizon that would decide", **dotted))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure


def _handles(observed: Track, laws: Sequence[Track]) -> list[Line2D]:
    seen = {"color": INK, "marker": "s", "markersize": 4.5, "linewidth": 1}
    handles = [Line2D([], [], label=observed.label, **seen)]
    if not laws:
        dashed = {"color": MUTED, "linestyle": LINE_STYLES[1]}
        handles.append(Line2D([], [], label="∝ 1 / horizon", **dashed))
    words = {False: "laws with λc = 0", True: "laws with λc free"}
    there = {law.free for law in laws}
    return handles + [
        Line2D([], [], label=words[free], **style)
        for free, style in _KINDS.items()
        if free in there
    ]


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
