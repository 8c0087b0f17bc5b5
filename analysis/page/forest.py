"""Critical weight decays beside each other: a row each, with its interval."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from observatory.analysis.page.style import (
    LINE_COLOURS,
    MUTED,
    WIDTH,
    label_rows,
    plain_log_ticks,
    styled,
)
from observatory.analysis.page.wording import with_ends

LINE = 34
"""Letters in a line of a label."""
_LINES = 3
"""Lines of a label."""

Limits = tuple[float, float | None, float | None]
"""Value and interval; None where a limit is unbounded."""


def folded(label: str, letters: int = LINE) -> str:
    """A label on a few lines."""
    return fill(label, letters, max_lines=_LINES, placeholder=" …")


@dataclass(frozen=True)
class Row:
    """One row: what is said at its left, its limits or why there are none, its colour's index."""

    label: str
    limits: Limits | None
    reason: str = "refused"
    colour: int = 0


def rows_height(rows: Sequence[Row]) -> float:
    """Inches of a figure of these rows."""
    lines = max(row.label.count("\n") + 1 for row in rows)
    return 0.75 + (0.09 + 0.15 * lines) * len(rows)


def draw_rows(axes: Axes, rows: Sequence[Row], label: str, shown: Sequence[float] = ()) -> None:
    """An interval a row, from above; `label` says what they are of, `shown` is within the axis."""
    ends = [end for row in rows if row.limits for end in row.limits if end is not None and end > 0]
    ends += shown
    low, high = (min(ends), max(ends)) if ends else (0.1, 1.0)
    span = max(high / low, 1.5)
    left, right = low / span**0.08, high * span**0.08
    axes.set_xscale("log")
    axes.set_xlim(left, right)
    for place, row in enumerate(rows):
        if row.limits is None:
            continue
        value, *limits = row.limits
        colour = LINE_COLOURS[row.colour % len(LINE_COLOURS)]
        start, end = (limits[0] or left), (right if limits[1] is None else limits[1])
        if limits != [None, None]:
            axes.plot([start, end], [place, place], color=colour, linewidth=1.8, gid="interval")
        for limit, edge, arrow in ((limits[0], left, "<"), (limits[1], right, ">")):
            if limit is None and limits != [None, None]:
                axes.plot(edge, place, arrow, color=colour, ms=4, clip_on=False, gid="unbounded")
        axes.plot(value, place, "o", color=colour, mec="white", mew=0.8, ms=6, gid="estimate")
    plain_log_ticks(axes.xaxis)
    label_rows(axes, [row.label for row in rows], [_numbers(row) for row in rows])
    axes.set_xlabel(label)


def _numbers(row: Row) -> str:
    return row.reason if row.limits is None else with_ends(*row.limits)


@styled
def forest_figure(
    rows: Sequence[Row],
    ratios: Sequence[Row] = (),
    label: str = "λc (weight decay)",
    ratio_label: str = "ratio of λc",
) -> Figure:
    """Intervals of the critical weight decay; in a further panel ratios, with a line at 1.

    Args:
        rows: One per estimator or group, from above; empty: no panel of them.
        ratios: One per ratio; likewise.
        label: What the horizontal axis of the first says.
        ratio_label: What that of the ratios says.
    """
    heights = [rows_height(of) for of in (rows, ratios) if of]
    figure = Figure(figsize=(WIDTH, sum(heights)))
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    if rows:
        draw_rows(panels[0], rows, label)
    if ratios:
        draw_rows(panels[-1], ratios, ratio_label, shown=[1.0])
        panels[-1].axvline(1.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="equal")
    return figure
