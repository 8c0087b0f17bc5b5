"""What became of the replicas of each weight decay."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.decay_axis import decay_label
from observatory.analysis.page.frames import column
from observatory.analysis.page.style import INK, OUTCOME_COLOURS, WIDTH, styled

_HATCHES = {
    "lost": "///",
    "collapsed": "\\\\\\",
    "diverged": "xxx",
    "unfinished": "...",
    "none": "",
}


@styled
def outcomes_figure(cells: pd.DataFrame) -> Figure:
    """Stacked shares of the outcomes, one bar per weight decay, counts inside.

    Args:
        cells: The table of `cell_table`: weight_decay and one count per `OUTCOME_COLOURS`.
    """
    figure = Figure(figsize=(WIDTH, 3.0))
    axes = figure.add_subplot()
    at = np.arange(len(cells), dtype=np.float64)
    n = np.sum([column(cells, outcome) for outcome in OUTCOME_COLOURS], axis=0)
    bottom = np.zeros(len(cells))
    for outcome, colour in OUTCOME_COLOURS.items():
        counts = column(cells, outcome)
        if not counts.any():
            continue
        dark = outcome in {"grokked", "collapsed", "diverged"}
        axes.bar(
            at,
            counts / n,
            0.82,
            bottom=bottom,
            color=colour,
            hatch=_HATCHES.get(outcome),
            edgecolor=INK,
            linewidth=0.5,
            label=outcome,
            gid=f"bar-{outcome}",
        )
        if len(cells) <= 24:
            for place, count, base, size in zip(at, counts, bottom, n, strict=True):
                if count:
                    axes.text(
                        place,
                        base + count / size / 2,
                        f"{count:.0f}",
                        ha="center",
                        va="center",
                        fontsize=7,
                        color="white" if dark else INK,
                        bbox={"facecolor": colour, "linewidth": 0, "pad": 1.0},
                    )
        bottom = bottom + counts / n
    step = max(1, round(len(cells) / 20))
    labels = [decay_label(value) for value in cells["weight_decay"]]
    axes.set_xticks(at[::step], labels[::step])
    axes.set_xlabel("weight decay")
    axes.set_ylabel("share of replicas")
    axes.set_ylim(0, 1)
    axes.grid(visible=False, axis="x")
    figure.legend(loc="outside right upper")
    return figure
