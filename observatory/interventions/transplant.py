"""A part becomes that of a network of another, finished study."""

from typing import final

from observatory.interventions.contract import Act, Acted
from observatory.interventions.donor import Donor


@final
class Transplant(Act):
    """Entries of a part become those of a donor; strength 0.5 goes half the way.

    The optimizer forgets its moments there. With the embedding of a network that has grokked, at
    step 0: arXiv:2504.13292.

    Args:
        part: Weight, part or pattern, such as "W_E".
        donor: Of the same weights.
    """

    def __init__(self, *, part: str, donor: Donor) -> None:
        self.part, self.donor = part, donor

    def act(self, replica: Acted, strength: float) -> None:
        """Move the entries towards the donor's, and forget their moments."""
        assert replica.donated is not None  # whoever has a donor is given its weights
        entries = replica.parts.entries(self.part)
        replica.move(entries, replica.donated.to(replica.flat), strength)
