"""Differences of arms with their intervals, a row per contrast."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    MUTED,
    WIDTH,
    plain,
    styled,
    write_beside,
)
from observatory.analysis.stats.paired_tests import p_text


@styled
def differences_figure(record: Mapping[str, Any]) -> Figure:
    """A forest of differences; filled where the contrast differs after Holm's adjustment.

    Args:
        record: Of `PairedComparison`, not a refusal.
    """
    params, extras = record["params"], record["extras"]
    places = np.arange(len(params))
    figure = Figure(figsize=(WIDTH, 1.0 + 0.27 * len(params)))
    axes = figure.subplots()
    axes.axvline(0.0, color=MUTED, linewidth=1.0, linestyle=(0, (4, 2)), gid="equal")
    if extras["margin"] is not None:
        axes.axvspan(
            -extras["margin"], extras["margin"], color=MUTED, alpha=0.15, linewidth=0, gid="margin"
        )
    told = list[str]()
    for place, (name, found) in enumerate(params.items()):
        low, high, verdict = found["ci_low"], found["ci_high"], extras[f"verdict[{name}]"]
        axes.plot([low, high], [place, place], color=LINE_COLOURS[0], linewidth=1.8, gid="interval")
        inside = LINE_COLOURS[0] if verdict.startswith("differs") else "white"
        axes.plot(found["value"], place, "o", color=inside, mec=LINE_COLOURS[0], ms=6,
                  gid="estimate")  # fmt: skip
        p = record["curves"]["test.p_holm"][place]
        numbers = f"{found['value']:.3g} [{low:.3g}, {high:.3g}]".replace("-", "−")
        told.append(f"{numbers}, p {p_text(p)}, {verdict}")
    axes.set_ylim(len(params) - 0.4, -0.6)
    axes.set_yticks(places, [plain(name) for name in params])
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    write_beside(axes, told)
    axes.set_xlabel(f"difference of {plain(record['event'])}, intervals {record['level']:.0%}")
    axes.set_title(f"p by Holm in a family of {extras['n_tests']}; filled: differs")
    return figure
