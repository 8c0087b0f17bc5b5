"""What any diagnostic must beat: weight norm, logit scale and softmax collapse over training."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from observatory.analysis.page.panels import panels_figure, recorded
from observatory.analysis.page.style import styled

TITLES = {
    "l2": "L2 norm of all weights",
    "logit_scale": "logit scale (nats)",
    "collapsed_share": "softmax collapse (share)",
}


@styled
def baselines_figure(bands: pd.DataFrame, marks: Mapping[float, float]) -> Figure:
    """A panel per baseline, a line per weight decay.

    Args:
        bands: The table that `bands` makes, of columns named in `TITLES`.
        marks: Median time to grok per weight decay, in steps.
    """
    log = frozenset({"l2", "logit_scale"})
    return panels_figure(bands, recorded(bands, TITLES), marks, log=log)
