"""A fitted boundary record as a curve and as a mark on the weight-decay axis."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from observatory.analysis.stats.links import LINKS

Record = Mapping[str, Any]
"""One entry of `fits.json`."""


def limits(record: Record, name: str) -> tuple[float, float | None, float | None] | None:
    """Value and interval of a parameter, or None where the fit refused or has no such parameter."""
    parameter = record["params"].get(name)
    if record["refused"] is not None or parameter is None or parameter["value"] is None:
        return None
    return parameter["value"], parameter["ci_low"], parameter["ci_high"]


def ratio_words(record: Record) -> str:
    """Which group is divided by which."""
    extras: Mapping[str, object] = record["extras"]
    return f"{extras.get('numerator')} / {extras.get('denominator')}"


def lead_reason(record: Record) -> str | None:
    """Why a record is of the estimator that leads at every horizon; None where it is not."""
    return record.get("extras", {}).get("lead")


def estimator_name(record: Record) -> str:
    """The name of a record's estimator, readable, with its link where that is not the logistic.

    Example:
        >>> estimator_name({"estimator": "maximum_likelihood", "extras": {"link": "probit"}})
        'maximum likelihood (probit)'
    """
    name = str(record["estimator"]).replace("_", " ").replace("firth", "Firth")
    link = record.get("extras", {}).get("link") or "logistic"
    return name if link == "logistic" or link in name else f"{name} ({link})"


def floats(values: Sequence[float | None]) -> NDArray[np.float64]:
    """Stored numbers as an array, null as NaN."""
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def columns_of(record: Record, curve: str) -> dict[str, NDArray[np.float64]]:
    """The columns of one of a record's curves, NaN where null."""
    return {
        name.removeprefix(f"{curve}."): floats(values)
        for name, values in record["curves"].items()
        if name.startswith(f"{curve}.")
    }


def boundary_curve(record: Record, weight_decay: NDArray[np.float64]) -> NDArray[np.float64]:
    """The fitted event rate, lapses included, at positive weight decays; NaN where unknown.

    It is the curve `rate` of the record, columns weight_decay and share, between its ends. A record
    without one that names its link F has P = guess (1 - s) + (1 - lapse) s, with
    s = F(slope (x - x0)) and x = log10(weight_decay); a window has a second, falling edge:
    s = F(slope (x - x0)) (1 - F(slope_upper (x - x1))). Rates held fixed are among the extras.

    Example:
        >>> one = {"value": 1.0}
        >>> record = {"params": {"critical": one, "slope": one, "lapse": {"value": 0.2}}}
        >>> record |= {"extras": {"link": "logistic"}, "curves": {}}
        >>> boundary_curve(record, np.array([1.0])).round(12).tolist()
        [0.4]
    """
    x, extras = np.log10(weight_decay), record["extras"]
    if own := columns_of(record, "rate"):
        at = np.log10(own["weight_decay"])
        return np.interp(x, at, own["share"], left=np.nan, right=np.nan)
    if extras.get("link") not in LINKS:
        return np.full(x.shape, np.nan)
    params = {name: parameter["value"] for name, parameter in record["params"].items()}
    params = {**extras, **params}
    guess, lapse = params.get("guess") or 0.0, params.get("lapse") or 0.0
    link = LINKS[extras["link"]]
    share = link.rise(params["slope"] * (x - np.log10(params["critical"])))
    if "critical_upper" in params:
        share = share * link.fall(params["slope_upper"] * (x - np.log10(params["critical_upper"])))
    return guess * (1.0 - share) + (1.0 - lapse) * share


def draw_boundary_curve(
    axes: Axes,
    record: Record,
    weight_decay: ArrayLike,
    window_max: float,
    style: Mapping[str, Any],
    n_points: int = 200,
) -> None:
    """The fitted curve over the positive weight decays that entered it; nothing for only one."""
    values = np.asarray(weight_decay, dtype=np.float64)
    inside = values[(values > 0) & (values <= window_max)]
    if inside.size > 1:
        x = np.geomspace(inside.min(), inside.max(), n_points)
        axes.plot(x, boundary_curve(record, x), zorder=3, gid="fit", **style)


def mark_critical(
    axes: Axes, record: Record, colour: str, style: Any, name: str = "critical"
) -> None:
    """A vertical line at the critical weight decay, a band over its interval.

    Where one end is not known, the band ends at the estimate and an arrow points that way.
    """
    found = limits(record, name)
    if found is None:
        return
    value, low, high = found
    axes.axvline(value, color=colour, linestyle=style, linewidth=1.0, gid="critical")
    if low is None and high is None:
        return  # without an end it is no interval
    left, right = axes.get_xlim()
    ends = [value if end is None else end for end in (low, high)]
    band = {"color": colour, "alpha": 0.13, "linewidth": 0, "zorder": 0.5}
    axes.axvspan(max(ends[0], left / 1e3), min(ends[1], right * 1e3), gid="critical-interval",
                 **band)  # fmt: skip
    if low is None or high is None:
        arrow_from(axes, value, 0.5, colour, -1 if low is None else 1, axes.get_xaxis_transform())


def arrow_from(
    axes: Axes, x: float, y: float, colour: str, towards: int, transform: Any = None
) -> None:
    """A short arrow from a point to the left (-1) or the right (1): there is no limit that way."""
    axes.annotate(
        "",
        (x, y),
        (26 * towards, 0),
        xycoords=transform or "data",
        textcoords="offset points",
        arrowprops={"arrowstyle": "<-", "color": colour, "linewidth": 1.2, "shrinkB": 0},
        gid="unbounded",
    )
