"""A part learns no longer."""

from typing import final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.interventions.contract import Hold, Row
from observatory.interventions.parts import PartNames


@final
class Freeze(Hold):
    """Entries of a part take the share 1 - strength of every step: none at strength 1.

    Args:
        part: Weight, part or pattern.
    """

    def __init__(self, *, part: str) -> None:
        self.part = part

    def target(self, first: Row, parts: PartNames) -> Tensor:
        """Nothing: they stay where they were."""
        return first[:0]

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, parts: PartNames
    ) -> Rows:
        """The entries where they were, all others as they are."""
        entries = parts.entries(self.part).to(after.device)
        return torch.where(entries, torch.lerp(after, before, strength), after)
