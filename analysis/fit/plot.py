"""A fit on a table, drawn: the data, the fitted curve, the critical point with its interval."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from observatory.analysis.boundary.figure_rate import draw_rates
from observatory.analysis.page.decay_axis import draw_decay_axis, positions
from observatory.analysis.page.records import (
    Record,
    boundary_curve,
    estimator_name,
    limits,
    mark_critical,
)
from observatory.analysis.page.save import save_picture
from observatory.analysis.page.style import (
    INK,
    LINE_COLOURS,
    LINE_STYLES,
    MUTED,
    decay_colours,
    plain,
    plain_log_ticks,
    styled,
)
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.text import number
from observatory.analysis.stats.wilson import wilson_interval
from observatory.core.errors import ConfigError

Array = NDArray[np.float64]

MAX_POINTS = 40
"""Values of the control drawn each by itself; more are drawn in groups."""
GROUPS = 20
MAX_CURVES = 6


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
        {
            "weight_decay": values,
            "n": shown,
            "rate": k / n,
            "wilson_low": low,
            "wilson_high": high,
        }
    )


def draw_boundary(axes: Axes, record: Record, data: Observations) -> None:
    """Rates and the fitted curve."""
    cells = rates_table(data, record["level"])
    draw_decay_axis(axes, cells["weight_decay"].tolist(), spacing=0.07)
    draw_rates(axes, cells, counts=len(cells) <= GROUPS)
    found = limits(record, "critical")
    positive = cells.loc[cells["weight_decay"] > 0, "weight_decay"]
    if found is not None and len(positive) > 1:
        end = record["extras"].get("window_max") or np.inf
        x = np.geomspace(positive.min(), min(positive.max(), end), 300)
        label = f"{plain(estimator_name(record))}: λc = {number(found[0])}"
        colour = LINE_COLOURS[0]
        axes.plot(x, boundary_curve(record, x), color=colour, zorder=3, gid="fit", label=label)
        for name in ("critical", "critical_upper"):
            mark_critical(axes, record, colour, "-", name)
    axes.set_ylabel("share that grokked")
    _head(axes, record, data)


def draw_times(axes: Axes, record: Record, data: Observations) -> None:
    """Times of the runs that grokked, ends of the records of the others, and the fitted law."""
    cells = data.weight_decay.tolist()
    draw_decay_axis(axes, cells, spacing=0.07)
    axes.set_yscale("log")
    x = positions(data.weight_decay, cells)
    seen = data.grokked & (data.time > 0)
    axes.plot(x[seen], data.time[seen], "o", color=INK, markersize=3, gid="grokked",
              label="grokked")  # fmt: skip
    if (~seen).any():
        style = {"color": MUTED, "markerfacecolor": "none", "markersize": 4.5}
        label = "not grokked, at the last step watched"
        axes.plot(x[~seen], data.followed[~seen], "^", gid="censored", label=label, **style)
    params = {name: parameter["value"] for name, parameter in record["params"].items()}
    if {"amplitude", "nu"} <= set(params):
        critical = params.get("critical", record["extras"].get("critical") or 0.0)
        inside = data.within(record["extras"].get("window_max")).weight_decay
        inside = inside[inside > critical]
        if inside.size:
            decays = np.geomspace(inside.min(), inside.max(), 300)
            law = params["amplitude"] * (decays - critical) ** -params["nu"]
            bottom, top = axes.get_ylim()
            label = f"{plain(estimator_name(record))}: ν = {number(params['nu'])}"
            seen = np.where((law >= bottom) & (law <= top), law, np.nan)
            axes.plot(decays, seen, color=LINE_COLOURS[0], gid="power-law", label=label)
            axes.set_ylim(bottom, top)
    plain_log_ticks(axes.yaxis)
    axes.set_ylabel("time to grok (steps)")
    _head(axes, record, data)


def columns_of(record: Record, curve: str) -> dict[str, Array]:
    """The columns of one of a record's curves, NaN where null."""
    return {
        name.removeprefix(f"{curve}."): np.array(
            [np.nan if value is None else value for value in values], dtype=np.float64
        )
        for name, values in record["curves"].items()
        if name.startswith(f"{curve}.")
    }


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
    _head(axes, record, None)


def draw_survival(axes: Axes, record: Record, data: Observations) -> None:
    """The share that has grokked against time, for a few values of the control."""
    curves = columns_of(record, "km")
    values = np.unique(curves["weight_decay"])
    if values.size > MAX_CURVES:
        values = values[np.linspace(0, values.size - 1, MAX_CURVES).round().astype(int)]
    colours = decay_colours(values.tolist())
    for value in values.tolist():
        at = curves["weight_decay"] == value
        steps, share = curves["step"][at], curves["share"][at]
        style = {"color": colours[value], "step": "post", "alpha": 0.14, "linewidth": 0}
        axes.fill_between(steps, curves["low"][at], curves["high"][at], **style)
        label = f"{plain(data.control)} {value:g}"
        axes.step(steps, share, where="post", color=colours[value], gid="incidence", label=label)
    axes.set_xlabel("steps")
    axes.set_ylim(-0.02, 1.04)
    axes.set_ylabel("share that has grokked")
    _head(axes, record, None)


def _head(axes: Axes, record: Record, data: Observations | None) -> None:
    """What is drawn: event, horizon, number of runs; and the control, where it is the axis."""
    horizon = record["horizon_steps"]
    until = "horizon unknown" if horizon is None else f"horizon {horizon} steps"
    if data is not None:
        axes.set_xlabel(plain(data.control))
    axes.set_title(plain(f"{record['event']}, {until}, n = {record['n']}"))
    axes.legend(loc="best", fontsize="small")


DRAWINGS: dict[str, Callable[[Axes, Record, Observations], None]] = {
    "boundary": draw_boundary,
    "horizon": draw_horizon,
    "survival": draw_survival,
    "times": draw_times,
}


def draw(axes: Axes, kind: str, record: Record, data: Observations) -> None:
    """Draw a fit into axes.

    Raises:
        ConfigError: If fits of this kind have no figure of one panel.
    """
    if kind not in DRAWINGS:
        raise ConfigError(f"`plot` draws {sorted(DRAWINGS)}, got {kind}.")
    DRAWINGS[kind](axes, record, data)


def new_axes() -> Axes:
    """Axes of a new figure, shown by a notebook as its own are."""
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(6.4, 4.0), layout="constrained")[1]


@styled
def save_plot(kind: str, record: Record, data: Observations, path: Path) -> None:
    """Write the figure of a fit; the ending of `path` names the format.

    Raises:
        ConfigError: If the file cannot be written, or fits of this kind have no figure.
    """
    figure = Figure(figsize=(6.4, 4.0))
    draw(figure.add_subplot(), kind, record, data)
    save_picture(figure, path)
