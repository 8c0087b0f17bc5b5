"""Times to grok fitted to a table: times with the law, or the share that has grokked."""

import numpy as np
from matplotlib.axes import Axes

from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import evenly
from observatory.analysis.page.records import Record, columns_of, estimator_name
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    decay_colours,
    plain,
    plain_log_ticks,
)
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.text import number

_MAX_CURVES = 6


def draw_times(axes: Axes, record: Record, data: Observations) -> None:
    """Times of the runs that grokked, ends of the records of the others, and the fitted law."""
    cells = data.weight_decay.tolist()
    draw_decay_axis(axes, cells, spacing=0.07)
    axes.set_yscale("log")
    x = positions(data.weight_decay, cells)
    seen = data.grokked & (data.time > 0)
    axes.plot(x[seen], data.time[seen], "o", color=INK, markersize=3, gid="grokked",
              label="grokked")  # fmt: skip
    if (~seen).any():
        style = {"color": MUTED, "markerfacecolor": "none", "markersize": 4.5}
        label = "not grokked, at the last step watched"
        axes.plot(x[~seen], data.followed[~seen], "^", gid="censored", label=label, **style)
    params = {name: parameter["value"] for name, parameter in record["params"].items()}
    if {"amplitude", "nu"} <= set(params):
        critical = params.get("critical", record["extras"].get("critical") or 0.0)
        inside = data.within(record["extras"].get("window_max")).weight_decay
        inside = inside[inside > critical]
        if inside.size:
            decays = np.geomspace(inside.min(), inside.max(), 300)
            law = params["amplitude"] * (decays - critical) ** -params["nu"]
            bottom, top = axes.get_ylim()
            label = f"{plain(estimator_name(record))}: ν = {number(params['nu'])}"
            seen = np.where((law >= bottom) & (law <= top), law, np.nan)
            axes.plot(decays, seen, color=LINE_COLOURS[0], gid="power-law", label=label)
            axes.set_ylim(bottom, top)
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel("time to grok (steps)")
    entitle(axes, record, data.control)


def draw_survival(axes: Axes, record: Record, data: Observations) -> None:
    """The share that has grokked against time, for a few values of the control."""
    curves = columns_of(record, "km")
    values = evenly(np.unique(curves["weight_decay"]).tolist(), _MAX_CURVES)
    colours = decay_colours(values)
    for value in values:
        at = curves["weight_decay"] == value
        steps, share = curves["step"][at], curves["share"][at]
        style = {"color": colours[value], "step": "post", "alpha": 0.14, "linewidth": 0}
        axes.fill_between(steps, curves["low"][at], curves["high"][at], **style)
        label = f"{plain(data.control)} {value:g}"
        axes.step(steps, share, where="post", color=colours[value], gid="incidence", label=label)
    axes.set_xlabel("steps")
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("share that has grokked")
    entitle(axes, record, None)
