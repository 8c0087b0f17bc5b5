"""A part learns no longer."""

from typing import final

import torch
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.errors import ConfigError
from observatory.interventions.contract import Acted, Entries, Hold, Place
from observatory.interventions.parts import PartNames


@final
class Freeze(Hold):
    """Entries of a part take the share 1 - strength of every step: none at strength 1.

    Args:
        part: Weight, part or pattern.
        but: What of it goes on learning, likewise; None: nothing.
    """

    def __init__(self, *, part: str, but: str | None = None) -> None:
        self.part, self.but = part, but

    def check(self, parts: PartNames, modulus: int | None) -> None:
        """What goes on learning must be a part too, and leave something to freeze."""
        if not self._frozen(parts).any():
            raise ConfigError(
                f"`but` must leave something of `part` to freeze, got {self.but!r} of "
                f"{self.part!r}. Name less of it."
            )

    def _frozen(self, parts: PartNames) -> Entries:
        entries = parts.entries(self.part)
        return entries if self.but is None else entries & ~parts.entries(self.but, "but")

    def target(self, replica: Acted) -> Tensor:
        """1 where an entry stays, where some of the part does not; else nothing."""
        frozen = self._frozen(replica.parts)[: 0 if self.but is None else None]
        return frozen.to(replica.flat)

    def hold(
        self, before: Rows, after: Rows, strength: Tensor, target: Tensor, place: Place
    ) -> Rows:
        """The entries where they were, all others as they are."""
        frozen = place.entries if self.but is None else target > 0
        return torch.where(frozen, torch.lerp(after, before, strength), after)
