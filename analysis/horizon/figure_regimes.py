"""Regime diagram: what has become of the replicas, over weight decay and horizon."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_rgb
from matplotlib.patches import Rectangle

from observatory.analysis.horizon.figure_horizons import Track
from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.frames import column, words
from observatory.analysis.page.records import arrow_from
from observatory.analysis.page.style import (
    INK,
    MUTED,
    OUTCOME_COLOURS,
    plain_log_ticks,
)
from observatory.analysis.stats.observations import Array

_REGIMES = {
    "not yet memorised": "#ffffff",
    "memorised": "#b9bfc6",
    "event observed": OUTCOME_COLOURS["grokked"],
    "collapsed or diverged": OUTCOME_COLOURS["collapsed"],
}
_HATCH: dict[str, Any] = {"hatch": "\\\\\\", "linewidth": 0}
"""Over boxes of which most replicas collapsed or diverged: distinct without colours too."""


def regime_shares(times: pd.DataFrame, decays: Sequence[float], horizons: Array) -> Array:
    """Shares of the regimes, in the order of `_REGIMES`, had the records ended at each horizon.

    `times` has a row per replica: weight_decay, t_hi, t_mem (steps, NaN where not observed),
    watched (steps) and end. One that failed after its event had it until then.

    Returns:
        `[regime, horizon, weight decay]`; sums to 1 over regimes, NaN without a replica.
    """
    failed = np.isin(words(times, "end"), ["collapsed", "diverged"])
    until = horizons[:, None]
    gone = failed & (column(times, "watched") <= until)
    grokked = (column(times, "t_hi") <= until) & ~gone
    memorised = (column(times, "t_mem") <= until) & ~gone & ~grokked
    states = np.stack([~(gone | grokked | memorised), memorised, grokked, gone]).astype(np.float64)
    own = [column(times, "weight_decay") == decay for decay in decays]
    none = np.full(states.shape[:2], np.nan)
    means = [states[:, :, rows].mean(axis=2) if rows.any() else none for rows in own]
    return np.stack(means, axis=2)


def _edges(centres: Array) -> Array:
    """Borders half way between neighbours on a log axis."""
    logs = np.log(centres)
    middle = (logs[1:] + logs[:-1]) / 2
    pad = 0.15 if middle.size == 0 else min(float(np.diff(logs).min()) / 2, 0.25)
    return np.exp(np.concatenate([[logs[0] - pad], middle, [logs[-1] + pad]]))


def _boxes(
    times: pd.DataFrame, decays: Sequence[float], borders: Array, span: tuple[float, float]
) -> tuple[Array, Array, Array]:
    """Boxes between the steps at which the shares of a weight decay change.

    Returns:
        Corners, `[box, corner, 2]`, mixtures of the colours of `_REGIMES`, `[box, rgb]`, and the
        share that has collapsed or diverged, `[box]`.
    """
    palette = np.array([to_rgb(colour) for colour in _REGIMES.values()])
    changes = np.stack([column(times, name) for name in ("t_mem", "t_hi", "watched")])
    everyone = column(times, "weight_decay")
    corners, colours, gone = list[Array](), list[Array](), list[float]()
    for decay, left, right in zip(decays, borders[:-1], borders[1:], strict=True):
        at = changes[:, everyone == decay]
        cuts = np.unique(np.concatenate([span, at[(at > span[0]) & (at < span[1])]]))
        shares = regime_shares(times, [decay], cuts[:-1])[:, :, 0]
        box = np.array([[left, 0.0], [left, 1.0], [right, 1.0], [right, 0.0]])
        for low, high in pairwise(cuts.tolist()):
            heights = np.where(box[:, 1] > 0, high, low)
            corners.append(np.stack([box[:, 0], heights], axis=1))
        colours += list(shares.T @ palette)
        gone += shares[-1].tolist()
    return np.stack(corners), np.clip(np.stack(colours), 0, 1), np.array(gone)


def draw_regimes(
    axes: Axes, times: pd.DataFrame, horizon: float, edge: Track | None, first: float
) -> None:
    """A map whose colour mixes those of the regimes by their shares, the boundary on top.

    It is drawn from the `first` horizon to the longest, in steps; `times` as in `regime_shares`.
    """
    decays = np.unique(column(times, "weight_decay"))
    draw_decay_axis(axes, decays.tolist())
    borders = _edges(positions(decays, decays))
    boxes, colours, gone = _boxes(times, decays.tolist(), borders, (first, horizon))
    style = {"facecolors": colours, "edgecolors": colours, "linewidths": 0.6}
    axes.add_collection(PolyCollection(list(boxes), gid="regimes", **style))
    most = list(boxes[gone >= 0.5])
    axes.add_collection(PolyCollection(most, facecolors="none", edgecolors=INK, **_HATCH))
    if decays[0] == 0 and decays.size > 1:
        axes.axvline(borders[1], color="white", linewidth=3.5, zorder=1)
    named = dict(_REGIMES)
    if np.isnan(column(times, "t_mem")).all():  # a metric of the user's knows no memorisation
        named = {"no event yet": named["not yet memorised"], **named}
        del named["not yet memorised"], named["memorised"]
    for name, colour in named.items():  # for the legend alone
        last: dict[str, Any] = {"edgecolor": MUTED}
        if name == list(named)[-1]:
            last = {"edgecolor": INK, **_HATCH}
        axes.add_patch(Rectangle((borders[0], first), 0, 0, facecolor=colour, label=name, **last))
    if edge is not None:
        none = np.isnan(edge.low) & np.isnan(edge.high)  # without an end it is no interval
        at = np.where(none, np.nan, edge.critical)
        low, high = (np.where(np.isnan(e), at, e) for e in (edge.low, edge.high))
        for colour, width in (("white", 3.4), (INK, 1.3)):
            axes.hlines(edge.horizon, low, high, color=colour, linewidth=width - 0.4, zorder=3)
            axes.plot(edge.critical, edge.horizon, color=colour, linewidth=width, zorder=3)
        one_end = np.isnan(edge.low) != np.isnan(edge.high)
        for x, y, left in zip(*(v[one_end] for v in (edge.critical, edge.horizon, edge.low)),
                              strict=True):  # fmt: skip
            arrow_from(axes, float(x), float(y), INK, -1 if np.isnan(left) else 1)
        dot: dict[str, Any] = {"color": INK, "marker": "o", "mec": "white"}
        place = {"linestyle": "none", "ms": 5, "zorder": 4, "gid": "edge", "clip_on": False}
        axes.plot(edge.critical, edge.horizon, label="λc at this horizon", **dot, **place)
    axes.set_xlim(borders[0], borders[-1])
    axes.set_yscale("log")
    axes.set_ylim(first, horizon)
    plain_log_ticks(axes.yaxis)
    axes.grid(visible=False)
    axes.set_ylabel("horizon (steps)")
