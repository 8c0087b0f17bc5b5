"""The share without the event against time, counted, with limits that hold with few replicas."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from statsmodels.duration.survfunc import SurvfuncRight

from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.solvers import beta_quantile, student_quantile

_FEW_EVENTS = 5
"""Events below which Student's limits of a restricted mean cover too little."""


@final
@dataclass(frozen=True)
class SurvivalCurve:
    """One Kaplan-Meier curve; `time` to `events` are `[event]`."""

    time: Array  # steps at which someone had the event
    survival: Array  # share without it after each
    at_risk: Array  # replicas without it before each
    events: Array  # replicas that had it at each
    open_ends: Array  # steps until which the replicas without it were watched, `[replica]`
    median: float | None  # None where it is not reached
    median_low: float | None  # Brookmeyer and Crowley, log-log; None likewise
    median_high: float | None

    @property
    def n(self) -> int:
        """Replicas."""
        return self.open_ends.size + round(float(self.events.sum()))

    def left_at(self, step: float) -> float:
        """Replicas that are watched to a step and do not have the event by then."""
        later = self.events[self.time > step].sum()
        return float(later + (self.open_ends >= step).sum())


def kaplan_meier(time: Array, seen: NDArray[np.bool_], level: float) -> SurvivalCurve:
    """The Kaplan-Meier curve of one group.

    `time` is when each replica had the event, or until when it was watched, in steps, `[replica]`;
    `seen` whether it had it; `level` that of the limits of the median.

    Source:
        Kaplan and Meier (1958), J. Am. Stat. Assoc. 53, 457. Deviation: none; by statsmodels.
    """
    none, open_ends = np.zeros(0), time[~seen]
    if not seen.any():
        return SurvivalCurve(none, none, none, none, open_ends, None, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = SurvfuncRight(time, seen.astype(np.int64))
        limits = np.asarray(found.quantile_ci(0.5, alpha=1.0 - level), dtype=np.float64)
    event = found.n_events > 0
    columns = found.surv_times, found.surv_prob, found.n_risk, found.n_events
    times, left, risk, events = (np.asarray(c, dtype=np.float64)[event] for c in columns)
    half = left <= 0.5 + 1e-9
    median = float(times[np.argmax(half)]) if half.any() else None
    low, high = (float(limit) if np.isfinite(limit) else None for limit in limits)
    return SurvivalCurve(times, left, risk, events, open_ends, median, low, high)


def share_limits(curve: SurvivalCurve, end: float, level: float) -> tuple[Array, Array]:
    """Pointwise limits of the share that has had the event: the beta product procedure.

    Between two events they are those of the end of the piece, where fewest are watched. With
    everyone watched alike they are Clopper's and Pearson's: they cover at least `level` with any
    number of replicas, before the first event too.

    Args:
        curve: Of one group.
        end: Step at which it ends.
        level: Of the limits.

    Returns:
        Lower and upper limits, dimensionless, from step 0 and from each event on, `[1 + event]`.

    Source:
        Fay, Brittain and Proschan (2013), Biostatistics 14, 723, by the method of moments.
        Deviation: one limit for the whole piece between two events.
    """
    left, tail = curve.at_risk - curve.events + 1.0, 0.5 * (1.0 - level)
    one, two = (
        np.concatenate([[1.0], np.cumprod((left + i) / (left + curve.events + i))]) for i in (0, 1)
    )
    first, second = one, one * two
    still = np.concatenate([curve.at_risk, [curve.left_at(end)]])
    lower = _of_moments(first * still / (still + 1.0), second * still / (still + 2.0), tail)
    return 1.0 - _of_moments(first, second, 1.0 - tail), 1.0 - lower


def _of_moments(first: Array, second: Array, share: float) -> Array:
    """The quantile of the beta distribution with these two moments; itself where one is 0 or 1."""
    inside = (first > 0.0) & (first < 1.0)
    mean, square = np.where(inside, first, 0.5), np.where(inside, second, 0.375)
    size = mean * (1.0 - mean) / (square - mean * mean) - 1.0
    return np.where(inside, beta_quantile(share, mean * size, (1.0 - mean) * size), first)


def restricted_mean(curve: SurvivalCurve, horizon: float, level: float) -> Parameter:
    r"""Mean number of steps until the event, counting at most the horizon: area under the curve.

    Its variance is $\sum_i A_i^2 d_i / (Y_i (Y_i - d_i))$, with A the area beyond each event, d the
    events and Y those at risk, times n / (n - 1): with everyone watched to the horizon this is the
    squared standard error of the mean of min(t, horizon). Limits are Student's, cut at the horizon;
    of fewer than five events, where others had none, the areas below the limits of the curve, which
    cover more than they say: so few events tell too little of the variance. None of a single
    replica, and no standard error where nobody had the event.

    Source:
        Klein and Moeschberger (2003), section 4.5. Deviation: n / (n - 1) counts replicas, not
        events; Student's quantile instead of the normal one; the limits of few events.
    """
    inside = curve.time < horizon
    time, survival = curve.time[inside], curve.survival[inside]
    widths = np.diff(np.concatenate([[0.0], time, [horizon]]))
    pieces = widths * np.concatenate([[1.0], survival])
    value = float(pieces.sum())
    if curve.n < 2:
        return Parameter(value)
    at_risk, events = curve.at_risk[inside], curve.events[inside]
    se = None
    if time.size:
        beyond = np.cumsum(pieces[::-1])[::-1][1:]
        left = np.maximum(at_risk - events, 1.0)  # where nobody is left, the area beyond is 0
        variance = float((beyond**2 * events / (at_risk * left)).sum()) * curve.n / (curve.n - 1)
        se = float(np.sqrt(variance))
    if se is None or (events.sum() < _FEW_EVENTS and events.sum() < curve.n):
        low, high = share_limits(curve, horizon, level)
        low, high = (float(widths @ (1.0 - limit[: widths.size])) for limit in (high, low))
        return Parameter(value, se, low, high)
    half = se * student_quantile(0.5 + 0.5 * level, curve.n - 1)
    return Parameter(value, se, max(value - half, 0.0), min(value + half, horizon))
