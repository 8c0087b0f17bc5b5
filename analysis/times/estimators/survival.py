"""The share of replicas that has had the event by each step, per weight decay, without a law."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from statsmodels.duration.survfunc import survdiff

from observatory.analysis.stats.estimate import Estimate, Plain, estimate_of
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.solvers import chi2_tail
from observatory.analysis.times.estimators.aft_table import competing_warnings, require_times
from observatory.analysis.times.estimators.intervals import (
    bounds_of,
    interval_log_rank,
    overlapping,
    turnbull,
)
from observatory.analysis.times.estimators.kaplan_meier import (
    SurvivalCurve,
    kaplan_meier,
    restricted_mean,
    share_limits,
)
from observatory.core.errors import FitRefusedError

_Columns = dict[str, list[float | None]]
_NAMES = {
    "km": ("weight_decay", "step", "share", "low", "high"),
    "median": ("weight_decay", "value", "low", "high"),
    "rmst": ("weight_decay", "value", "se", "low", "high", "n"),
}
_WIDE = (
    "Intervals between looks overlap in part: curves are Turnbull's, the likeliest for intervals, "
    "without bands, and the log-rank test is that of intervals."
)


def log_rank(time: Array, seen: NDArray[np.bool_], group: Array) -> float:
    """Chi-square of the log-rank test that all groups have one curve: groups less one degrees."""
    return float(survdiff(time, seen.astype(np.int64), group)[0])


def _log_rank_of(data: Observations) -> float:
    control, time, seen = _one_each(data)
    return log_rank(time, seen, control)


def _steps_of(weight_decay: float, curve: SurvivalCurve, end: float, level: float) -> _Columns:
    """One curve with its limits as rows to draw, from step 0 to the end of the record."""
    made: _Columns = {
        "weight_decay": [weight_decay] * (curve.time.size + 2),
        "step": [0.0, *curve.time.tolist(), end],
        "share": [0.0, *(1.0 - curve.survival).tolist()],
    }
    made["share"].append(made["share"][-1])
    for name, limit in zip(("low", "high"), share_limits(curve, end, level), strict=True):
        made[name] = [*limit.tolist(), float(limit[-1])]
    return made


def _one_each(data: Observations) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Weight decay, steps and event of every replica, one row each; refuses fractions of one."""
    rows = np.stack([data.weight_decay, data.followed, data.grokked.astype(np.float64)], axis=1)
    distinct, which = np.unique(rows, axis=0, return_inverse=True)
    total = np.bincount(which.reshape(-1), weights=data.weights)
    times = np.rint(total).astype(np.int64)
    if np.any(np.abs(total - times) > 1e-6):
        raise FitRefusedError(
            "Kaplan-Meier counts whole replicas, and the weights of rows that are alike add up to "
            "fractions. Give a row per replica."
        )
    control, time, seen = np.repeat(distinct, times, axis=0).T
    return control, time, seen > 0


def _curves_of(data: Observations, horizon: float, level: float) -> _Columns:
    """Curves, medians and restricted means of every weight decay, as the record holds them."""
    control, time, seen = _one_each(data)
    made = _empty()
    for value in np.unique(control):
        at = control == value
        curve = kaplan_meier(time[at], seen[at], level)
        latest = float(time[at].max())
        end = max(horizon, latest) if seen[at].all() else latest
        for column, entries in _steps_of(float(value), curve, end, level).items():
            made[f"km.{column}"] += entries
        mean = restricted_mean(curve, horizon, level)
        _add(made, "median", float(value), curve.median, curve.median_low, curve.median_high)
        limits = mean.value, mean.se, mean.ci_low, mean.ci_high
        _add(made, "rmst", float(value), *limits, float(curve.n))
    return made


def _interval_curves(data: Observations) -> _Columns:
    """The likeliest curve and the median of every weight decay, where intervals overlap in part.

    They have no bands, and no restricted mean: that depends on where in its interval a time is.
    """
    made, (low, high) = _empty(), bounds_of(data)
    for value in np.unique(data.weight_decay):
        at = data.weight_decay == value
        ends, mass = turnbull(low[at], high[at], data.weights[at])
        known = np.isfinite(ends)
        times, share = ends[known], np.minimum(np.cumsum(mass[known]), 1.0)
        half = share >= 0.5 - 1e-6
        steps = [0.0, *times.tolist(), float(data.followed[at].max())]
        for step, height in zip(steps, [0.0, *share, *share[-1:]], strict=False):
            _add(made, "km", float(value), step, float(height), None, None)
        median = float(times[np.argmax(half)]) if half.any() else None
        _add(made, "median", float(value), median, None, None)
        _add(made, "rmst", float(value), *[None] * 4, float(data.count(at)))
    return made


