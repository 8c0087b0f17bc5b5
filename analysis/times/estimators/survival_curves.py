"""Kaplan-Meier curves, medians, restricted means and the log-rank test, from statsmodels."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from statsmodels.duration.survfunc import SurvfuncRight, survdiff

from observatory.analysis.stats.solvers import normal_quantile, student_quantile

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SurvivalCurve:
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


def _first_time(times: Array, there: NDArray[np.bool_]) -> float | None:
    """The first of ascending times at which something holds, or None where it never does."""
    return float(times[np.argmax(there)]) if there.any() else None


def kaplan_meier(time: Array, seen: NDArray[np.bool_], level: float) -> SurvivalCurve:
    """The Kaplan-Meier curve of one group.

    `time` is when each replica grokked, or until when it was watched, in steps, `[replica]`; `seen`
    whether it grokked; `level` that of the limits of the median.
    """
    none = np.zeros(0)
    if not seen.any():
        return SurvivalCurve(none, none, none, none, none, time.size, None, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = SurvfuncRight(time, seen.astype(np.int64))
        limits = np.asarray(found.quantile_ci(0.5, alpha=1.0 - level), dtype=np.float64)
    event = found.n_events > 0
    survival = np.asarray(found.surv_prob, dtype=np.float64)[event]
    se = np.asarray(found.surv_prob_se, dtype=np.float64)[event]
    times = np.asarray(found.surv_times, dtype=np.float64)[event]
    return SurvivalCurve(
        times,
        survival,
        np.where(survival > 0, se, np.nan),
        np.asarray(found.n_risk, dtype=np.float64)[event],
        np.asarray(found.n_events, dtype=np.float64)[event],
        time.size,
        _first_time(times, survival <= 0.5 + 1e-9),
        *(float(limit) if np.isfinite(limit) else None for limit in limits),
    )


def share_limits(curve: SurvivalCurve, level: float) -> tuple[Array, Array]:
    """Pointwise log-log limits of the share that has grokked; NaN where nobody is left.

    Source:
        Kalbfleisch and Prentice (1980), section 1.3. Deviation: none.
    """
    z = float(normal_quantile(np.array(0.5 + 0.5 * level)))
    with np.errstate(divide="ignore", invalid="ignore"):
        width = z * curve.se / (curve.survival * np.log(curve.survival))
        ends = np.sort([curve.survival ** np.exp(width), curve.survival ** np.exp(-width)], axis=0)
    return 1.0 - ends[1], 1.0 - ends[0]


@dataclass(frozen=True)
class RestrictedMean:
    """Mean number of steps until grokking, counting at most the horizon."""

    value: float  # in steps
    se: float | None  # None where nobody grokked, or of a single replica; so are the limits
    low: float | None
    high: float | None


def restricted_mean(curve: SurvivalCurve, horizon: float, level: float) -> RestrictedMean:
    r"""Area under a survival curve up to the horizon.

    Its variance is $\sum_i A_i^2 d_i / (Y_i (Y_i - d_i))$, with A the area beyond each event, d the
    events and Y those at risk, times n / (n - 1): with everyone watched to the horizon this is the
    squared standard error of the mean of min(t, horizon). Limits are Student's, cut at the horizon.

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
        return RestrictedMean(value, None, None, None)
    beyond = np.cumsum(pieces[::-1])[::-1][1:]
    at_risk, events = curve.at_risk[inside], curve.events[inside]
    left = np.maximum(at_risk - events, 1.0)  # where nobody is left, the area beyond is 0
    variance = float((beyond**2 * events / (at_risk * left)).sum()) * curve.n / (curve.n - 1)
    se = float(np.sqrt(variance))
    half = se * student_quantile(0.5 + 0.5 * level, curve.n - 1)
    return RestrictedMean(value, se, max(value - half, 0.0), min(value + half, horizon))


def log_rank(time: Array, seen: NDArray[np.bool_], group: Array) -> float:
    """Chi-square of the log-rank test that all groups have one curve: groups less one degrees."""
    return float(survdiff(time, seen.astype(np.int64), group)[0])
