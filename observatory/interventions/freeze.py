"""A part learns no longer."""

from typing import final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.interventions.contract import Acted, Hold, Place


@final
class Freeze(Hold):
    """Entries of a part take the share 1 - strength of every step: none at strength 1.

    Args:
        part: Weight, part or pattern.
    """

    def __init__(self, *, part: str) -> None:
        self.part = part

    def target(self, replica: Acted) -> Tensor:
        """Nothing: they stay where they were."""
        return replica.flat[:0]

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, place: Place
    ) -> Rows:
        """The entries where they were, all others as they are."""
        return torch.where(place.entries, torch.lerp(after, before, strength), after)
