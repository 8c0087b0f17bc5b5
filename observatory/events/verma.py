"""The rule by which the published aggregates count a run as grokked."""

from typing import final

import numpy as np
from numpy.typing import ArrayLike

from observatory.core.settings import Fraction
from observatory.events.interval import Interval
from observatory.events.threshold import locate_threshold


def locate_verma(steps: ArrayLike, values: ArrayLike, level: float, final_level: float) -> Interval:
    """A touch of `level`, or a last value above `final_level`.

    Not a definition of a time: where only the last value decides, the event is observed with null
    times, and what the rule says depends on when the record ends.

    Args:
        steps: Steps of the looks, increasing, `[look]`.
        values: Validation accuracy, 0-1, `[look]`.
        level: Accuracy whose first touch is recorded as the event.
        final_level: Accuracy that the last look must exceed where nothing was recorded.

    Returns:
        The interval of the touch, in steps; null times where only the last value decides.

    Raises:
        ValueError: If there is no look, or as many steps as values are not given.

    Source:
        arXiv:2605.20441, aggregator of its public repository: a run counts where an epoch was
        recorded or the final test accuracy is above 0.95. Deviation: the clock is the step.

    Example:
        >>> locate_verma([0, 25], [0.1, 0.96], 0.99, 0.95)
        Interval(t_lo=None, t_hi=None, observed=True, watched=25)
    """
    touch = locate_threshold(steps, values, level, 1, 0.0)
    if touch.observed:
        return touch
    last = float(np.asarray(values, dtype=np.float64)[-1])
    return Interval(None, None, observed=last > final_level, watched=touch.watched)


@final
class Verma:
    """See `locate_verma`.

    Attributes:
        series: Column of the evaluation table that is looked at.
    """

    def __init__(self, series: str, level: Fraction, final_level: Fraction) -> None:
        self.series = series
        self.level = level
        self.final_level = final_level

    def locate(self, steps: ArrayLike, values: ArrayLike) -> Interval:
        """The event in one replica's record."""
        return locate_verma(steps, values, self.level, self.final_level)
