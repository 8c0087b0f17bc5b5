"""What is done to one replica at a moment of its training, and what after every step from then."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.layout import Params
from observatory.interventions.parts import PartNames

Entries = Bool[Tensor, " param"]
"""Whether each entry of a flat row belongs to a part."""
Row = Float[Tensor, " param"]
"""All parameters of one replica, or what belongs to each of them."""


@final
@dataclass(frozen=True, eq=False)
class Acted:
    """One replica at the moment of an act; `flat` and `optimizer` are written in place.

    Attributes:
        flat: Its parameters.
        optimizer: State of its optimizer by name; what is as long as `flat` belongs to single
            parameters, such as moments.
        parts: Which entries a name has.
        rng: For this act alone: from the seed of the replica and the name of the arm.
        drawn: The first parameters of a network, drawn from a generator.
        first: Those of this replica.
    """

    flat: Row
    optimizer: Params
    parts: PartNames
    rng: torch.Generator
    drawn: Callable[[torch.Generator], Row]
    first: Row

    def forget(self, entries: Entries, share: float) -> None:
        """Let the optimizer forget a share of what it knows of some entries."""
        for state in self.optimizer.values():
            if state.shape == self.flat.shape:
                known = state[entries]
                state[entries] = torch.lerp(known, torch.zeros_like(known), share)


class _Named(ABC):
    """What every intervention has.

    Attributes:
        part: Weight, part or pattern that it concerns.
        strongest: Largest strength.
    """

    part: str
    strongest: float = 1.0


class Act(_Named, ABC):
    """Something done once to a replica, at the moment; at strength 0 nothing changes."""

    @abstractmethod
    def act(self, replica: Acted, strength: float) -> None:
        """Write what changes into `replica.flat` and `replica.optimizer`."""


class Hold(_Named, ABC):
    """Something kept up after every step from the moment on; at strength 0 nothing changes."""

    @abstractmethod
    def target(self, first: Row, entries: Entries) -> Float[Tensor, " target"]:
        """What one replica is held to, from its first parameters; empty where that is nothing."""

    @abstractmethod
    def hold(
        self,
        before: Rows,
        after: Rows,
        strength: Float[Tensor, "replica 1"],
        target: Float[Tensor, "replica target"],
        entries: Entries,
    ) -> Rows:
        """The parameters in place of `after`, of each replica by itself.

        Args:
            before: Before the step.
            after: As the optimizer left them.
            strength: Of each.
            target: As of `target`.
            entries: Those of its part.
        """


Intervention = Act | Hold
