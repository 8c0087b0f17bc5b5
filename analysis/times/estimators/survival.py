"""How many replicas have grokked by each step, per weight decay, without a law."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.observations import Array, Observations
from observatory.analysis.stats.solvers import chi2_tail, normal_quantile, student_quantile
from observatory.analysis.times.estimators.aft_table import competing_warnings, require_times
from observatory.analysis.times.estimators.intervals import (
    bounds_of,
    interval_log_rank,
    overlapping,
    turnbull,
)
from observatory.core.errors import FitRefusedError

_Columns = dict[str, list[float | None]]
_NAMES = {
    "km": ("weight_decay", "step", "share", "low", "high"),
    "median": ("weight_decay", "value", "low", "high"),
    "rmst": ("weight_decay", "value", "se", "low", "high", "n"),
}
_WIDE = (
    "Intervals between looks overlap in part: curves are the likeliest for intervals (Turnbull), "
    "without bands, and the log-rank test is that of intervals."
)


@dataclass(frozen=True)
class _SurvivalCurve:
    """One Kaplan-Meier curve; `time` to `events` are `[event]`."""

    time: Array  # steps at which someone grokked
    survival: Array  # share that has not grokked after each
    se: Array  # Greenwood's, of that share; NaN where nobody is left
    at_risk: Array  # replicas that had not grokked before each
    events: Array  # replicas that grokked at each
    n: int  # replicas
    median: float | None  # None where it is not reached
    median_low: float | None  # Brookmeyer and Crowley, log-log; None likewise
    median_high: float | None


def kaplan_meier(time: Array, seen: NDArray[np.bool_], level: float) -> _SurvivalCurve:
    """The Kaplan-Meier curve of one group.

    `time` is when each replica grokked, or until when it was watched, in steps, `[replica]`; `seen`
    whether it grokked; `level` that of the limits of the median.
    """
    none = np.zeros(0)
    if not seen.any():
        return _SurvivalCurve(none, none, none, none, none, time.size, None, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = SurvfuncRight(time, seen.astype(np.int64))
        limits = np.asarray(found.quantile_ci(0.5, alpha=1.0 - level), dtype=np.float64)
    event = found.n_events > 0
    columns = found.surv_times, found.surv_prob, found.surv_prob_se, found.n_risk, found.n_events
    times, left, se, risk, events = (np.asarray(c, dtype=np.float64)[event] for c in columns)
    half = left <= 0.5 + 1e-9
    median = float(times[np.argmax(half)]) if half.any() else None
    low, high = (float(limit) if np.isfinite(limit) else None for limit in limits)
    se = np.where(left > 0, se, np.nan)
    return _SurvivalCurve(times, left, se, risk, events, time.size, median, low, high)


def share_limits(curve: _SurvivalCurve, level: float) -> tuple[Array, Array]:
    """Pointwise log-log limits of the share that has grokked; NaN where nobody is left.

    Source:
        Kalbfleisch and Prentice (1980), section 1.3. Deviation: none.
    """
    z = float(normal_quantile(np.array(0.5 + 0.5 * level)))
    with np.errstate(divide="ignore", invalid="ignore"):
        width = z * curve.se / (curve.survival * np.log(curve.survival))
        ends = np.sort([curve.survival ** np.exp(width), curve.survival ** np.exp(-width)], axis=0)
    return 1.0 - ends[1], 1.0 - ends[0]


def restricted_mean(curve: _SurvivalCurve, horizon: float, level: float) -> Parameter:
    r"""Mean number of steps until grokking, counting at most the horizon: area under the curve.

    Its variance is $\sum_i A_i^2 d_i / (Y_i (Y_i - d_i))$, with A the area beyond each event, d the
    events and Y those at risk, times n / (n - 1): with everyone watched to the horizon this is the
    squared standard error of the mean of min(t, horizon). Limits are Student's, cut at the horizon;
    None where nobody grokked, or of a single replica.

    Source:
        Klein and Moeschberger (2003), section 4.5. Deviation: n / (n - 1) counts replicas, not
        events; Student's quantile instead of the normal one.
    """
    inside = curve.time < horizon
    time, survival = curve.time[inside], curve.survival[inside]
    edges = np.concatenate([[0.0], time, [horizon]])
    pieces = np.diff(edges) * np.concatenate([[1.0], survival])
    value = float(pieces.sum())
    if not time.size or curve.n < 2:
        return Parameter(value)
    beyond = np.cumsum(pieces[::-1])[::-1][1:]
    at_risk, events = curve.at_risk[inside], curve.events[inside]
    left = np.maximum(at_risk - events, 1.0)  # where nobody is left, the area beyond is 0
    variance = float((beyond**2 * events / (at_risk * left)).sum()) * curve.n / (curve.n - 1)
    se = float(np.sqrt(variance))
    half = se * student_quantile(0.5 + 0.5 * level, curve.n - 1)
    return Parameter(value, se, max(value - half, 0.0), min(value + half, horizon))


def log_rank(time: Array, seen: NDArray[np.bool_], group: Array) -> float:
    """Chi-square of the log-rank test that all groups have one curve: groups less one degrees."""
    return float(survdiff(time, seen.astype(np.int64), group)[0])


def _steps_of(weight_decay: float, curve: _SurvivalCurve, end: float, level: float) -> _Columns:
    """One curve as rows to draw: from step 0 to the end of the record, None limits where none."""
    made: _Columns = {
        "weight_decay": [weight_decay] * (curve.time.size + 2),
        "step": [0.0, *curve.time.tolist(), end],
        "share": [0.0, *(1.0 - curve.survival).tolist()],
    }
    made["share"].append(made["share"][-1])
    for name, limit in zip(("low", "high"), share_limits(curve, level), strict=True):
        ends = [None if np.isnan(x) else float(x) for x in limit]
        made[name] = [0.0, *ends, ends[-1] if ends else None]
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


def _common_end(data: Observations) -> float:
    """The step to which every curve is known: where restricted means end.

    A curve is known to its last look, and for ever where all replicas grokked.
    """
    open_ended = np.unique(data.weight_decay[~data.grokked])
    ends = [float(data.followed[data.weight_decay == cell].max()) for cell in open_ended]
    return min(ends, default=float(data.followed.max()))


@final
@dataclass(frozen=True)
class Survival:
    """Kaplan-Meier curves and restricted means per weight decay, and the log-rank test.

    A time is the upper end of its interval; where intervals overlap in part, as those of looks far
    apart do, curves are the likeliest for intervals instead, without bands, and so is the test. A
    replica that collapsed or diverged stays among those
    that have not grokked until the horizon: the share that has grokked is then the cumulative
    incidence, with these as competing events. The log-rank test takes replicas as independent;
    seeds that recur over weight decays make it conservative.

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
            FitRefusedError: If an event has no time, no replica grokked, or weights are fractions.
        """
        end = np.inf if self.window_max is None else self.window_max
        data = observations.take(observations.weight_decay <= end)
        require_times(data)
        if not data.grokked.any():
            among = f"of the {data.n} up to {data.control} {data.weight_decay.max(initial=0.0):g} "
            raise FitRefusedError(
                f"No replica {among}grokked: all curves are flat. Add larger {data.control}s or a "
                "longer horizon."
            )
        horizon = float(data.horizon_steps) if data.horizon_steps else _common_end(data)
        wide = overlapping(data)
        extras: dict[str, Plain] = {
            "method": "Kaplan-Meier on upper ends; log-log limits; competing events to the horizon",
            "window_max": self.window_max,
            "n_grokked": data.count(data.grokked),
            "n_competing": data.count(data.failed),
            "rmst_steps": None if wide else horizon,
        }
        if wide:
            extras["method"] = "likeliest curves of intervals (Turnbull); competing events as open"
        degrees = np.unique(data.weight_decay).size - 1
        if degrees:
            control, time, seen = _one_each(data)
            chi2 = (
                interval_log_rank(*bounds_of(data), data.weights, data.weight_decay)
                if wide
                else log_rank(time, seen, control)
            )
            extras |= {"logrank_chi2": chi2, "logrank_df": degrees}
            extras["logrank_p"] = chi2_tail(chi2, degrees)
        curves = _interval_curves(data) if wide else _curves_of(data, horizon, self.level)
        warnings = [*competing_warnings(data), *([_WIDE] if wide else [])]
        return estimate_of(self, data, seed, warnings, extras=extras, curves=curves)
