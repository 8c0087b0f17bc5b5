"""Share of replicas that have grokked by a step, per weight decay."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.figures.frames import column, words
from observatory.analysis.figures.panels import (
    LEGEND,
    chosen_decays,
    decay_handles,
    decay_style,
)
from observatory.analysis.figures.style import WIDTH, decay_colours, plain_log_ticks, styled


def cumulative_incidence(
    times: NDArray[np.float64], grokked: NDArray[np.bool_], competing: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Aalen-Johansen estimate of the share that has grokked by each time.

    Collapse and divergence compete with grokking: such a replica can no longer grok, which is not
    the same as being watched for too short a time. Without them it is one minus Kaplan-Meier.

    Args:
        times: Step of the event or of the last look, `[replica]`.
        grokked: Whether it grokked at that step, `[replica]`.
        competing: Whether it collapsed or diverged at that step, `[replica]`.

    Returns:
        The times at which the share rises, preceded by 0, and the share from then on.

    Example:
        >>> cumulative_incidence(np.array([1., 2., 3.]), np.array([True, False, True]),
        ...                      np.array([False, True, False]))[1].round(3).tolist()
        [0.0, 0.333, 0.667]
    """
    steps, shares = [0.0], [0.0]
    free = 1.0
    for time in np.unique(times[grokked | competing]):
        at_risk = int((times >= time).sum())
        now = times == time
        gain = free * int((now & grokked).sum()) / at_risk
        free *= 1.0 - int((now & (grokked | competing)).sum()) / at_risk
        if gain > 0:
            steps.append(float(time))
            shares.append(shares[-1] + gain)
    return np.array(steps), np.array(shares)


@styled
def incidence_figure(times: pd.DataFrame) -> Figure:
    """Steps of the cumulative incidence of grokking; ticks mark records that end without an event.

    Args:
        times: The table of `times_figure`.
    """
    figure = Figure(figsize=(WIDTH, 3.2))
    axes = figure.add_subplot()
    decays = chosen_decays(times["weight_decay"].tolist())
    colours = decay_colours(decays)
    t_hi, watched, end = column(times, "t_hi"), column(times, "watched"), words(times, "end")
    last = float(watched.max())
    start = float(np.min(t_hi[t_hi > 0], initial=last)) / 1.6
    for decay in decays:
        at = column(times, "weight_decay") == decay
        seen, lost = end[at] == "grokked", np.isin(end[at], ["collapsed", "diverged"])
        clock = np.where(seen, t_hi[at], watched[at])
        steps, share = cumulative_incidence(clock, seen, lost)
        until = clock.max()
        x, y = np.append(np.maximum(steps, start), max(until, start)), np.append(share, share[-1])
        axes.step(
            x, y, where="post", color=colours[decay], linestyle=decay_style(decay), gid="incidence"
        )
        ends = clock[~seen & ~lost]
        heights = share[np.searchsorted(steps, ends, side="right") - 1]
        axes.plot(ends, heights, "|", color=colours[decay], markersize=6, gid="censored")
    axes.set_xscale("log")
    axes.set_xlim(start, last * 1.05)
    plain_log_ticks(axes.xaxis)
    axes.set_ylim(-0.02, 1.04)
    axes.set_xlabel("steps")
    axes.set_ylabel("share that has grokked")
    figure.legend(handles=decay_handles(decays, marked=False), loc="outside right upper", **LEGEND)
    return figure
