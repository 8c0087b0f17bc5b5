"""A fitted boundary record as a curve and as a mark on the weight-decay axis."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from observatory.analysis.fits.logistic import curve

Record = Mapping[str, Any]
"""One entry of `fits.json`."""


def limits(record: Record, name: str) -> tuple[float, float | None, float | None] | None:
    """Value and interval of a parameter, or None where the fit refused or has no such parameter."""
    parameter = record["params"].get(name)
    if record["refused"] is not None or parameter is None or parameter["value"] is None:
        return None
    return parameter["value"], parameter["ci_low"], parameter["ci_high"]


def boundary_curve(record: Record, weight_decay: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fitted rate of grokking, lapses included, at positive weight decays.

    P = guess + (1 - guess - lapse) F, with F the logistic in log10(weight_decay). Rates that were
    held fixed are among the extras; a fit without these rates has none.

    Example:
        >>> one = {"value": 1.0}
        >>> record = {"params": {"critical": one, "slope": one, "lapse": {"value": 0.2}}}
        >>> boundary_curve(record, np.array([1.0])).tolist()
        [0.4]
    """
    params = {name: parameter["value"] for name, parameter in record["params"].items()}
    params = {**record.get("extras", {}), **params}
    guess, lapse = params.get("guess", 0.0), params.get("lapse", 0.0)
    underlying = curve(np.log10(weight_decay), np.log10(params["critical"]), params["slope"])
    return guess + (1.0 - guess - lapse) * underlying


def mark_critical(axes: Axes, record: Record, colour: str, style: Any) -> None:
    """A vertical line at the critical weight decay, and a band over its interval."""
    found = limits(record, "critical")
    if found is None:
        return
    value, low, high = found
    left, right = axes.get_xlim()
    axes.axvline(value, color=colour, linestyle=style, linewidth=1.0, gid="critical")
    axes.axvspan(
        left if low is None else max(low, left),
        right if high is None else min(high, right),
        color=colour,
        alpha=0.13,
        linewidth=0,
        zorder=0.5,
        gid="critical-interval",
    )
