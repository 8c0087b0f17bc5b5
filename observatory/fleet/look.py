"""What probes need of some replicas at one moment, copied: several moments are measured at once.

A look costs hundreds of small operations whatever the number of rows: four looks measured together
cost little more than two measured apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from jaxtyping import Bool, Float, Int
from torch import Tensor

_MOST_TOGETHER = 5
"""Most looks of a stack that are measured as one: an empty place costs as much as a taken one."""


@dataclass(frozen=True)
class Look:
    """Rows of the fleet, or copies of them."""

    replica: Int[Tensor, " replica"]  # identity of each replica in its run
    step: Int[Tensor, " replica"]  # optimizer updates each had made
    flat: Float[Tensor, "replica param"]  # its parameters
    labels: Int[Tensor, "replica batch"]  # labels of the probe examples
    in_train: Bool[Tensor, "replica batch"]  # whether each probe example is in its train split


def looks_together(buffer: int, size: int, n_params: int) -> int:
    """Looks of a whole stack that are measured as one, 1 to `_MOST_TOGETHER`.

    Args:
        buffer: Parameters that may wait, as `fleet.probe_buffer`.
        size: Slots of the stack.
        n_params: Of a replica.
    """
    return min(_MOST_TOGETHER, max(1, -(-buffer // (size * n_params))))


def in_one_piece(places: list[int]) -> slice | list[int]:
    """The same rows as a slice where they follow one another: then nothing is gathered.

    Example:
        >>> in_one_piece([4, 5, 6]), in_one_piece([4, 6])
        (slice(4, 7, None), [4, 6])
    """
    first = places[0] if places else 0
    last = first + len(places)
    return slice(first, last) if places == list(range(first, last)) else places


@final
class LookStack:
    """Looks that wait to be measured, in a stack of fixed shape.

    How a sum is rounded depends on the shape of the stack and on the place in it. Both are fixed:
    there are `depth` layers of `size` slots, and a replica's n-th look lies in layer n modulo
    `depth`, at the slot where it started. When the stack is measured, and what else is in it,
    changes no number.

    Args:
        size: Slots of the fleet.
        depth: As of `looks_together`.
    """

    def __init__(self, size: int, depth: int) -> None:
        self._size, self._depth = size, depth
        self._stack: Look | None = None
        self._places: list[int] = []
        self.counts: dict[int, int] = {}
        """How many looks were taken at each replica so far."""

    def place(self, look: Look, slots: Sequence[int]) -> bool:
        """Add a look at the replicas that started in `slots`; False where a place is taken."""
        replicas = look.replica.tolist()
        layers = [self.counts.get(replica, 0) % self._depth for replica in replicas]
        places = [layer * self._size + slot for layer, slot in zip(layers, slots, strict=True)]
        if not set(places).isdisjoint(self._places):
            return False
        self.counts |= {replica: self.counts.get(replica, 0) + 1 for replica in replicas}
        if self._stack is None:
            n = self._depth * self._size
            self._stack = Look(*(v.new_zeros(n, *v.shape[1:]) for v in vars(look).values()))
        at = in_one_piece(places)
        for rows, new in zip(vars(self._stack).values(), vars(look).values(), strict=True):
            rows[at] = new
        self._places += places
        return True

    def take(self) -> tuple[Look, list[int]] | None:
        """The whole stack, valid until the next look is added, and the places of those that wait.

        All other rows are zero, or as they were when they were measured.
        """
        if not self._places:
            return None
        places, self._places = self._places, []
        assert self._stack is not None
        return self._stack, places
