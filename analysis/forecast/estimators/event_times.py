"""The time of an event from an alarm or from the clock alone: split-conformal intervals."""

import math
from dataclasses import dataclass

import numpy as np

from observatory.analysis.forecast.estimators.lead_time import theil_sen
from observatory.analysis.forecast.estimators.records import (
    Array,
    Ints,
    Mask,
    Numbers,
    SignalRecords,
)
from observatory.analysis.forecast.estimators.scores import by_seed, share_interval

_LEAST = 3
"""Events with an alarm that a line needs."""
TIMES = (
    *("n", "covered", "covered_low", "covered_high", "width"),
    *("clock_covered", "clock_width", "control_covered", "control_width"),
)
"""Events with an alarm ahead of them; the share of them inside the alarm's interval, with its
limits; its median width in steps, infinite where calibration was too small; share and width for the
clock's interval made at the same moment, and for a clock that knows the control."""


@dataclass(frozen=True)
class Forecast:
    """Intervals for events in steps, `[event]`; infinite where calibration was too small."""

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

    `train` makes the line and `calibration`, of other seeds, the width: times of alarms and of
    events, all positive. `alarm`: times of new alarms, `[event]`.
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

    `train` and `calibration`, of other seeds, are groups and times of events, `now` groups and
    steps at which the forecasts are made: the median of the later events of the group, or of all
    groups where it has none.
    """
    centre, radius = np.full(now[1].size, np.nan), np.full(now[1].size, np.inf)
    for step in np.unique(now[1]):  # forecasts that are made at one moment share all but a group
        here = now[1] == step
        later, rest = train[1] > step, calibration[1] > step
        if not later.any():
            continue
        asked = np.concatenate([calibration[0][rest], now[0][here]])
        middles = _middles(train[0][later], np.log(train[1][later]), asked)
        before, centre[here] = np.split(middles, [int(rest.sum())])
        radius[here] = conformal_radius(np.abs(np.log(calibration[1][rest]) - before), coverage)
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


def splits(fold: Ints) -> list[tuple[Mask, Mask, Mask]]:
    """Test, training and calibration of each fold: every second other fold trains, `[replica]`."""
    parts = np.unique(fold)
    made: list[tuple[Mask, Mask, Mask]] = []
    for index, part in enumerate(parts):
        rest = np.roll(parts, -index - 1)[:-1]
        made.append((fold == part, np.isin(fold, rest[::2]), np.isin(fold, rest[1::2])))
    return made


def event_times(
    raised: Array,
    parts: list[tuple[Mask, Mask, Mask]],
    records: SignalRecords,
    event: Mask,
    coverage: float,
) -> Numbers | None:
    """Forecast each event from its alarm, and from the clock at the same moment.

    `raised` are steps of all alarms by the rule of each split's training part, `[split, replica]`.
    Numbers by the names of `TIMES`; None where no split has alarms enough.
    """
    tested, made = list[Ints](), list[list[Forecast]]()
    for alarm, (testing, train, calibration) in zip(raised, parts, strict=True):
        ahead = event & (alarm > 0) & (alarm <= records.t_lo)
        test, own = ahead & testing, ahead & train
        if own.sum() < _LEAST or not test.any():
            continue
        tested.append(np.flatnonzero(test))
        sides = event & train, event & calibration
        made.append(_forecasts(alarm, records, test, own, ahead & calibration, sides, coverage))
    return _covered(np.concatenate(tested), made, records) if made else None


def _forecasts(
    alarm: Array,
    records: SignalRecords,
    test: Mask,
    own: Mask,
    width: Mask,
    sides: tuple[Mask, Mask],
    coverage: float,
) -> list[Forecast]:
    """Intervals from the alarm, from the clock, and from a clock that knows the control.

    `own` makes the line and `width` its width; `sides` are all events that train and calibrate.
    """
    t, now = records.t_hi, alarm[test]
    known, others = sides
    clocks = [
        from_clock(
            (group[known], t[known]), (group[others], t[others]), (group[test], now), coverage
        )
        for group in (np.zeros_like(records.control), records.control)
    ]
    return [from_alarms((alarm[own], t[own]), (alarm[width], t[width]), now, coverage), *clocks]


def _covered(rows: Ints, made: list[list[Forecast]], records: SignalRecords) -> Numbers:
    """How many events the intervals of all splits cover, and how wide they are."""
    truth, seed = records.t_hi[rows], records.seed[rows]
    inside: list[Array] = []
    widths: list[float] = []
    for kind in range(3):
        low = np.concatenate([entry[kind].low for entry in made])
        high = np.concatenate([entry[kind].high for entry in made])
        inside.append(((truth >= low) & (truth <= high)).astype(np.float64))
        widths.append(float(np.median(high - low)))
    seeds = np.unique(seed)
    limits = share_interval(
        by_seed(inside[0], seed, seeds), by_seed(np.ones(rows.size), seed, seeds), 0.95
    )
    alarm, clock, control = ((float(i.mean()), w) for i, w in zip(inside, widths, strict=True))
    numbers = (int(rows.size), alarm[0], *limits, alarm[1], *clock, *control)
    return dict(zip(TIMES, numbers, strict=True))
