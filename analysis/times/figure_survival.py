"""Share of replicas with the event by a step, with its band, and the restricted mean time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.fit.observed import Opened
from observatory.analysis.page.decay_axis import decay_label, draw_decay_axis, positions
from observatory.analysis.page.frames import column, evenly, where, words
from observatory.analysis.page.records import Record, columns_of
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import (
    INK,
    MUTED,
    WIDTH,
    decay_colours,
    plain,
    plain_log_ticks,
    styled,
)

_MAX_CURVES, _MAX_CURVES_ALONE = 5, 6  # on the page, where more bands only hide each other
_DASHED: dict[str, Any] = {"linestyle": (0, (4, 2)), "linewidth": 0.9}
ShareLaw = Callable[[float, NDArray[np.float64]], NDArray[np.float64]]
"""Share that a fitted law lets grok by some steps, at a weight decay."""


def cumulative_incidence(
    times: NDArray[np.float64], grokked: NDArray[np.bool_], competing: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Aalen-Johansen estimate of the share that has had the event by each time.

    Collapse and divergence compete with the event: such a replica can no longer have it, which is
    not the same as being watched for too short a time. Without them it is one minus Kaplan-Meier.
    `times` are steps of the event or of the last look, `[replica]`.

    Returns:
        The times at which the share rises, preceded by 0, and the share from then on.
    """
    steps, shares, free = [0.0], [0.0], 1.0
    for time in np.unique(times[grokked | competing]):
        at_risk, now = int((times >= time).sum()), times == time
        gain = free * int((now & grokked).sum()) / at_risk
        free *= 1.0 - int((now & (grokked | competing)).sum()) / at_risk
        if gain > 0:
            steps.append(float(time))
            shares.append(shares[-1] + gain)
    return np.array(steps), np.array(shares)


def incidence_table(times: pd.DataFrame) -> pd.DataFrame:
    """The cumulative incidence of every weight decay, without a band.

    `times` is as of `times_figure`. Columns weight_decay, step, share, and low and high, NaN.
    """
    end, decays = words(times, "end"), column(times, "weight_decay")
    seen, failed = end == "grokked", np.isin(end, ["collapsed", "diverged"])
    clock = np.where(seen, column(times, "t_hi"), column(times, "watched"))
    pieces: list[pd.DataFrame] = []
    for decay in np.unique(decays):
        at = decays == decay
        steps, shares = cumulative_incidence(clock[at], seen[at], failed[at])
        pieces.append(pd.DataFrame({"weight_decay": decay, "step": steps, "share": shares}))
    columns = ["weight_decay", "step", "share"]
    table = pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
    return table.assign(low=np.nan, high=np.nan)


def curve_name(record: Record) -> str:
    """What the curves of a record of survival are; older records call all of them kaplan_meier."""
    how = f"{record['estimator']} {record.get('extras', {}).get('method', '')}"
    return "Turnbull, of intervals" if "urnbull" in how else "Kaplan-Meier"


def chosen_curves(curves: pd.DataFrame) -> list[float]:
    """A few weight decays, evenly by rank, of those at which some replica had the event."""
    values = np.unique(column(curves, "weight_decay")[column(curves, "share") > 0])
    return evenly(values.tolist(), _MAX_CURVES)


def _draw_curve(
    axes: Axes, curve: pd.DataFrame, colour: str, start: float, end: float, label: str
) -> None:
    """A step curve from `start` to `end`, and its band where there is one."""
    steps = np.append(np.maximum(column(curve, "step"), start), end)
    share, low, high = (
        np.append(column(curve, name), column(curve, name)[-1]) for name in ("share", "low", "high")
    )
    axes.step(steps, share, where="post", color=colour, gid="incidence", label=label)
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
    means: pd.DataFrame,
) -> Figure:
    """`draw_shares`, and beside it the restricted means of all weight decays.

    `means` has the columns weight_decay, value, low, high, in steps.
    """
    figure = Figure(figsize=(WIDTH, 3.3))
    left, right = figure.subplots(1, 2, width_ratios=[1.75, 1])
    draw_shares(left, curves, ends, horizon, law)
    _draw_means(right, means, horizon)
    figure.legend(loc="outside lower center", ncols=4)
    return figure


def draw_shares(
    axes: Axes,
    curves: pd.DataFrame,
    ends: pd.DataFrame,
    horizon: float,
    law: ShareLaw | None,
) -> None:
    """Steps of the share with the event for a few weight decays.

    `curves` has the columns weight_decay, step (rising), share, low, high (NaN: no band); `ends`
    weight_decay and step of records that end without an event. The horizon is in steps; a fitted
    law is drawn dashed over the curves.
    """
    decays = chosen_curves(curves)
    colours = decay_colours(decays)
    grokking = column(curves, "step")[column(curves, "share") > 0]
    start = float(np.min(grokking, initial=horizon)) / 1.6
    for decay in decays:
        curve = where(curves, column(curves, "weight_decay") == decay)
        _draw_curve(
            axes, curve, colours[decay], start, horizon, f"weight decay {decay_label(decay)}"
        )
        stopped = np.unique(column(ends, "step")[column(ends, "weight_decay") == decay])
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
    axes.set_title("Share that has had the event")
    if law is not None and decays:
        axes.plot([], [], color=MUTED, label="fitted law", **_DASHED)
    if not decays:
        axes.text(0.5, 0.5, "no replica had the event", transform=axes.transAxes, ha="center")


def draw_survival(axes: Axes, record: Record, opened: Opened) -> None:
    """The share that has had the event against time, for a few values of the control."""
    curves = columns_of(record, "km")
    values = evenly(np.unique(curves["weight_decay"]).tolist(), _MAX_CURVES_ALONE)
    colours = decay_colours(values)
    for value in values:
        at = curves["weight_decay"] == value
        steps, share = curves["step"][at], curves["share"][at]
        style = {"color": colours[value], "step": "post", "alpha": 0.14, "linewidth": 0}
        axes.fill_between(steps, curves["low"][at], curves["high"][at], **style)
        label = f"{plain(opened.observations.control)} {value:g}"
        axes.step(steps, share, where="post", color=colours[value], gid="incidence", label=label)
    axes.set_xlabel("steps")
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel(f"share that has had the event ({curve_name(record)})")
    entitle(axes, record, None)
