"""An arm of an experiment: what is done, when, and how strongly. Imports no torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from observatory.interventions.moments import Moment

if TYPE_CHECKING:
    from observatory.interventions.contract import Intervention


@final
@dataclass(frozen=True)
class Arm:
    """One way in which a copy of every replica of a run goes on.

    Attributes:
        intervention: What is done to the copy.
        moment: When it parts from the replica.
        strength: Of what is done: 0 leaves the copy as the replica is, 1 does it in full.
    """

    intervention: "Intervention"
    moment: Moment
    strength: float
