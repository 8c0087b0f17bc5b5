"""A part becomes larger or smaller as a whole, once."""

import math
from typing import final

from observatory.core.settings import Positive, check_arguments
from observatory.interventions.contract import Act, Acted


@final
class Rescale(Act):
    """The entries of a part are multiplied by one number; the optimizer's state stays.

    Args:
        part: Weight, part or pattern; "*" is the whole network.
        factor: By which, at strength 1; at strength s by its s-th power.
    """

    def __init__(self, *, part: str, factor: Positive) -> None:
        check_arguments(Rescale, factor=factor)
        self.part, self.factor, self.strongest = part, factor, math.inf

    def act(self, replica: Acted, strength: float) -> None:
        """Multiply."""
        replica.flat[replica.parts.entries(self.part)] *= self.factor**strength
