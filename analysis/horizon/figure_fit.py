"""The boundary of a table against the horizon, with what the laws of the times make of it."""

import numpy as np
from matplotlib.axes import Axes

from observatory.analysis.page.records import Record, columns_of
from observatory.analysis.page.single import entitle
from observatory.analysis.page.style import INK, LINE_COLOURS, LINE_STYLES, plain, plain_log_ticks
from observatory.analysis.stats.observations import Observations


def draw_horizon(axes: Axes, record: Record, data: Observations) -> None:
    """The boundary against the horizon, and what the preferred laws of the times make of it."""
    seen = columns_of(record, "boundary")
    axes.set_xscale("log")
    axes.set_yscale("log")
    low, high = (np.where(np.isnan(seen[e]), seen["critical"], seen[e]) for e in ("low", "high"))
    axes.vlines(seen["horizon"], low, high, color=INK, linewidth=1.0, gid="interval")
    style = {"color": INK, "markersize": 4.5, "gid": "critical-at-horizon"}
    axes.plot(seen["horizon"], seen["critical"], "s", label="boundary", **style)
    best = record["extras"]["best_distribution"]
    words = {"zero": "no threshold", "free": "threshold free"}
    for index, (kind, meaning) in enumerate(words.items()):
        law = columns_of(record, f"law_{kind}_{best}")
        style = {"color": LINE_COLOURS[index], "linestyle": LINE_STYLES[index]}
        label = f"{best} times, {meaning}"
        axes.plot(law["horizon"], law["critical"], gid=f"law-{kind}", label=label, **style)
    plain_log_ticks(axes.xaxis)
    plain_log_ticks(axes.yaxis)
    axes.set_xlabel("horizon (steps)")
    axes.set_ylabel(f"critical {plain(data.control)}")
    entitle(axes, record, None)
