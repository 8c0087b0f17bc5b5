"""Diagnostics of the attention patterns over training."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import panels_figure, recorded
from observatory.analysis.page.style import styled

TITLES = {
    "s_bar": "s_bar: similarity of heads",
    "s_bar_query": "s_bar_query: answer row alone",
    "sigma_h": "sigma_h: entropy spread (nats)",
    "pr_norm": "pr_norm: participation",
    "entropy": "entropy: mean (nats)",
    "entropy_range": "entropy_range (nats)",
    "spectral_gap": "spectral_gap",
    "r_phi": "r_phi: phase coherence",
}
"""Columns of the attention probe, in the order of the panels; others of its table are not drawn."""


@styled
def attention_figure(bands: pd.DataFrame, marks: Mapping[float, float]) -> Figure:
    """A panel per attention diagnostic, averaged over layers, a line per weight decay.

    Args:
        bands: The table that `bands` makes, of columns named in `TITLES`.
        marks: Median time to grok per weight decay, in steps.
    """
    return panels_figure(bands, recorded(bands, TITLES), marks)
