"""Entries of a weight change places: their distribution stays, their structure goes."""

from typing import final

import torch

from observatory.interventions.contract import Act, Acted


@final
class Shuffle(Act):
    """Of the entries of a part a share, the strength, is permuted within each weight.

    Args:
        part: Weight, part or pattern.
    """

    def __init__(self, *, part: str) -> None:
        self.part = part

    def act(self, replica: Acted, strength: float) -> None:
        """Permute parameters; the optimizer's state stays."""
        entries, start = replica.parts.entries(self.part), 0
        for size in replica.parts.layout.sizes:
            own = start + entries[start : start + size].nonzero()[:, 0]
            order = own[torch.randperm(len(own), generator=replica.rng)]
            moved = order[: round(strength * len(own))]
            replica.flat[moved] = replica.flat[moved.roll(1)]
            start += size
