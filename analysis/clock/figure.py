"""Times on the axis of the clock, the boundary in learning rate and weight decay, residuals."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from observatory.analysis.fit.result import Fitted
from observatory.analysis.page.records import Record, columns_of
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    WIDTH,
    note,
    plain,
    plain_log_ticks,
    styled,
)
from observatory.analysis.page.wording import estimate

Array = NDArray[np.float64]
Columns = Mapping[str, Array]
Styles = Mapping[float, tuple[str, str]]
"""Colour and marker of each learning rate."""
_MARKERS = ("o", "s", "^", "D", "v")
_SHADES = (INK, "#737b84", "#b3bac1")
"""Horizons from the longest to shorter ones."""
_SLOPES = ("intercept", "lr_slope", "horizon_slope")
_DASHED = (0, (4, 2))
_OPEN: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 0.9}


def clock_figure(fitted: Fitted) -> Figure:
    """The figure of a clock that was asked of a table."""
    return draw_record(fitted.record)


@styled
def draw_record(record: Record) -> Figure:
    """The figure of one record: decay times, boundary, residuals."""
    figure = Figure(figsize=(WIDTH, 5.4))
    if record["refused"] is not None:
        note(figure.add_subplot(), "the fit refused")
        return figure
    grid = figure.add_gridspec(2, 2, height_ratios=(1.65, 1.0), width_ratios=(1.2, 1.0))
    times = columns_of(record, "times")
    styles = {
        lr: (LINE_COLOURS[i % 5], _MARKERS[i % 5])
        for i, lr in enumerate(np.unique(times["lr"]).tolist())
    }
    above = figure.add_subplot(grid[0, 0])
    _draw_times(above, record, times, styles)
    _draw_boundary(figure.add_subplot(grid[:, 1]), record)
    _draw_residuals(figure.add_subplot(grid[1, 0], sharex=above), times, styles)
    above.tick_params(axis="x", labelbottom=False)
    dots: dict[str, Any] = {"linestyle": "none", "markersize": 4.5}
    law = str(record["extras"]["law"]).replace("_", " ")
    handles = [
        Line2D([], [], color=colour, marker=marker, label=f"lr = {lr:g}", **dots)
        for lr, (colour, marker) in styles.items()
    ]
    handles += [
        Line2D([], [], color=MUTED, marker="o", label="median not reached", **dots, **_OPEN),
        Line2D([], [], color=MUTED, label=f"fitted law ({law})"),
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=3)
    return figure


def _draw_times(axes: Axes, record: Record, times: Columns, styles: Styles) -> None:
    """Decay times against lr x weight decay: one flat line under a clock."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    horizon, law = float(record["horizon_steps"] or np.nan), columns_of(record, "law")
    steps = np.nanmax([*times["q75"], *times["median"], 1.0]) if np.isnan(horizon) else horizon
    pace = times["lr"] * times["weight_decay"]
    for lr, (colour, marker) in styles.items():
        own = times["lr"] == lr
        x, middle = pace[own], times["median"][own] * pace[own]
        low, high = (times[end][own] * x for end in ("q25", "q75"))
        high = np.where(np.isnan(high), steps * x, high)
        axes.vlines(x, low, high, color=colour, linewidth=1.1, gid="quartiles")
        dots: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none"}
        axes.plot(x, middle, markersize=4.5, gid="decay-time", **dots)
        never = np.isnan(middle)
        axes.plot(x[never], steps * x[never], markersize=4.5, gid="never", **dots, **_OPEN)
        line = law["lr"] == lr
        line_x = law["lr"][line] * law["weight_decay"][line]
        line_y = np.where(law["median"][line] <= 1.5 * steps, law["median"][line], np.nan) * line_x
        axes.plot(line_x, line_y, color=colour, linewidth=0.9, alpha=0.8, gid="law")
    ends = np.array([pace.min(), pace.max()])
    axes.plot(ends, steps * ends, color=MUTED, linewidth=0.9, linestyle=_DASHED, gid="horizon")
    top = np.nanmax([*(times["median"] * pace), 1e-12])
    bottom = np.nanmin([*(times["q25"] * pace), 1e12])
    axes.set_ylim(min(bottom, top / 10) / 1.6, top * 3.0)
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel("decay time  lr × λ × t")
    axes.set_title(plain(f"Time t to {record['event']}; dashed: the horizon"))


def _draw_residuals(axes: Axes, times: Columns, styles: Styles) -> None:
    """How far the median of a cell lies from the law, in units of the scatter there."""
    axes.axhline(0.0, color=INK, linewidth=0.7)
    for lr, (colour, marker) in styles.items():
        own = times["lr"] == lr
        x = times["lr"][own] * times["weight_decay"][own]
        dots: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none"}
        axes.plot(x, times["residual"][own], markersize=4, gid="residual", **dots)
    reach = max(float(np.nanmax(np.abs(np.append(times["residual"], 0.5)))), 1.0) * 1.15
    axes.set_ylim(-reach, reach)
    plain_log_ticks(axes.xaxis)
    axes.set_xlabel("lr × weight decay λ")
    axes.set_ylabel("median − law\n(units of scatter)")


def _draw_boundary(axes: Axes, record: Record) -> None:
    """The critical weight decay against the learning rate at each horizon, beside both answers."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    points = columns_of(record, "boundary")
    horizons = np.unique(points["horizon"])[::-1]
    lrs = np.unique(points["lr"])
    ends = np.array([lrs[0] / 1.35, lrs[-1] * 1.35])

    def plane(lr: Array, steps: float) -> Array:
        a, b, c = (float(record["params"][name]["value"]) for name in _SLOPES)
        return np.exp(a - b * np.log(lr) - c * np.log(steps))

    for i, steps in enumerate(horizons.tolist()):
        shade = _SHADES[min(i, 2)]
        own = points["horizon"] == steps
        axes.plot(ends, plane(ends, steps), color=shade, linewidth=1.2, zorder=2, gid="plane")
        x, y = points["lr"][own], points["critical"][own]
        low, high = (np.where(np.isnan(points[e][own]), y, points[e][own]) for e in ("low", "high"))
        axes.vlines(x, low, high, color=shade, linewidth=1.2, gid="interval")
        dots: dict[str, Any] = {"color": shade, "marker": _MARKERS[i % 5], "linestyle": "none"}
        label = f"T = {steps:g} steps"
        axes.plot(x, y, markersize=5, label=label, zorder=3, gid="boundary", **dots)
    middle = np.full(2, np.exp(np.log(lrs).mean()))
    level = plane(middle, float(horizons[0]))
    guide: dict[str, Any] = {"color": LINE_COLOURS[3], "linewidth": 1.1, "zorder": 1}
    clock, flat = level * middle / ends, level
    axes.plot(ends, clock, linestyle=_DASHED, label="clock: slope −1", gid="clock", **guide)
    axes.plot(ends, flat, linestyle=":", label="threshold: slope 0", gid="threshold", **guide)
    axes.set_xlim(*ends)
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel("learning rate lr")
    axes.set_ylabel("critical weight decay λc")
    said = [f"{name} = {estimate(record, of)}" for name, of in zip("bc", _SLOPES[1:], strict=True)]
    axes.set_title(plain("\n".join(["log λc = a − b log lr − c log T", *said])))
    axes.legend(loc="lower left")
