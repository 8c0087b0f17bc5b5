"""A part begins again: drawn anew as at the start of a network, its optimizer state forgotten."""

from typing import final

from observatory.interventions.contract import Act, Acted


@final
class Reinitialise(Act):
    """Entries of a part become those of a freshly drawn network; strength 0.5 goes half the way.

    Args:
        part: Weight, part or pattern, such as "blocks.0.head.1".
        own: Whether they become what this replica itself started from, in place of a new draw.
    """

    def __init__(self, *, part: str, own: bool = False) -> None:
        self.part, self.own = part, own

    def act(self, replica: Acted, strength: float) -> None:
        """Move the entries towards the draw, and forget their moments."""
        entries = replica.parts.entries(self.part)
        drawn = replica.first if self.own else replica.drawn(replica.rng)
        replica.move(entries, drawn, strength)
