"""What is done to a replica at a moment of its training, and what is otherwise from then on."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.layout import Layout, Params
from observatory.interventions.donor import Donor
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
        rng: For acts on replicas of this seed: the same draws in every arm, so that a control is as
            large as its act.
        drawn: The first parameters of a network, drawn from a generator.
        first: Those of this replica.
        donated: Those of its donor, or their change; None where the act has none.
        modulus: As of `HasModulus`, of the task.
    """

    flat: Row
    optimizer: Params
    parts: PartNames
    rng: torch.Generator
    drawn: Callable[[torch.Generator], Row]
    first: Row
    donated: Row | None
    modulus: int | None

    def move(self, entries: Entries, towards: Row, share: float) -> None:
        """Go a share of the way to other values of some entries, and forget their moments."""
        self.flat[entries] = torch.lerp(self.flat[entries], towards[entries], share)
        self.forget(entries, share)

    def forget(self, entries: Entries, share: float) -> None:
        """Let the optimizer forget a share of what it knows of some entries."""
        for state in self.optimizer.values():
            if state.shape == self.flat.shape:
                known = state[entries]
                state[entries] = torch.lerp(known, torch.zeros_like(known), share)


class Given(NamedTuple):
    """With what one replica is trained.

    Attributes:
        lr: Learning rate.
        weight_decay: Rate of decay.
        logit_scale: By which its logits are multiplied before the loss of a step.
    """

    lr: float
    weight_decay: float
    logit_scale: float


class Intervention(ABC):  # noqa: B024  # what is abstract differs between the kinds below
    """What every intervention has.

    Attributes:
        strongest: Largest strength.
    """

    strongest: float = 1.0


class OnPart(Intervention, ABC):
    """An intervention on entries of the parameters.

    Attributes:
        part: Weight, part or pattern that it concerns.
        donor: Whose weights it takes; None: nobody's.
        since: Step of the donor, whose change since then is taken in place of its weights; None:
            its weights.
    """

    part: str
    donor: Donor | None = None
    since: int | None = None

    def check(self, parts: PartNames, modulus: int | None) -> None:
        """Refuse networks and tasks that it cannot act on.

        Args:
            parts: What the network's entries are called.
            modulus: As of `HasModulus`, of the task.

        Raises:
            ConfigError: If the network has no such part, or the intervention says why else.
        """
        parts.entries(self.part)


class Act(OnPart, ABC):
    """Something done once to a replica, at the moment; at strength 0 nothing changes."""

    @abstractmethod
    def act(self, replica: Acted, strength: float) -> None:
        """Write what changes into `replica.flat` and `replica.optimizer`."""


@final
@dataclass(frozen=True, eq=False)
class Place:
    """Where a hold acts.

    Attributes:
        entries: Those of its part.
        layout: Of a flat row.
    """

    entries: Entries
    layout: Layout


class Hold(OnPart, ABC):
    """Something kept up after every step from the moment on; at strength 0 nothing changes."""

    @abstractmethod
    def target(self, replica: Acted) -> Float[Tensor, " target"]:
        """What a replica is held to, from its state at the moment; empty where that is nothing."""

    @abstractmethod
    def hold(
        self,
        before: Rows,
        after: Rows,
        strength: Float[Tensor, "replica 1"],
        target: Float[Tensor, "replica target"],
        place: Place,
    ) -> Rows:
        """The parameters in place of `after`, of each replica by itself.

        Args:
            before: Before the step.
            after: As the optimizer left them.
            strength: Of each.
            target: As of `target`.
            place: Of its part.
        """


class Setting(Intervention, ABC):
    """A setting of the training that changes at the moment; at strength 0 it does not change."""

    @abstractmethod
    def changed(self, own: Given, strength: float) -> Given:
        """With what an arm is trained, from what its replica is trained with."""


def between(own: float, other: float, strength: float) -> float:
    """From one rate to another, on a log scale; straight where one of them is 0.

    Example:
        >>> between(1.0, 0.01, 0.5), between(1.0, 0.0, 0.5), between(0.3, 2.0, 0.0)
        (0.1, 0.5, 0.3)
    """
    if strength in (0.0, 1.0):
        return other if strength else own
    if own > 0 and other > 0:
        return own * (other / own) ** strength
    return (1 - strength) * own + strength * other
