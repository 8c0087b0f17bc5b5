"""Amounts as colours: maps whose least amount is close to the ground of a light or a dark page."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LinearSegmentedColormap, Normalize
from numpy.typing import NDArray

AMOUNTS = LinearSegmentedColormap.from_list(
    "amounts", ["#f3f6f9", "#c3d6e8", "#8fb3d3", "#5b8cb8", "#2f6496", "#123f6d", "#0a2342"]
)
"""From L* 97 to 14 in even steps of one hue: ordered in grey, and from dark to light (L* 10 to 84)
where a dark page turns its figures round."""

NO_READING = "Hatched: no reading."
"""What the caption of every such map says."""

_HATCH = "#c4cad1"


def draw_amounts(
    axes: Axes,
    edges: NDArray[np.float64],
    values: NDArray[np.float64],
    *,
    norm: Normalize,
    first: float,
    gid: str,
) -> QuadMesh:
    """Draw a map against steps on a log axis, hatched where there is no reading.

    Args:
        axes: Where to draw.
        edges: Borders of the looks, positive, `[look + 1]`.
        values: `[row, look]`, rows from below; NaN: no reading.
        norm: From values to the scale of colours.
        first: Height of the middle of the first row; the others follow at distance 1.
        gid: Name of the map in the file.
    """
    rows = np.arange(len(values) + 1) + first - 0.5
    drawn = axes.pcolormesh(
        edges,
        rows,
        np.ma.masked_invalid(values),
        cmap=AMOUNTS,
        norm=norm,
        edgecolors="face",
        linewidth=0.4,
        gid=gid,
    )
    axes.patch.set(hatch="////", edgecolor=_HATCH, linewidth=0.0)
    axes.set_xscale("log")
    axes.set_ylim(rows[0], rows[-1])
    axes.grid(visible=False)
    return drawn
