"""Forecasts of the event's time from alarms, on seeds apart from training and calibration."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.forecast.estimators.conformal import Forecast, from_alarms, from_clock
from observatory.analysis.forecast.estimators.records import SignalRecords
from observatory.analysis.forecast.estimators.scores import by_seed, share_interval

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEAST = 3
"""Events with an alarm that a line needs."""


@dataclass(frozen=True)
class EventTimes:
    """Intervals for the event's time, made at the alarm, on seeds that nothing was chosen on.

    Attributes:
        n: Events with an alarm ahead of them.
        covered: Share of them inside the alarm's interval.
        covered_low: Its lower limit.
        covered_high: Its upper limit.
        width: Median width in steps; infinite where calibration was too small.
        clock_covered: Share inside the clock's interval, made at the same moment.
        clock_width: Its median width.
        control_covered: Likewise for a clock that knows the control.
        control_width: Its median width.
    """

    n: int
    covered: float
    covered_low: float
    covered_high: float
    width: float
    clock_covered: float
    clock_width: float
    control_covered: float
    control_width: float


def splits(fold: NDArray[np.int64]) -> list[tuple[Mask, Mask, Mask]]:
    """Test, training and calibration of each fold, `[replica]` each.

    Every fold is the test once; of the others every second one trains, the rest calibrate.
    """
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
) -> EventTimes | None:
    """Forecast each event from its alarm, and from the clock at the same moment.

    Args:
        raised: Steps of all alarms by the rule of each split's training part, `[split, replica]`.
        parts: Of `splits`.
        records: The replicas.
        event: Which of them enter, `[replica]`.
        coverage: Of the intervals.

    Returns:
        None where no split has alarms enough.
    """
    tested, made = list[NDArray[np.int64]](), list[list[Forecast]]()
    for alarm, (testing, train, calibration) in zip(raised, parts, strict=True):
        ahead = event & (alarm > 0) & (alarm <= records.t_lo)
        test, own = ahead & testing, ahead & train
        if own.sum() < LEAST or not test.any():
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


def _covered(
    rows: NDArray[np.int64], made: list[list[Forecast]], records: SignalRecords
) -> EventTimes:
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
    return EventTimes(
        int(rows.size),
        float(inside[0].mean()),
        *limits,
        widths[0],
        float(inside[1].mean()),
        widths[1],
        float(inside[2].mean()),
        widths[2],
    )
