"""Fewer slots once nobody waits: who sits where in the smaller stack.

How a matrix product rounds depends on where in memory its operands begin. In a stack whose size is
a multiple of four, and at a place that leaves the same rest by four, a replica's operands begin as
far from a cache line as before, and its numbers stay the same to the last bit.
"""

from collections.abc import Sequence

_TOGETHER = 4


def compact(taken: Sequence[bool]) -> list[int]:
    """Slots that a stack keeps so that all taken ones stay, each at its place modulo four.

    Args:
        taken: Whether each slot holds a replica.

    Returns:
        Old slots in their new order, as few as fours allow; all where that saves none.

    Example:
        >>> compact([slot in (1, 5, 6, 8) for slot in range(12)])
        [8, 1, 6, 3, 0, 5, 2, 7]
    """
    lanes = [
        sorted(range(lane, len(taken), _TOGETHER), key=lambda slot: not taken[slot])
        for lane in range(_TOGETHER)
    ]
    depth = max(1, *(sum(taken[slot] for slot in lane) for lane in lanes))
    if depth * _TOGETHER >= len(taken):
        return list(range(len(taken)))
    return [lane[layer] for layer in range(depth) for lane in lanes]


def alike(slot: int, other: int, size: int) -> bool:
    """Whether a replica's numbers are the same, to the last bit, in either slot of a stack."""
    return (slot - other) % (_TOGETHER if size % _TOGETHER == 0 else size) == 0
