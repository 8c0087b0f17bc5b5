"""Shape of what the readout reads, over training: it exists for every architecture."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import panels_figure, recorded
from observatory.analysis.page.style import styled

TITLES = {
    "spectral_entropy": "spectral entropy (0–1)",
    "effective_rank": "effective rank",
    "participation_ratio": "participation ratio",
    "head_tail_5": "head-tail contrast, k = 5",
    "class_ratio": "between / within classes",
}
"""Columns of the representation probe, in the order of the panels; others are not drawn."""
_LOG = frozenset({"class_ratio", "effective_rank", "participation_ratio"})


@styled
def representation_figure(bands: pd.DataFrame, marks: Mapping[float, float]) -> Figure:
    """A panel per quantity of the representation, a line per weight decay.

    Args:
        bands: The table that `bands` makes, of columns named in `TITLES`.
        marks: Median time to grok per weight decay, in steps.
    """
    return panels_figure(bands, recorded(bands, TITLES), marks, log=_LOG)
