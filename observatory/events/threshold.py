"""The moment at which a series reaches a level, and stays there for a number of looks."""

from typing import final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observatory.core.errors import ConfigError
from observatory.core.settings import Fraction
from observatory.events.interval import Interval


def run_starts(claims: NDArray[np.bool_], looks: int) -> NDArray[np.bool_]:
    """Whether `looks` consecutive claims are true, counted from each look on.

    Args:
        claims: One truth per look, `[look]`.
        looks: Length of the run, at least 1.

    Returns:
        `[max(look - looks + 1, 0)]`: only complete runs, a run cut off by the end is none.

    Example:
        >>> run_starts(np.array([True, True, False, True]), 2).tolist()
        [True, False, False]
    """
    if looks == 1:
        return claims
    total = np.concatenate(([0], np.cumsum(claims)))
    return total[looks:] - total[:-looks] == looks


def locate_threshold(
    steps: ArrayLike, values: ArrayLike, level: float, persistence: int, tolerance: float
) -> Interval:
    """The first look at which a series reaches `level` and stays near it.

    The event is the first look with `value >= level` such that it and the `persistence - 1` looks
    after it are all `>= level - tolerance`. NaN satisfies neither. A record that ends before
    `persistence` looks were seen does not show the event (yet).

    The interval is (previous look, that look]. An event at the first look has no previous one: it
    happened somewhere since step 0, so `t_lo` is 0 there (and `t_hi` too, if that look is step 0).

    Args:
        steps: Steps of the looks, increasing, `[look]`.
        values: The series at these steps, `[look]`.
        level: Height to be reached, in units of the series.
        persistence: Looks for which it must hold, the first one included.
        tolerance: How far below `level` the later looks may fall, in units of the series.

    Returns:
        The interval, in steps.

    Raises:
        ValueError: If there is no look, or as many steps as values are not given.

    Example:
        >>> locate_threshold([0, 25, 50, 75], [0.1, 0.5, 0.99, 1.0], 0.99, 1, 0.0)
        Interval(t_lo=25.0, t_hi=50.0, observed=True, watched=75)
    """
    clock, series = np.asarray(steps), np.asarray(values, dtype=np.float64)
    if clock.ndim != 1 or clock.shape != series.shape or not clock.size:
        raise ValueError(
            f"`steps` and `values` must be equally long and not empty, got {clock.shape} and "
            f"{series.shape}."
        )
    watched = int(clock[-1])
    held = run_starts(series >= level - tolerance, persistence)
    starts = held & (series[: held.size] >= level)
    first = int(starts.argmax()) if starts.size else 0
    if not starts.size or not starts[first]:
        return Interval(None, None, observed=False, watched=watched)
    t_lo = float(clock[first - 1]) if first else 0.0
    return Interval(t_lo, float(clock[first]), observed=True, watched=watched)


@final
class Threshold:
    """See `locate_threshold`.

    Attributes:
        series: Column of the evaluation table that is looked at: "train_acc" or "val_acc".
    """

    def __init__(self, series: str, level: Fraction, persistence: int, tolerance: Fraction) -> None:
        if persistence < 1:
            raise ConfigError(f"`persistence` must be at least 1 look, got {persistence}.")
        if tolerance < 0:
            raise ConfigError(f"`tolerance` must be at least 0, got {tolerance}.")
        self.series = series
        self.level = level
        self.persistence = persistence
        self.tolerance = tolerance

    def locate(self, steps: ArrayLike, values: ArrayLike) -> Interval:
        """The event in one replica's record."""
        return locate_threshold(steps, values, self.level, self.persistence, self.tolerance)
