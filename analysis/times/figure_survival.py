"""Share of replicas that have grokked by a step, with its band, and the restricted mean time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column, evenly, where
from observatory.analysis.page.panels import LEGEND, decay_handles
from observatory.analysis.page.style import (
    INK,
    MUTED,
    WIDTH,
    decay_colours,
    plain_log_ticks,
    styled,
)

_MAX_CURVES = 5  # weight decays with a curve of their own; more bands only hide each other

_DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
ShareLaw = Callable[[float, NDArray[np.float64]], NDArray[np.float64]]
"""Share that a fitted law lets grok by some steps, at a weight decay."""


def chosen_curves(curves: pd.DataFrame) -> list[float]:
    """A few weight decays, evenly by rank, of those at which some replica grokked."""
    values = np.unique(column(curves, "weight_decay")[column(curves, "share") > 0])
    return evenly(values.tolist(), _MAX_CURVES)


def _draw_curve(axes: Axes, curve: pd.DataFrame, colour: str, start: float, end: float) -> None:
    """A step curve from `start` to `end`, and its band where there is one."""
    steps = np.append(np.maximum(column(curve, "step"), start), end)
    share, low, high = (
        np.append(column(curve, name), column(curve, name)[-1]) for name in ("share", "low", "high")
    )
    axes.step(steps, share, where="post", color=colour, gid="incidence")
    style = {"step": "post", "color": colour, "alpha": 0.14, "linewidth": 0}
    axes.fill_between(steps, low, high, gid="incidence-band", **style)


def _draw_means(axes: Axes, means: pd.DataFrame, horizon: float) -> None:
    draw_decay_axis(axes, means["weight_decay"].tolist(), spacing=0.075)
    x = positions(means["weight_decay"], means["weight_decay"])
    value, low, high = (column(means, name) for name in ("value", "low", "high"))
    axes.vlines(x, low, high, color=INK, linewidth=1.0, gid="mean-bar")
    axes.plot(x, value, "o", color=INK, markersize=3.5, gid="restricted-mean")
    axes.axhline(horizon, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), gid="horizon")
    axes.set_ylim(0, horizon * 1.06)
    axes.tick_params(axis="x", labelrotation=90, labelsize=6.5)
    axes.set_title("Restricted mean time (steps)")


@styled
def survival_figure(
    curves: pd.DataFrame,
    ends: pd.DataFrame,
    horizon: float,
    law: ShareLaw | None,
    means: pd.DataFrame | None,
) -> Figure:
    """Steps of the share that has grokked for a few weight decays; the restricted means of all.

    Args:
        curves: Columns weight_decay, step, share, low, high (NaN where there is no band), rising
            in steps within a weight decay.
        ends: Columns weight_decay and step: records that end without an event.
        horizon: Steps at which replicas were censored.
        law: A fitted law, drawn dashed over the curves.
        means: Columns weight_decay, value, low, high, in steps; None: the panel is left out.
    """
    figure = Figure(figsize=(WIDTH, 3.3))
    if means is None:
        axes = figure.add_subplot()
    else:
        axes, right = figure.subplots(1, 2, width_ratios=[1.75, 1])
        _draw_means(right, means, horizon)
    decays = chosen_curves(curves)
    colours = decay_colours(decays)
    grokking = column(curves, "step")[column(curves, "share") > 0]
    start = float(np.min(grokking, initial=horizon)) / 1.6
    for decay in decays:
        curve = where(curves, column(curves, "weight_decay") == decay)
        _draw_curve(axes, curve, colours[decay], start, horizon)
        stopped = column(ends, "step")[column(ends, "weight_decay") == decay]
        at = np.searchsorted(column(curve, "step"), stopped, side="right") - 1
        heights = np.where(at >= 0, column(curve, "share")[np.maximum(at, 0)], 0.0)
        axes.plot(stopped, heights, "|", color=colours[decay], markersize=6, gid="censored")
        if law is not None:
            steps = np.geomspace(start, horizon, 200)
            axes.plot(steps, law(decay, steps), color=colours[decay], gid="law", **_DASHED)
    axes.set_xscale("log")
    axes.set_xlim(start, horizon * 1.05)
    plain_log_ticks(axes.xaxis)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlabel("steps")
    axes.set_title("Share that has grokked")
    handles = decay_handles(decays, marked=False)
    if law is not None:
        handles.append(Line2D([], [], color=MUTED, label="fitted law", **_DASHED))
    if not decays:
        axes.text(0.5, 0.5, "no replica grokked", transform=axes.transAxes, ha="center")
    figure.legend(handles=handles, loc="outside lower center", ncols=7, **LEGEND)
    return figure
