"""What a network of another, finished study learned is added: its task vector."""

from typing import final

from observatory.core.settings import Count, check_arguments
from observatory.interventions.contract import Act, Acted
from observatory.interventions.donor import Donor


@final
class AddTaskVector(Act):
    """Entries of a part move as a donor's did since one of its steps, times the strength.

    The optimizer's state stays.

    Args:
        part: Weight, part or pattern, such as "*".
        donor: Of the same weights; with the replica's seed it began where the replica did.
        since: Step of the donor at which its task vector begins, below that of its weights.

    Source:
        Ilharco et al. (2023), arXiv:2212.04089. Deviation: added to a network that is still
        trained.
    """

    def __init__(self, *, part: str, donor: Donor, since: Count) -> None:
        check_arguments(AddTaskVector, since=since)
        self.part, self.donor, self.since = part, donor, since

    def act(self, replica: Acted, strength: float) -> None:
        """Add the vector; the optimizer's state stays."""
        assert replica.donated is not None
        entries = replica.parts.entries(self.part)
        moved = replica.flat.double() + strength * replica.donated.double()
        replica.flat[entries] = moved[entries].to(replica.flat)
