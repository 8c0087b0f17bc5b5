"""When an arm parts from its parent: at a look of the parent's own training. Imports no torch."""

from collections.abc import Callable
from typing import Protocol, final, runtime_checkable

from observatory.core.settings import Count, check_arguments


@runtime_checkable
class Moment(Protocol):
    """A rule that says, at every look at a replica, whether the moment has come."""

    def come(self, step: int, seen: Callable[[str], int | None]) -> bool:
        """Whether it has.

        Args:
            step: Of the look.
            seen: The look at which a named event was first seen, in steps; None where it was not.
        """
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

    def come(self, step: int, seen: Callable[[str], int | None]) -> bool:
        """Whether the step is reached."""
        return step >= self.step


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

    def come(self, step: int, seen: Callable[[str], int | None]) -> bool:
        """Whether the event was seen, long enough ago."""
        first = seen(self.event)
        return first is not None and step >= first + self.after
