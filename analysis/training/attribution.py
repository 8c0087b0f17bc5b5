"""How far estimates of what a part contributes agree with patching it, through training."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.bands import bands
from observatory.analysis.page.drawing import Drawing, context, rule
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.frames import layered, select
from observatory.analysis.page.panels import (
    LEGEND,
    MAX_BANDS,
    MAX_LINES,
    chosen_decays,
    decay_handles,
    draw_lines,
    finish_steps,
)
from observatory.analysis.page.style import WIDTH, styled
from observatory.analysis.training.recorded import said_of_kept, table_of

PROBE = "attribution"
SITES = {
    "embedding": "embedding",
    "head": "heads",
    "pre": "units, before",
    "post": "units, after",
    "stream": "stream",
}
"""Kinds of sites in the order of the columns, with their words: units around the activation."""
METHODS = {
    "attribution_patching": "attribution\npatching",
    "integrated_gradients": "integrated\ngradients",
    "relp": "RelP",
}
"""Estimates in the order of the entries of a list, with their words."""


def draw_attribution(facts: Facts) -> Drawing | None:
    """Pearson's r with activation patching, per kind of site and estimate; None where unrecorded.

    Kinds of sites that the network lacks are left out.
    """
    table = table_of(facts.group, PROBE)
    names = [f"pearson_{kind}" for kind in SITES]
    frame = facts.group.table(table, names) if table else None
    if frame is None:
        return None
    read = {name: layered(frame[name].tolist()) for name in names}
    shown = [kind for kind in SITES if np.isfinite(read[f"pearson_{kind}"]).any()]
    wide = select(frame, ["run_id", "replica", "step"])
    cells = {
        f"{kind} {method}": read[f"pearson_{kind}"][:, place]
        for kind in shown
        for place, method in enumerate(METHODS)
    }
    made = bands(wide.assign(**cells), facts.group.replicas, list(cells), facts.steps_drawn)
    if made.empty:
        return None
    return Drawing(
        name="mechanism-attribution",
        title="Attribution beside patching",
        caption=(
            "Pearson’s r (dimensionless, 1: full agreement) between the scores of an estimate and "
            "those of activation patching, over the sites of a kind: channels of the embedding, "
            "attention heads, hidden units before and after the activation, channels of the stream "
            "after a block; a row per estimate. Against optimizer steps (log axis; step 0 is not "
            "shown), coloured by weight decay. "
            f"{rule(facts, MAX_LINES, bands_drawn=len(facts.cells) <= MAX_BANDS)}"
            f"{said_of_kept(facts.group, [PROBE])} {context(facts)}"
        ),
        figure=_attribution_figure(made, shown),
    )


@styled
def _attribution_figure(made: pd.DataFrame, shown: list[str]) -> Figure:
    """A row per estimate, a column per kind of site, of the table that `bands` makes."""
    figure = Figure(figsize=(WIDTH, 4.4))
    grid = figure.subplots(len(METHODS), len(shown), squeeze=False, sharex=True, sharey=True)
    decays = chosen_decays(made["weight_decay"].tolist(), MAX_LINES)
    few = len(decays) <= MAX_BANDS
    for row, (method, words) in enumerate(METHODS.items()):
        for axes, kind in zip(grid[row], shown, strict=True):
            draw_lines(axes, made, f"{kind} {method}", {}, spread=few, decays=decays)
            if row == 0:
                axes.set_title(SITES[kind])
        grid[row, 0].set_ylabel(words)
    grid[0, 0].set_ylim(top=1.03)
    finish_steps(grid, grid.size)
    figure.align_ylabels(grid[:, 0])
    handles = decay_handles(decays, marked=False)
    figure.legend(handles=handles, loc="outside upper center", ncols=7, **LEGEND)
    return figure
