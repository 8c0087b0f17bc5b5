"""A boundary fitted to a table: rates, the fitted curve, the critical point with its interval."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from observatory.analysis.boundary.figure_rate import draw_rates
from observatory.analysis.fit.observed import Opened
from observatory.analysis.page.decay_axis import draw_decay_axis
from observatory.analysis.page.records import (
    Record,
    draw_boundary_curve,
    estimator_name,
    limits,
    mark_critical,
)
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import LINE_COLOURS, plain
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.text import number
from observatory.analysis.stats.wilson import wilson_interval

MAX_POINTS = 40
"""Values of the control drawn each by itself; more are drawn in groups."""
GROUPS = 20


def rates_table(data: Observations, level: float) -> pd.DataFrame:
    """Rates with Wilson intervals per value of the control, or per group where there are many.

    Returns:
        Columns weight_decay, n, rate, wilson_low, wilson_high; a group lies at its geometric mean.
    """
    values, cell = np.unique(data.weight_decay, return_inverse=True)
    if values.size > MAX_POINTS:
        values = values[values > 0]
        edges = np.unique(np.quantile(values, np.linspace(0, 1, GROUPS + 1)))
        data = data.take(data.weight_decay > 0)
        cell = np.clip(np.searchsorted(edges, data.weight_decay, side="right") - 1, 0, GROUPS - 1)
        cell = np.unique(cell, return_inverse=True)[1]
        n_values = np.bincount(cell, weights=data.weights)
        values = np.exp(np.bincount(cell, np.log(data.weight_decay) * data.weights) / n_values)
    n = np.bincount(cell, weights=data.weights)
    k = np.minimum(np.bincount(cell, weights=data.weights * data.grokked), n)
    low, high = wilson_interval(k, n, level)
    shown = [f"{value:g}" for value in n]
    return pd.DataFrame(
        {"weight_decay": values, "n": shown, "rate": k / n, "wilson_low": low, "wilson_high": high}
    )


def draw_boundary(axes: Axes, record: Record, opened: Opened) -> None:
    """Rates with their intervals, the fitted curve, the critical point."""
    data = opened.cut()[0]
    cells = rates_table(data, record["level"])
    draw_decay_axis(axes, cells["weight_decay"].tolist(), spacing=0.07)
    draw_rates(axes, cells, counts=len(cells) <= GROUPS)
    found = limits(record, "critical")
    if found is not None:
        label = f"{plain(estimator_name(record))}: λc = {number(found[0])}"
        colour, end = LINE_COLOURS[0], record["extras"].get("window_max") or np.inf
        look = {"color": colour, "label": label}
        draw_boundary_curve(axes, record, cells["weight_decay"], end, look, n_points=300)
        for name in ("critical", "critical_upper"):
            mark_critical(axes, record, colour, "-", name)
    axes.set_ylabel("event rate")
    entitle(axes, record, data.control)
