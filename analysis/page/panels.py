"""Curves over training: a panel per quantity, a line per weight decay."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import LineStyleType
from numpy.typing import NDArray

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import alike, column, evenly, where, words
from observatory.analysis.page.style import (
    GROUND,
    WIDTH,
    decay_colours,
    note,
    plain_log_ticks,
    styled,
)

LEGEND: dict[str, Any] = {"title": "weight decay", "title_fontsize": 7.5, "alignment": "left"}
MAX_BANDS = 4
"""Weight decays up to which quartiles are drawn; more bands only hide each other."""
MAX_PANELS = 12
"""Weight decays with a panel each; of more, as many are chosen evenly, the ends included."""
MAX_LINES = 6
"""Weight decays with a line each in one panel: as many colours are told apart."""
FEW_LOOKS = 12
"""Looks up to which a line is drawn as dots, joined faintly: it is not known in between."""


def chosen_decays(weight_decays: Sequence[float], most: int) -> list[float]:
    """Some of the distinct weight decays, evenly by rank, the ends included.

    Example:
        >>> chosen_decays([0.1, 0.2, 0.3, 0.4, 0.5], 3), chosen_decays([1.0, 0.0, 1.0], 3)
        ([0.1, 0.3, 0.5], [0.0, 1.0])
    """
    return evenly(np.unique(weight_decays).tolist(), most)


def draw_lines(
    axes: Axes,
    bands: pd.DataFrame,
    quantity: str,
    marks: Mapping[float, float],
    *,
    spread: bool,
    decays: Sequence[float],
) -> None:
    """The medians of one quantity, a line per weight decay; quartiles as a band where `spread`.

    Args:
        axes: Where to draw.
        bands: The table that `bands` makes.
        quantity: Which of its quantities.
        marks: A step per weight decay at which its line gets a dot: its median time to grok. A line
            of few looks gets none.
        spread: Whether to draw the quartiles.
        decays: The weight decays of the figure, which set the colours.
    """
    rows = where(bands, words(bands, "quantity") == quantity)
    drawn = where(rows, column(rows, "step") > 0)  # a log axis has no step 0
    colours = decay_colours(decays)
    for decay in decays:
        line = where(drawn, alike(column(drawn, "weight_decay"), decay))
        if line.empty:
            continue
        steps, median = column(line, "step"), column(line, "median")
        colour = colours[decay]
        style: dict[str, Any] = {"linestyle": _decay_style(decay), "linewidth": 1.2}
        if len(steps) <= FEW_LOOKS:
            axes.plot(steps, median, "o", color=colour, markersize=3.5, gid="look")
            style |= {"linewidth": 0.7, "alpha": 0.5}
        axes.plot(steps, median, color=colour, gid="median", **style)
        if spread:
            low, high = column(line, "q25"), column(line, "q75")
            axes.fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
        step = marks.get(decay)
        if len(steps) <= FEW_LOOKS:
            continue  # what it was at the event is not known, and dots are looks
        if step is not None and steps[0] <= step <= steps[-1]:
            height = float(np.interp(np.log(step), np.log(steps), median))
            dot = {"markeredgecolor": GROUND, "markeredgewidth": 0.6, "markersize": 5}
            axes.plot(step, height, "o", color=colour, zorder=4, gid="mark", **dot)
    axes.set_xscale("log")
    if drawn.empty:
        note(axes, "no finite reading" if rows.empty else "looked at before training alone")


@styled
def panels_figure(
    bands: pd.DataFrame, logarithmic: Mapping[str, bool], marks: Mapping[float, float]
) -> Figure:
    """A panel per quantity, lines coloured by weight decay.

    Args:
        bands: The table that `bands` makes; its quantities are the titles of the panels.
        logarithmic: Whether the axis of a quantity is, for each in the order of the panels.
        marks: A step per weight decay that is marked by a dot: its median time to grok.
    """
    columns = 2 if len(logarithmic) == 4 else min(3, len(logarithmic))  # no row of one
    rows = ceil(len(logarithmic) / columns)
    figure = Figure(figsize=(WIDTH, 0.55 + 1.95 * rows))
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
    decays = chosen_decays(bands["weight_decay"].tolist(), MAX_LINES)
    own = column(bands, "weight_decay")
    kept = where(bands, np.any([alike(own, decay) for decay in decays], axis=0))
    few = len(decays) <= MAX_BANDS
    for axes, (quantity, log) in zip(grid.flat, logarithmic.items(), strict=False):
        draw_lines(axes, kept, quantity, marks, spread=few, decays=decays)
        axes.set_title(quantity)
        if log:
            axes.set_yscale("log")
            plain_log_ticks(axes.yaxis)
    finish_steps(grid, len(logarithmic))
    handles = decay_handles(decays, marked=bool(marks))
    if np.isnan(decays).all():
        return figure  # one line in each panel, of whatever weight decay
    if grid.size > len(logarithmic):
        free = grid.flat[len(logarithmic)]
        free.legend(handles=handles, loc="lower left", ncols=2, **LEGEND)
    else:
        figure.legend(handles=handles, loc="outside right upper", **LEGEND)
    return figure


def finish_steps(grid: NDArray[Any], n_panels: int, *, log: bool = True) -> None:
    """Turn off the panels that are not used and label the steps below the lowest of each column."""
    n_columns = grid.shape[1]
    for index, axes in enumerate(grid.flat):
        if index >= n_panels:
            axes.set_axis_off()
        elif index + n_columns >= n_panels:
            axes.set_xlabel("steps")
            axes.tick_params(axis="x", labelbottom=True)
            below_is_free = index // n_columns < grid.shape[0] - 1
            axes.xaxis.set_in_layout(not below_is_free)
    if log:
        plain_log_ticks(grid[0, 0].xaxis, narrow=n_columns > 2)


def decay_handles(weight_decays: Sequence[float], *, marked: bool) -> list[Line2D]:
    """Entries of a legend: the colour of each weight decay, and what a dot means."""
    handles = [
        Line2D([], [], color=colour, linestyle=_decay_style(decay), label=decay_label(decay))
        for decay, colour in sorted(decay_colours(sorted(set(weight_decays))).items())
    ]
    if marked:
        dot = {"marker": "o", "linestyle": "none", "color": "#8c959f", "markersize": 5}
        handles.append(Line2D([], [], label="median time\nto the event", **dot))
    return handles


def _decay_style(weight_decay: float) -> LineStyleType:
    """Solid, or dashed for 0, whose grey is close to other colours."""
    return (0, (4, 1.5)) if weight_decay == 0 else "-"
