"""What forecasts are made of: signals by replica and look, events, and negatives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

EVENT, NATURAL, TWIN, FAILED = "event", "natural", "twin", "failed"
KINDS = (EVENT, NATURAL, TWIN, FAILED)
TRANSFORMS = ("level", "change", "ratio")
CLOCK = "clock"
NORM_CHANGE = "weight_norm_change"


@dataclass(frozen=True)
class Signal:
    """One quantity as it was known at each look.

    Attributes:
        value: Latest reading at or before each look, NaN before the first, `[replica, look]`.
        change: Difference of the last two readings per step, NaN before the second, likewise.
        readings: Readings within each replica's record, `[replica]`.
        transforms: Of these, the ones that rules may use; empty: all that are registered.
    """

    value: Array
    change: Array
    readings: NDArray[np.int64]
    transforms: Sequence[str] = ()


@dataclass(frozen=True)
class SignalRecords:
    """Replicas, their signals at common looks, and what became of them.

    Attributes:
        steps: The looks at which alarms can be raised, rising, `[look]`.
        signals: By name.
        baselines: Names of the signals that any other has to beat.
        val_acc: As a signal's value, for the label of nowcasts; None where it is not recorded.
        chance: Accuracy of guessing; None where nobody knows.
        seed: The unit of folds and of resampling, `[replica]`.
        control: What is varied, such as weight decay, `[replica]`.
        kind: One of `KINDS`, `[replica]`.
        opened: Step from which alarms count, NaN where never, `[replica]`.
        t_lo: Last look before the event, NaN where there is none, `[replica]`.
        t_hi: First look that shows it, likewise.
        watched: Last step of the record, `[replica]`.
        event: Name of the event.
        control_name: Its name.
        horizon_steps: Where records end at the latest; None where nobody knows.
        steps_per_epoch: Optimizer steps per epoch, likewise.
    """

    steps: Array
    signals: Mapping[str, Signal]
    baselines: Sequence[str]
    val_acc: Array | None
    chance: float | None
    seed: NDArray[np.int64]
    control: Array
    kind: NDArray[Any]
    opened: Array
    t_lo: Array
    t_hi: Array
    watched: Array
    event: str
    control_name: str
    horizon_steps: int | None
    steps_per_epoch: float | None

    @property
    def n(self) -> int:
        """Replicas."""
        return int(self.seed.size)

    def window(self) -> Mask:
        """Looks at which an alarm counts, `[replica, look]`."""
        at = self.steps[None, :]
        return (at >= self.opened[:, None]) & (at <= self.watched[:, None])

    def kept(self, rows: Mask) -> "SignalRecords":
        """Some of the replicas."""
        signals = {
            name: Signal(s.value[rows], s.change[rows], s.readings[rows], s.transforms)
            for name, s in self.signals.items()
        }
        return replace(
            self,
            signals=signals,
            val_acc=None if self.val_acc is None else self.val_acc[rows],
            **{
                name: getattr(self, name)[rows]
                for name in ("seed", "control", "kind", "opened", "t_lo", "t_hi", "watched")
            },
        )


def on_looks(steps: Array, values: Array, looks: Array) -> tuple[Array, Array]:
    """The readings of one replica as they are known at common looks.

    Args:
        steps: Of the readings, rising, `[reading]`.
        values: NaN where nothing was measured, `[reading]`.
        looks: Rising, `[look]`.

    Returns:
        The latest reading at or before each look, and its change per step since the one before it;
        NaN where there is none, `[look]` each.

    Example:
        >>> at, y = np.array([0.0, 10.0]), np.array([1.0, 3.0])
        >>> value, change = on_looks(at, y, np.array([5.0, 25.0]))
        >>> value.tolist(), change.tolist()
        ([1.0, 3.0], [nan, 0.2])
    """
    known = np.isfinite(values)
    at, y = steps[known], values[known]
    last = np.searchsorted(at, looks, side="right") - 1
    value = np.full(looks.size, np.nan)
    change = np.full(looks.size, np.nan)
    value[last >= 0] = y[last[last >= 0]]
    if at.size > 1:
        slope = np.diff(y) / np.diff(at)
        change[last >= 1] = slope[last[last >= 1] - 1]
    return value, change


def clock_signal(steps: Array, n: int) -> Signal:
    """The step itself, as a signal whose only rule is a fixed step."""
    value = np.tile(steps, (n, 1))
    readings = np.full(n, steps.size, dtype=np.int64)
    return Signal(value, np.zeros_like(value), readings, ("level",))
