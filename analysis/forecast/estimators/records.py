"""What forecasts are made of: settings, signals by replica and look, events, and negatives."""

from abc import ABC
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observatory.core.settings import Share, checked

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = dict[str, float | None]
"""A row of a table, None where a number is not defined."""

EVENT, NATURAL, TWIN, FAILED = "event", "natural", "twin", "failed"
KINDS = (EVENT, NATURAL, TWIN, FAILED)
TRANSFORMS = ("level", "change", "ratio")
CLOCK = "clock"
NORM_CHANGE = "weight_norm_change"
MEMORISED = "memorised"
_STARTS = (MEMORISED, "first_look")
_FEWEST_DRAWS = 99
"""Resamples without which no p-value is small."""


@dataclass(frozen=True)
class ForecastSettings(ABC):
    """How rules are chosen, scored and tested."""

    transforms: Sequence[str]  # of signals, in the order that settles ties
    start: str  # when alarms begin to count: "memorised" or "first_look"
    alpha: float  # largest false-alarm rate in training, of each kind of negatives
    min_lead: float  # steps from an alarm to the last look before the event
    max_lead_share: float  # largest lead, as a share of the event's time
    matched: bool  # whether only negatives at values of the control with an event choose rules
    n_folds: int  # of whole seeds, at most
    signals: Sequence[str] | None  # the registered family; None: all signals but the baselines
    n_tests: int | None  # its size as registered; None: the signals of the table
    min_events: int  # events that leave room for an alarm
    min_seeds: int  # seeds
    min_readings: int  # median readings of a signal within a window
    nowcast_margin: float  # val accuracy above chance, and above its opening value
    coverage: float  # of the forecast of the event's time
    lead_floor: float  # least lead of a permuted onset, as a share of the event's time
    n_permutations: int  # of onsets
    n_bootstrap: int  # resamples of seeds
    n_flips: int  # of signs; all where there are no more
    level: float  # coverage of the intervals; tests are at 1 - level

    def __post_init__(self) -> None:
        if not self.transforms or set(self.transforms) - set(TRANSFORMS):
            raise ValueError(
                f"`transforms` must be of {list(TRANSFORMS)}, got {list(self.transforms)}."
            )
        if self.start not in _STARTS:
            raise ValueError(f"`start` must be one of {list(_STARTS)}, got {self.start!r}.")
        if isinstance(self.signals, str):
            raise ValueError(
                f"`signals` must be a list of names, or null, got {self.signals!r}. Write [a, b]."
            )
        checked({"alpha": self.alpha}, {"alpha": Share})
        if self.n_bootstrap < _FEWEST_DRAWS:
            raise ValueError(
                f"`n_bootstrap` must be at least {_FEWEST_DRAWS}, got {self.n_bootstrap}. A "
                "p-value needs them."
            )


@dataclass(frozen=True)
class Signal:
    """One quantity as it was known at each look."""

    value: Array  # latest reading at or before each look, NaN before the first, `[replica, look]`
    change: Array  # difference of the last two readings per step, NaN before the second, likewise
    readings: Ints  # readings within each replica's record, `[replica]`
    transforms: Sequence[str] = ()  # the ones that rules may use; empty: all that are registered


@dataclass(frozen=True, kw_only=True)
class SignalRecords:
    """Replicas, their signals at common looks, and what became of them."""

    steps: Array  # the looks at which alarms can be raised, rising, `[look]`
    signals: Mapping[str, Signal]  # by name
    baselines: Sequence[str]  # names of the signals that any other has to beat
    # as a signal's value, for the label of nowcasts; None where it is not recorded
    val_acc: Array | None
    seed: Ints  # the unit of folds and of resampling, `[replica]`
    control: Array  # what is varied, such as weight decay, `[replica]`
    kind: NDArray[Any]  # one of `KINDS`, `[replica]`
    opened: Array  # step from which alarms count, NaN where never, `[replica]`
    t_lo: Array  # last look before the event, NaN where there is none, `[replica]`
    t_hi: Array  # first look that shows it, likewise
    watched: Array  # last step of the record, `[replica]`
    event: str  # name of the event
    control_name: str  # name of the control
    horizon_steps: int | None  # where records end at the latest; None where nobody knows
    chance: float | None  # accuracy of guessing, likewise
    steps_per_epoch: float | None  # optimizer steps per epoch, likewise

    @property
    def horizon_epochs(self) -> float | None:
        """Where records end at the latest; None where nobody knows."""
        horizon, epoch = self.horizon_steps, self.steps_per_epoch
        return horizon / epoch if horizon and epoch else None

    @property
    def n(self) -> int:
        """Replicas."""
        return int(self.seed.size)

    @property
    def happened(self) -> Mask:
        """Replicas with the event, `[replica]`."""
        return self.kind == EVENT

    def window(self) -> Mask:
        """Looks at which an alarm counts, `[replica, look]`."""
        at = self.steps[None, :]
        return (at >= self.opened[:, None]) & (at <= self.watched[:, None])


def on_looks(steps: Array, values: Array, looks: Array) -> tuple[Array, Array]:
    """The readings of one replica at common looks: the latest one, and its change per step.

    The change is that since the reading before it; NaN where there is none, `[look]` each.

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
