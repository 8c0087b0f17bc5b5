"""When each slot's replica first had a loss or parameter that is not finite."""

import torch
from jaxtyping import Bool
from torch import Tensor

_NEVER = -1


class Divergence:
    """The first bad tick of every slot: ticks, not ages, so that a step needs no tensor of ages.

    The tick is counted where the losses are: a step reads nothing back from there.

    Args:
        size: Number of slots.
        device: Where losses are.
    """

    def __init__(self, size: int, device: torch.device) -> None:
        self.first = torch.full((size,), _NEVER, dtype=torch.int64, device=device)
        self.tick = torch.zeros((), dtype=torch.int64, device=device)

    def note(self, bad: Bool[Tensor, " replica"]) -> None:
        """Which slots have something not finite now."""
        self.first.copy_(torch.where(bad & (self.first < 0), self.tick, self.first))

    def clear(self, slot: int) -> None:
        """Another replica takes `slot`, or nobody."""
        self.first[slot] = _NEVER

    def resume(self, slot: int, age: int, diverged_step: int | None) -> None:
        """A replica that has made `age` steps takes `slot`; what `steps` said of it, it says."""
        self.first[slot] = _NEVER if diverged_step is None else self.tick - (age - diverged_step)

    def steps(self, ages: list[int]) -> list[int | None]:
        """Per slot, its replica's first bad step, or None.

        Args:
            ages: Steps that each slot's replica has made.
        """
        tick = int(self.tick)
        return [
            None if first < 0 else age - (tick - first)
            for first, age in zip(self.first.tolist(), ages, strict=True)
        ]
