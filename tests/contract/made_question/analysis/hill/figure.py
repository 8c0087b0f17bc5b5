"""The fitted Hill curve."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from observatory.analysis.page.drawing import Drawing, NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record
from observatory.analysis.page.single import drawn, entitle


def draw_hill(axes: Axes, record: Record, data: Any) -> None:
    """The curve from a tenth to ten times the critical value."""
    critical, n = (record["params"][name]["value"] for name in ("critical", "exponent"))
    x = np.geomspace(critical / 10.0, critical * 10.0, 200)
    axes.semilogx(x, x**n / (critical**n + x**n), label="Hill curve", gid="hill")
    axes.set_ylabel("share with the event")
    entitle(axes, record, record["extras"].get("control", "weight decay"))


def draw_section(facts: Facts) -> list[Drawing | NotDrawn]:
    """The curve, or why there is none."""
    record = facts.single("hill")
    if record is None:
        return [NotDrawn("A Hill curve", "it was not fitted, or refused")]
    figure = drawn(draw_hill, record, None, None)
    caption = f"The rate as a Hill curve. {context(facts)}"
    return [Drawing("hill", "A Hill curve of the rate", caption, figure)]
