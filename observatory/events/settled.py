"""Settled: grokked, held, and watched for a tail."""

from observatory.events.interval import Interval


def settled(held: Interval, first: Interval, step: int, tail_steps: int) -> bool:
    """Whether a replica held its accuracy and was watched long enough after the first touch.

    Args:
        held: The event that asks for several looks in a row.
        first: The first touch, from which the tail is counted (its `t_hi`).
        step: The replica's present step.
        tail_steps: Steps to be watched after the first touch.

    Example:
        >>> touch = Interval(75.0, 100.0, observed=True, watched=300)
        >>> settled(touch, touch, step=300, tail_steps=200)
        True
    """
    if not held.observed or first.t_hi is None:
        return False
    return step - first.t_hi >= tail_steps
