"""What the stack trains on in the coming step, where a recorded step finds it."""

from typing import final

from torch import Tensor

from observatory.fleet.batches import Batches
from observatory.fleet.splits import Splits

_Batch = tuple[Tensor, Tensor, Tensor | None]
"""Inputs and labels of every replica, and which of them count; None: all."""


@final
class Feed:
    """Inputs and labels of every slot's batch.

    A batch that is the same at every step is gathered once, into memory that stays where it is.
    """

    def __init__(self, batches: Batches, splits: Splits) -> None:
        self._batches, self._splits = batches, splits
        self._held: _Batch | None = None
        self.stale = True
        """Whether somebody was seated since the held batch was gathered."""

    def ready(self, ages: list[int]) -> None:
        """What the host does before a step of replicas of these `ages`."""
        self._batches.begin(ages)
        if self._batches.full and self.stale:
            drawn = self._gathered()
            if self._held is None:
                self._held = drawn
            self._held[0].copy_(drawn[0])
            self._held[1].copy_(drawn[1])
        self.stale = False

    def __call__(self) -> _Batch:
        """The batch; the host reads nothing of it."""
        return self._held or self._gathered()

    def _gathered(self) -> _Batch:
        indices, counted = self._batches.current()
        return self._splits.inputs[indices], self._splits.labels.gather(1, indices), counted
