"""The figure of a fit on a table: one panel, or one per group, in a new figure or the caller's."""

from collections.abc import Callable, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.page.records import Record
from observatory.analysis.page.style import WIDTH, plain, styled

Draw = Callable[[Axes, Record, Any], None]
SIZE = (6.4, 4.0)
"""Width and height of a figure, in inches."""
_COLUMNS, _HEIGHT = 2, 2.9
"""Panels beside each other, and inches of each."""


@styled
def _new(draw: Draw, record: Record, data: Any, size: tuple[float, float]) -> Figure:
    figure = Figure(figsize=size)
    draw(figure.add_subplot(), record, data)
    return figure


def drawn(
    draw: Draw, record: Record, data: Any, ax: Axes | None, size: tuple[float, float] = SIZE
) -> Figure:
    """A figure of one panel."""
    if ax is None:
        return _new(draw, record, data, size)
    draw(ax, record, data)
    return ax.figure.get_figure(root=True)


@styled
def panels(draw: Draw, records: Sequence[Record], groups: Mapping[str, Any]) -> Figure:
    """A figure of a panel per group, all with the same limits; below, which have no estimate.

    Args:
        draw: Draws one fit.
        records: Of each group, in the order of `groups`.
        groups: What was opened, by the names of the groups.
    """
    of = zip(groups.items(), records, strict=False)  # records of pairs of groups come after
    fits = [(name, opened, r) for (name, opened), r in of if r["refused"] is None]
    columns = min(_COLUMNS, len(fits))
    rows = ceil(len(fits) / columns)
    figure = Figure(figsize=(WIDTH, 0.3 + _HEIGHT * rows))
    grid = figure.subplots(rows, columns, squeeze=False)
    drawn_in = list(grid.flat[: len(fits)])
    for axes, (name, opened, record) in zip(drawn_in, fits, strict=True):
        draw(axes, record, opened)
        axes.set_title(plain(f"{name}\n{axes.get_title(loc='left')}".strip()))
    ends = np.array([(axes.get_xlim(), axes.get_ylim()) for axes in drawn_in])  # [panel, axis, end]
    for axes in drawn_in:
        axes.set_xlim(ends[:, 0, 0].min(), ends[:, 0, 1].max())
        axes.set_ylim(ends[:, 1, 0].min(), ends[:, 1, 1].max())
    for axes in grid.flat[len(fits) :]:
        axes.set_axis_off()
    if rest := [name for name in groups if name not in {fit[0] for fit in fits}]:
        figure.supxlabel(plain(f"No estimate: {', '.join(rest)}"), fontsize=7.5)
    return figure


def entitle(axes: Axes, record: Record, control: str | None) -> None:
    """What is drawn: event, horizon, number of runs; and the control, where it is the axis."""
    horizon = record["horizon_steps"]
    until = "horizon unknown" if horizon is None else f"horizon {horizon} steps"
    if control is not None:
        axes.set_xlabel(plain(control))
    axes.set_title(plain(f"{record['event']}, {until}, n = {record['n']}"))
    axes.legend(loc="best", fontsize="small")
