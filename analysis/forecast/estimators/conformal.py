"""Split-conformal intervals for the time of an event, from an alarm or from the clock alone."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.lead_time import theil_sen

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Forecast:
    """Intervals for events, in steps.

    Attributes:
        low: Lower limits, `[event]`.
        high: Upper limits; infinite where calibration was too small, `[event]`.
    """

    low: Array
    high: Array


def conformal_radius(scores: Array, coverage: float) -> float:
    """The score that a new one exceeds with chance at most 1 - coverage; infinite if too few.

    Source:
        Lei et al. (2018), J. Am. Stat. Assoc. 113, 1094, split conformal. Deviation: none.

    Example:
        >>> conformal_radius(np.arange(1.0, 10.0), 0.9), conformal_radius(np.arange(8.0), 0.9)
        (9.0, inf)
    """
    rank = math.ceil((scores.size + 1) * coverage - 1e-9)
    return math.inf if rank > scores.size else float(np.sort(scores)[rank - 1])


def from_alarms(
    train: tuple[Array, Array], calibration: tuple[Array, Array], alarm: Array, coverage: float
) -> Forecast:
    """The time of the event from the time of the alarm: a line in logarithms, by Theil and Sen.

    Args:
        train: Times of alarms and of events, all positive, for the line.
        calibration: The same, of other seeds, for the width.
        alarm: Times of new alarms, `[event]`.
        coverage: Of the intervals.
    """
    slope, height = _line(np.log(train[0]), np.log(train[1]))
    scores = np.abs(np.log(calibration[1]) - height - slope * np.log(calibration[0]))
    radius = conformal_radius(scores, coverage)
    return _around(height + slope * np.log(alarm), np.full(alarm.size, radius), alarm)


def from_clock(
    train: tuple[Array, Array],
    calibration: tuple[Array, Array],
    now: tuple[Array, Array],
    coverage: float,
) -> Forecast:
    """The time of the event from the fact alone that it has not come yet: what a clock knows.

    Args:
        train: Groups and times of events; the forecast is the median of the later ones of the
            group, or of all groups where it has none.
        calibration: The same, of other seeds, for the width.
        now: Groups and steps at which the forecasts are made, `[event]`.
        coverage: Of the intervals.
    """
    centre, radius = np.full(now[1].size, np.nan), np.full(now[1].size, np.inf)
    for index, step in enumerate(now[1]):
        later, rest = train[1] > step, calibration[1] > step
        if not later.any():
            continue
        asked = np.append(calibration[0][rest], now[0][index])
        middles = _middles(train[0][later], np.log(train[1][later]), asked)
        centre[index] = middles[-1]
        radius[index] = conformal_radius(
            np.abs(np.log(calibration[1][rest]) - middles[:-1]), coverage
        )
    return _around(centre, radius, now[1])


def _middles(groups: Array, values: Array, asked: Array) -> Array:
    """Median of the values of each group that is asked for; of all values where it has none."""
    found = np.full(asked.size, np.median(values))
    for group in np.intersect1d(groups, asked):
        found[asked == group] = np.median(values[groups == group])
    return found


def _line(x: Array, y: Array) -> tuple[float, float]:
    """Slope and height; a slope of 1 where all x are alike."""
    slope = theil_sen(x, y) if np.ptp(x) > 0 else 1.0
    return slope, float(np.median(y - slope * x))


def _around(centre: Array, radius: Array, now: Array) -> Forecast:
    """Intervals about logarithms; nothing lies before the step at which they are made."""
    known = np.isfinite(centre) & np.isfinite(radius)
    low, high = now.astype(np.float64), np.full(now.size, np.inf)
    low[known] = np.maximum(np.exp(centre[known] - radius[known]), now[known])
    high[known] = np.maximum(np.exp(centre[known] + radius[known]), low[known])
    return Forecast(low, high)