def _empty() -> _Columns:
    return {f"{curve}.{column}": [] for curve in _NAMES for column in _NAMES[curve]}


def _add(made: _Columns, curve: str, *entries: float | None) -> None:
    for column, entry in zip(_NAMES[curve], entries, strict=True):
        made[f"{curve}.{column}"].append(entry)


def _common_end(data: Observations) -> tuple[float, float | None]:
    """The step to which every curve is known, where restricted means end, and the value that ends.

    A curve is known to its last look, and for ever where all replicas had the event: None where
    that is so at every value.
    """
    open_ended = np.unique(data.weight_decay[~data.grokked]).tolist()
    ends = [(float(data.followed[data.weight_decay == cell].max()), cell) for cell in open_ended]
    return min(ends, default=(float(data.followed.max()), None))


def _unknown_horizon(data: Observations) -> list[str]:
    """A warning where the table names no horizon: where restricted means end instead."""
    if data.horizon_steps is not None:
        return []
    end, value = _common_end(data)
    where = (
        "the latest time"
        if value is None
        else f"the end of the records at {data.control} {value:g}"
    )
    return [f"The table names no horizon: restricted means count at most {end:g} steps, {where}."]


@final
@dataclass(frozen=True)
class Survival:
    """Curves and restricted means per weight decay, and the log-rank test.

    A time is the upper end of its interval, and curves are Kaplan's and Meier's; where intervals
    overlap in part, as those of looks far apart do, they are Turnbull's, the likeliest for
    intervals, without bands, and so is the test: `estimator` of the record says which. A replica
    that collapsed or diverged stays among those without the event until the horizon: the share with
    it is then the cumulative incidence, with these as competing events. The log-rank test takes
    replicas as independent; seeds that recur over weight decays make it conservative.

    Source:
        Kaplan and Meier (1958); Mantel (1966). Deviation: none; computed by statsmodels. Of
        intervals: `turnbull`, `interval_log_rank`.
    """

    fit_name = "survival"
    estimator = "kaplan_meier"
    every_control = True
    window_max: float | None
    level: float

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Describe one table; `seed` is recorded, nothing is drawn.

        Raises:
            FitRefusedError: If an event has no time, no replica had it, or weights are fractions.
        """
        end = np.inf if self.window_max is None else self.window_max
        data = observations.take(observations.weight_decay <= end)
        require_times(data)
        if not data.grokked.any():
            among = f"of the {data.n} up to {data.control} {data.weight_decay.max(initial=0.0):g}"
            raise FitRefusedError(
                f"No replica {among} had the event `{data.event}`: all curves are flat. Add larger "
                f"{data.control}s or a longer horizon."
            )
        horizon = float(data.horizon_steps) if data.horizon_steps else _common_end(data)[0]
        wide = overlapping(data)
        extras: dict[str, Plain] = {
            "method": "Kaplan-Meier on upper ends; beta product limits of shares, log-log ones of "
            "medians; competing events to the horizon",
            "window_max": self.window_max,
            "n_grokked": data.count(data.grokked),
            "n_competing": data.count(data.failed),
            "rmst_steps": None if wide else horizon,
        }
        if wide:
            extras["method"] = "likeliest curves of intervals (Turnbull); competing events as open"
        degrees = np.unique(data.weight_decay).size - 1
        if degrees:
            chi2 = (
                interval_log_rank(*bounds_of(data), data.weights, data.weight_decay)
                if wide
                else _log_rank_of(data)
            )
            extras |= {"logrank_chi2": chi2, "logrank_df": degrees}
            extras["logrank_p"] = chi2_tail(chi2, degrees)
        curves = _interval_curves(data) if wide else _curves_of(data, horizon, self.level)
        warnings = [*competing_warnings(data), *([_WIDE] if wide else _unknown_horizon(data))]
        name = "turnbull" if wide else self.estimator
        return estimate_of(self, data, seed, warnings, estimator=name, extras=extras, curves=curves)
