"""Shares of variance with their intervals, a bar per component."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from observatory.analysis.page.style import INK, LINE_COLOURS, WIDTH, plain, styled, write_beside


@styled
def shares_figure(record: Mapping[str, Any]) -> Figure:
    """How much of the variance each component has.

    Args:
        record: Of `VarianceComponents`, not a refusal.
    """
    found = {n[6:-1]: p for n, p in record["params"].items() if n.startswith("share[")}
    places = np.arange(len(found))
    figure = Figure(figsize=(WIDTH, 1.0 + 0.34 * len(found)))
    axes = figure.subplots()
    told = list[str]()
    for place, share in zip(places, found.values(), strict=True):
        ends = (share["ci_low"], share["ci_high"])
        axes.barh(place, share["value"], 0.5, color=LINE_COLOURS[0], alpha=0.35, gid="share")
        axes.plot(ends, [place, place], color=INK, linewidth=1.4, gid="interval")
        axes.plot(share["value"], place, "o", color=LINE_COLOURS[0], ms=5, gid="estimate")
        told.append(f"{share['value']:.0%} [{ends[0]:.0%}, {ends[1]:.0%}]")
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(len(found) - 0.4, -0.6)
    levels = {name: record["extras"].get(f"levels[{name}]") for name in found}
    names = [plain(n if levels[n] is None else f"{n} ({levels[n]})") for n in found]
    axes.set_yticks(places, names)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    write_beside(axes, told)
    axes.set_xlabel(f"share of the variance of {plain(record['event'])}")
    axes.set_title(f"n = {record['n']} runs; levels in brackets; intervals {record['level']:.0%}")
    return figure
