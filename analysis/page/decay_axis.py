"""The weight-decay axis: logarithmic, with 0 on its own side of a break."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullFormatter, NullLocator
from numpy.typing import ArrayLike, NDArray

from observatory.analysis.page.style import INK, share_of_page

_GAP = 0.45
"""Decades between 0 and the smallest positive weight decay."""
MAX_DOTS = 1000
"""Replicas up to which a figure draws a dot for each; of more, about as many are chosen."""
_MARGIN = 0.14
"""Decades of free space at either end."""


def decay_label(weight_decay: float) -> str:
    """A weight decay as it is printed everywhere: shortest exact form, or that it is unknown."""
    return "not given" if np.isnan(weight_decay) else f"{weight_decay:g}"


def _zero_position(weight_decays: ArrayLike) -> float:
    """Where 0 is drawn on the log axis: a fixed gap below the smallest positive weight decay."""
    values = np.asarray(weight_decays, dtype=np.float64)
    smallest = values[values > 0].min(initial=np.inf)
    return float(smallest * 10.0**-_GAP) if np.isfinite(smallest) else 10.0**-_GAP


def positions(weight_decays: ArrayLike, cells: ArrayLike) -> NDArray[np.float64]:
    """Weight decays as they are placed on the axis of the given cells; 0 goes to its own place."""
    values = np.asarray(weight_decays, dtype=np.float64)
    return np.where(values > 0, values, _zero_position(cells))


def spread_positions(weight_decays: ArrayLike, decades: float) -> NDArray[np.float64]:
    """Where each replica is drawn: those of a weight decay side by side, in the order given.

    Args:
        weight_decays: A row per replica.
        decades: Width over which those of one weight decay are spread.
    """
    values = pd.Series(np.asarray(weight_decays, dtype=np.float64))
    alike = values.groupby(values)
    order, size = alike.cumcount().to_numpy(), alike.transform("size").to_numpy()
    placed = positions(values, values)
    return placed * 10.0 ** (decades * ((order + 0.5) / size - 0.5))


def draw_decay_axis(axes: Axes, cells: Sequence[float], spacing: float = 0.033) -> None:
    """Give `axes` the weight-decay axis of these cells, a tick at each, and mark the break.

    Args:
        axes: What it is drawn on.
        cells: The weight decays.
        spacing: Least distance of two tick labels, as a share of the axis.
    """
    values = np.unique(np.asarray(cells, dtype=np.float64))
    placed = positions(values, values)
    axes.set_xscale("log")
    axes.set_xlim(placed[0] * 10.0**-_MARGIN, placed[-1] * 10.0**_MARGIN)
    axes.xaxis.set_major_locator(FixedLocator(placed.tolist()))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(placed.tolist(), _spaced_labels(values, placed, spacing / share_of_page()))
    axes.set_xlabel("weight decay")
    if values[0] == 0 and values.size > 1:
        middle = float(np.sqrt(placed[0] * placed[1]))
        axes.plot(
            [middle * 10**-0.03, middle * 10**0.03],
            [0, 0],
            transform=axes.get_xaxis_transform(),
            marker=[(-1, -2), (1, 2)],
            markersize=7,
            color=INK,
            markeredgewidth=0.9,
            linestyle="none",
            clip_on=False,
            gid="axis-break",
        )


def _spaced_labels(
    values: NDArray[np.float64], placed: NDArray[np.float64], spacing: float
) -> list[str]:
    """A label per tick; empty where it would run into the one before."""
    span = np.log10(placed[-1] / placed[0]) + 2 * _MARGIN
    labels, last = [], -np.inf
    for value, place in zip(values, np.log10(placed), strict=True):
        free = place - last >= spacing * span
        labels.append(decay_label(float(value)) if free else "")
        last = place if free else last
    return labels
