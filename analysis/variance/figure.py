"""Shares of variance with their intervals, a bar per component."""

from typing import Any

from matplotlib.axes import Axes

from observatory.analysis.fit.contract import Record
from observatory.analysis.page.style import INK, LINE_COLOURS, WIDTH, label_rows, plain


def size_of(record: Record) -> tuple[float, float]:
    """Width and height of the figure, in inches."""
    return WIDTH, 1.0 + 0.34 * len(_shares(record))


def draw_shares(axes: Axes, record: Record, data: None = None) -> None:
    """How much of the variance each component has."""
    shares = _shares(record)
    beside = list[str]()
    for place, share in enumerate(shares):
        ends = (share["ci_low"], share["ci_high"])
        axes.barh(place, share["value"], 0.5, color=LINE_COLOURS[0], alpha=0.35, gid="share")
        axes.plot(ends, [place, place], color=INK, linewidth=1.4, gid="interval")
        axes.plot(share["value"], place, "o", color=LINE_COLOURS[0], ms=5, gid="estimate")
        beside.append(f"{share['value']:.0%} [{ends[0]:.0%}, {ends[1]:.0%}]")
    axes.set_xlim(0.0, 1.0)
    names = [s["component"] if s["levels"] is None else f"{s['component']} ({s['levels']})"
             for s in shares]  # fmt: skip
    label_rows(axes, names, beside)
    axes.set_xlabel(f"share of the variance of {plain(record['event'])}")
    axes.set_title(f"n = {record['n']} runs; levels in brackets; intervals {record['level']:.0%}")


def _shares(record: Record) -> list[dict[str, Any]]:
    """Every share: its value and limits, its component and the component's levels."""
    rows = record["table"].items()
    return [{**record["params"][name], **row} for name, row in rows if row["quantity"] == "share"]
