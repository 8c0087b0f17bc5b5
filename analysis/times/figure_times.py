"""Time to grok against weight decay: the replicas that grokked and those that did not."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from observatory.analysis.fit.observed import Opened
from observatory.analysis.page.decay_axis import (
    MAX_DOTS,
    draw_decay_axis,
    positions,
    spread_positions,
)
from observatory.analysis.page.frames import column, spread_rows, where
from observatory.analysis.page.records import Record, estimator_name
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    OUTCOME_COLOURS,
    plain,
    plain_log_ticks,
)
from observatory.analysis.stats.text import number

PowerLaw = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Time in steps at given weight decays; NaN where the law has none."""


def _draw_others(axes: Axes, x: NDArray[np.float64], times: pd.DataFrame) -> None:
    end = times["end"].to_numpy()
    marks = {"censored": ("^", MUTED), "collapsed": ("x", ""), "diverged": ("+", "")}
    for kind, (marker, colour) in marks.items():
        chosen = end == kind
        if chosen.any():
            label = "no event by the last step watched" if kind == "censored" else kind
            style = {"markerfacecolor": "none", "markersize": 4.5, "markeredgewidth": 1.0}
            style |= {"color": colour or OUTCOME_COLOURS[kind], "gid": kind, "label": label}
            axes.plot(x[chosen], times.loc[chosen, "watched"], marker, **style)


def _draw_laws(axes: Axes, laws: Mapping[str, PowerLaw], decays: NDArray[np.float64]) -> None:
    """Fitted laws, inside the limits that the replicas give the axis."""
    bottom, top = axes.get_ylim()
    for index, (label, law) in enumerate(laws.items()):
        y = law(decays)
        style = {"color": LINE_COLOURS[index % 5], "linestyle": LINE_STYLES[index % 5]}
        inside = np.where((y >= bottom) & (y <= top), y, np.nan)
        axes.plot(decays, inside, gid="power-law", label=label, **style)


def drawn_times(times: pd.DataFrame) -> pd.DataFrame:
    """The replicas that `times_figure` draws: of many some, evenly by the rank of their times.

    Each way in which a record ended keeps its share at each weight decay, one replica at least.
    """
    apart = times.groupby(["weight_decay", "end"]).ngroup().to_numpy()
    late = np.where(column(times, "t_hi") > 0, column(times, "t_hi"), column(times, "watched"))
    return where(times, spread_rows(apart, late, MAX_DOTS))


def draw_all_times(
    axes: Axes,
    times: pd.DataFrame,
    laws: Mapping[str, PowerLaw],
    horizon: float,
    window_max: float,
) -> None:
    """Replicas: their interval if they grokked, an open triangle where their record ends if not.

    All are drawn, or of many those of `drawn_times`. `times` has a row per replica: weight_decay,
    t_lo, t_hi (steps, NaN where not observed), watched (steps) and end ("grokked", "censored",
    "collapsed" or "diverged"). Laws by label are drawn up to the largest weight decay that entered
    them, `window_max`.
    """
    cells = times["weight_decay"].tolist()
    draw_decay_axis(axes, cells)
    axes.set_yscale("log")
    times = drawn_times(times)
    x = spread_positions(times["weight_decay"], 0.07)
    end = times["end"].to_numpy()
    seen = end == "grokked"
    lowest = times.loc[times["t_hi"] > 0, "t_hi"].min()
    if seen.any():
        low = times.loc[seen, "t_lo"].clip(lower=lowest / 2)
        high = times.loc[seen, "t_hi"]
        style = {"color": INK, "linewidth": 1.0, "alpha": 0.75}
        axes.vlines(x[seen], low, high, gid="grokked-interval", **style)
        axes.plot(x[seen], high, "o", color=INK, markersize=2.8, gid="grokked", label="event")
    _draw_others(axes, x, times)
    axes.axhline(horizon, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), gid="horizon")
    bottom, top = axes.get_ylim()
    positive = np.array([value for value in cells if 0 < value <= window_max])
    if positive.size:
        _draw_laws(axes, laws, np.geomspace(positive.min(), positive.max(), 300))
    axes.set_ylim(bottom, top)
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel("time to the event (steps)")


def draw_times(axes: Axes, record: Record, opened: Opened) -> None:
    """Times of the runs that grokked, ends of the records of the others, and the fitted law."""
    data = opened.cut()[0]
    cells = data.weight_decay.tolist()
    draw_decay_axis(axes, cells, spacing=0.07)
    axes.set_yscale("log")
    x = positions(data.weight_decay, cells)
    seen = data.grokked & (data.time > 0)
    axes.plot(x[seen], data.time[seen], "o", color=INK, markersize=3, gid="grokked", label="event")
    if (~seen).any():
        style = {"color": MUTED, "markerfacecolor": "none", "markersize": 4.5}
        label = "no event by the last step watched"
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
    axes.set_ylabel("time to the event (steps)")
    entitle(axes, record, data.control)
