"""The critical weight decay and the exponent together: what the times allow."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from observatory.analysis.page.style import INK, LINE_COLOURS, MUTED, WIDTH, note, styled

_LEVELS = {0.95: 5.991, 0.5: 1.386}  # chi-square with two degrees of freedom: ends of the regions


@dataclass(frozen=True)
class Region:
    """What one law says of (critical weight decay, exponent)."""

    title: str  # the law
    critical: NDArray[np.float64]  # grid of the profile, flattened, `[point]`
    nu: NDArray[np.float64]  # likewise
    delta: NDArray[np.float64]  # twice the drop of the log-likelihood; NaN where impossible
    cloud: NDArray[np.float64]  # bootstrap draws of (critical, nu), `[draw, 2]`
    best: tuple[float, float]  # the estimate (critical, nu)
    zero: tuple[float, float, float] | None  # exponent and limits with λc held at 0


def on_lattice(region: Region) -> tuple[NDArray[np.float64], ...]:
    """The grid as (critical `[i]`, nu `[j]`, delta `[j, i]`), NaN where it has no point."""
    criticals, i = np.unique(region.critical, return_inverse=True)
    nus, j = np.unique(region.nu, return_inverse=True)
    delta = np.full((nus.size, criticals.size), np.nan)
    delta[j, i] = region.delta
    return criticals, nus, delta


def _draw(
    axes: Axes, region: Region, colour: str, uncensored: Sequence[tuple[float, float]]
) -> list[float]:
    """One panel; the exponents that it has to show."""
    criticals, nus, delta = on_lattice(region)
    axes.set_title(region.title)
    if min(delta.shape) < 2:
        note(axes, "no profile region")
        return []
    drawn = np.ma.masked_invalid(delta)
    for (level, drop), alpha in zip(_LEVELS.items(), (0.18, 0.35), strict=True):
        axes.contourf(criticals, nus, drawn, [-1.0, drop], colors=[colour], alpha=alpha)
        axes.contour(criticals, nus, drawn, [drop], colors=[colour], linewidths=1.0).set_gid(
            f"region-{level:g}"
        )
    cloud = region.cloud[:: max(1, -(-len(region.cloud) // 400))]  # of many draws, every few
    dots = {"color": INK, "markersize": 1.8, "alpha": 0.35, "mew": 0}
    axes.plot(cloud[:, 0], cloud[:, 1], ".", gid="cloud", **dots)
    axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="zero-line")
    if region.zero is not None:
        value, low, high = region.zero
        axes.plot([0, 0], [low, high], color=INK, linewidth=2.2, gid="zero-interval")
        axes.plot(0, value, "D", color=INK, markersize=4, gid="zero-law")
    axes.plot(*region.best, "P", color=colour, markersize=7, mec="white", mew=0.7, gid="best")
    inside = delta < 2 * _LEVELS[0.95]
    columns, rows = inside.any(axis=0), inside.any(axis=1)
    shown = [*(region.zero or ()), region.best[1]]
    if columns.any():
        right = 1.8 * float(criticals[columns].max())  # beyond, estimates are printed
        near = [point for point in uncensored if point[0] <= right]
        right = max([float(criticals[columns].max()), *(critical for critical, _ in near)])
        axes.set_xlim(-0.06 * right, 1.06 * right)
        shown += [float(nus[rows].min()), float(nus[rows].max()), *(nu for _, nu in near)]
        _draw_uncensored(axes, near, [point for point in uncensored if point not in near])
    return shown


def _draw_uncensored(
    axes: Axes, near: Sequence[tuple[float, float]], far: Sequence[tuple[float, float]]
) -> None:
    """A square per estimate; one far from the region is printed at the right edge."""
    square = {"color": LINE_COLOURS[1], "markersize": 5, "mfc": "none"}
    for critical, nu in near:
        axes.plot(critical, nu, "s", gid="uncensored", **square)
    beyond = "\n".join(f"({critical:.3g}, {nu:.3g}) →" for critical, nu in far)
    place = {"transform": axes.transAxes, "ha": "right", "va": "top", "fontsize": 6.5}
    axes.text(0.99, 0.97, beyond, color=LINE_COLOURS[1], gid="uncensored-beyond", **place)


@styled
def joint_figure(regions: Sequence[Region], uncensored: Sequence[tuple[float, float]]) -> Figure:
    """A panel per law: its 50% and 95% regions, the bootstrap, the estimate and the zero line.

    `uncensored` are (critical, nu) of the regressions on the replicas that grokked only.
    """
    figure = Figure(figsize=(WIDTH, 3.3))
    panels = figure.subplots(1, len(regions), squeeze=False, sharey=True)[0]
    shown: list[float] = []
    for axes, region in zip(panels, regions, strict=True):
        shown += _draw(axes, region, LINE_COLOURS[0], uncensored)
        axes.set_xlabel("λc (weight decay)")
        axes.locator_params(axis="x", nbins=5)
    if shown:
        margin = 0.06 * (max(shown) - min(shown))
        panels[0].set_ylim(min(shown) - margin, max(shown) + margin)
    panels[0].set_ylabel("exponent ν")
    none: dict[str, Any] = {"linestyle": "none"}
    hollow: dict[str, Any] = {"color": LINE_COLOURS[1], "mfc": "none", **none}
    handles = [
        Patch(color=LINE_COLOURS[0], alpha=0.5, label="50% region"),
        Patch(color=LINE_COLOURS[0], alpha=0.2, label="95% region"),
        Line2D([], [], marker="P", color=LINE_COLOURS[0], label="estimate", **none),
        Line2D([], [], marker=".", color=INK, markersize=4, label="bootstrap draw", **none),
        Line2D([], [], marker="D", color=INK, markersize=4, label="λc held at 0"),
        Line2D([], [], marker="s", label="uncensored only", **hollow),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=6)
    return figure
