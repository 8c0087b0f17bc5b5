"""Time to grok against weight decay: the replicas that grokked and those that did not."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    OUTCOME_COLOURS,
    WIDTH,
    plain_log_ticks,
    styled,
)

PowerLaw = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Time in steps at given weight decays; NaN where the law has none."""


def _jitter(times: pd.DataFrame) -> NDArray[np.float64]:
    """A factor per replica that spreads the replicas of a weight decay, in the table's order."""
    order = times.groupby("weight_decay").cumcount().to_numpy()
    size = times.groupby("weight_decay")["weight_decay"].transform("size").to_numpy()
    return 10.0 ** (0.07 * ((order + 0.5) / size - 0.5))


@styled
def times_figure(
    times: pd.DataFrame, laws: Mapping[str, PowerLaw], horizon: float, window_max: float
) -> Figure:
    """Every replica: its interval if it grokked, an open triangle where its record ends if not.

    Args:
        times: One row per replica: weight_decay, t_lo, t_hi (steps, NaN where not observed),
            watched (steps) and end ("grokked", "censored", "collapsed" or "diverged").
        laws: Fitted power laws by label.
        horizon: Steps at which replicas were censored.
        window_max: Largest weight decay that entered the laws; they are drawn up to there.
    """
    figure = Figure(figsize=(WIDTH, 4.0))
    axes = figure.add_subplot()
    cells = times["weight_decay"].tolist()
    draw_decay_axis(axes, cells)
    axes.set_yscale("log")
    x = positions(times["weight_decay"], cells) * _jitter(times)
    end = times["end"].to_numpy()
    seen = end == "grokked"
    lowest = times.loc[times["t_hi"] > 0, "t_hi"].min()
    if seen.any():
        low = times.loc[seen, "t_lo"].clip(lower=lowest / 2)
        high = times.loc[seen, "t_hi"]
        axes.vlines(
            x[seen], low, high, color=INK, linewidth=1.0, alpha=0.75, gid="grokked-interval"
        )
        axes.plot(x[seen], high, "o", color=INK, markersize=2.8, gid="grokked", label="grokked")
    marks = {"censored": ("^", MUTED), "collapsed": ("x", ""), "diverged": ("+", "")}
    for kind, (marker, colour) in marks.items():
        chosen = end == kind
        if chosen.any():
            label = "not grokked, at the last step watched" if kind == "censored" else kind
            axes.plot(
                x[chosen],
                times.loc[chosen, "watched"],
                marker,
                color=colour or OUTCOME_COLOURS[kind],
                markerfacecolor="none",
                markersize=4.5,
                markeredgewidth=1.0,
                gid=kind,
                label=label,
            )
    axes.axhline(horizon, color=MUTED, linewidth=0.8, linestyle=(0, (2, 2)), gid="horizon")
    bottom, top = axes.get_ylim()
    positive = np.array([value for value in cells if 0 < value <= window_max])
    if positive.size and laws:
        decays = np.geomspace(positive.min(), positive.max(), 300)
        for index, (label, law) in enumerate(laws.items()):
            y = law(decays)
            y = np.where((y >= bottom) & (y <= top), y, np.nan)
            axes.plot(
                decays,
                y,
                color=LINE_COLOURS[index % 5],
                linestyle=LINE_STYLES[index % 5],
                gid="power-law",
                label=label,
            )
    axes.set_ylim(bottom, top)
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel("time to grok (steps)")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
