"""Spectra of the weight matrices over training, their heavy tails where these are recorded."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import panels_figure, recorded
from observatory.analysis.page.style import styled

TITLES = {
    "alpha": "tail exponent alpha",
    "stable_rank": "stable rank",
    "effective_rank": "effective rank",
    "participation_ratio": "participation ratio",
    "spectral_entropy": "spectral entropy (0–1)",
}
"""Columns of the probe in the order of the panels; those that are not recorded are not drawn."""
_LOG = frozenset({"stable_rank", "effective_rank", "participation_ratio"})


@styled
def weight_spectrum_figure(bands: pd.DataFrame, marks: Mapping[float, float]) -> Figure:
    """A panel per quantity of the spectra, a line per weight decay.

    Args:
        bands: The table that `bands` makes, of columns named in `TITLES`.
        marks: Median time to grok per weight decay, in steps.
    """
    return panels_figure(bands, recorded(bands, TITLES), marks, log=_LOG)
