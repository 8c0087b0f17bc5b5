"""The figure of a fit on a table: one panel, in the axes of the caller or in a new figure."""

from collections.abc import Callable
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.page.records import Record
from observatory.analysis.page.style import plain, styled

Draw = Callable[[Axes, Record, Any], None]
SIZE = (6.4, 4.0)
"""Width and height of a figure, in inches."""


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


def entitle(axes: Axes, record: Record, control: str | None) -> None:
    """What is drawn: event, horizon, number of runs; and the control, where it is the axis."""
    horizon = record["horizon_steps"]
    until = "horizon unknown" if horizon is None else f"horizon {horizon} steps"
    if control is not None:
        axes.set_xlabel(plain(control))
    axes.set_title(plain(f"{record['event']}, {until}, n = {record['n']}"))
    axes.legend(loc="best", fontsize="small")
