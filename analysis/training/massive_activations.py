"""The largest entry of the residual stream against its median, over training and layers."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import panels_figure
from observatory.analysis.page.style import styled


@styled
def massive_activations_figure(bands: pd.DataFrame, marks: Mapping[float, float]) -> Figure:
    """A panel per layer of top-1 over median, and the panels of what else was asked for.

    Args:
        bands: The table that `bands` makes; its quantities are the titles of the panels, in order.
        marks: Median time to grok per weight decay, in steps.
    """
    quantities = {str(name): str(name) for name in bands["quantity"].unique()}
    ratios = frozenset(name for name in quantities if "ratio" in name)
    return panels_figure(bands, quantities, marks, log=ratios)
