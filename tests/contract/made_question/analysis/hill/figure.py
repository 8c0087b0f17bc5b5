"""The fitted Hill curve."""

import numpy as np
from matplotlib.axes import Axes

from observatory.analysis.page.records import Record
from observatory.analysis.page.single import entitle


def draw_hill(axes: Axes, record: Record, control: str) -> None:
    """The curve from a tenth to ten times the critical value."""
    critical, n = (record["params"][name]["value"] for name in ("critical", "exponent"))
    x = np.geomspace(critical / 10.0, critical * 10.0, 200)
    axes.semilogx(x, x**n / (critical**n + x**n), label="Hill curve", gid="hill")
    axes.set_ylabel("share that grokked")
    entitle(axes, record, control)
