"""When an arm parts from its parent: at a look of the parent's own training. Imports no torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

from observatory.core.errors import ConfigError
from observatory.core.settings import Count, Share, check_arguments


@final
@dataclass(frozen=True)
class Seen:
    """What was recorded of one replica up to a look.

    Attributes:
        step: Of the look.
        event: The look at which a named event was first seen, in steps; None where it was not.
        signal: Steps and values of a recorded signal so far, in order.
    """

    step: int
    event: Callable[[str], int | None]
    signal: Callable[[str], tuple[Sequence[int], Sequence[float]]]


@runtime_checkable
class Moment(Protocol):
    """A rule that says, at every look at a replica, whether the moment has come."""

    def come(self, seen: Seen) -> bool:
        """Whether it has, from what was recorded so far and nothing later."""
        ...


@final
class AtStep:
    """A step, the same for every replica: at the first look from it on.

    Args:
        step: Optimizer updates; 0 is before the first.
    """

    def __init__(self, *, step: Count) -> None:
        check_arguments(AtStep, step=step)
        self.step = step

    def come(self, seen: Seen) -> bool:
        """Whether the step is reached."""
        return seen.step >= self.step


@final
class AtEvent:
    """An event of the replica itself, or some steps after it; it may never come.

    Args:
        event: Name, such as mem or first99.
        after: Steps after the look at which it was first seen.
    """

    def __init__(self, *, event: str, after: Count = 0) -> None:
        check_arguments(AtEvent, event=event, after=after)
        self.event, self.after = event, after

    def come(self, seen: Seen) -> bool:
        """Whether the event was seen, long enough ago."""
        first = seen.event(self.event)
        return first is not None and seen.step >= first + self.after


@final
class AtPeak:
    """A recorded signal of the replica itself has passed its peak; it may never come.

    At the first look at which the last value lies a share below the largest so far. That a value
    was the peak is known only then: the moment lies after it by as much as the fall takes.

    Args:
        signal: Column of a probe with one number per look, such as "sigma_h"; or "val_acc".
        fall: Share of the largest value by which the signal must have fallen.
        after: Step before which values do not count, such as those of the drawn weights.
    """

    def __init__(self, *, signal: str, fall: Share, after: Count = 0) -> None:
        check_arguments(AtPeak, signal=signal, fall=fall, after=after)
        self.signal, self.fall, self.after = signal, fall, after

    def come(self, seen: Seen) -> bool:
        """Whether it has fallen far enough below a positive peak."""
        steps, values = seen.signal(self.signal)
        counted = [v for step, v in zip(steps, values, strict=True) if step >= self.after]
        known = [value for value in counted if value == value]  # NaN: not measured, or not finite
        peak = max(known, default=0.0)
        return peak > 0 and known[-1] <= (1 - self.fall) * peak


@final
class FirstOf:
    """Whichever of some moments comes first.

    Args:
        moments: At least one.
    """

    def __init__(self, *, moments: list[Moment]) -> None:
        if not moments or not all(isinstance(each, Moment) for each in moments):
            raise ConfigError(f"`moments` must be a list of moments, got {moments!r}.")
        self.moments = moments

    def come(self, seen: Seen) -> bool:
        """Whether one of them has."""
        return any(moment.come(seen) for moment in self.moments)


def plain(moment: Moment) -> list[Moment]:
    """The moments of which one is made, itself where it is made of none."""
    if not isinstance(moment, FirstOf):
        return [moment]
    return [part for each in moment.moments for part in plain(each)]
