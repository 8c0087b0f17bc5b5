"""What a nonlinearity with trained parameters must offer."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from observatory.maths.nonlinearities import Nonlinearity


class TrainedNonlinearity(nn.Module, ABC):
    """Acts on the hidden units of one example, and learns; it never looks at another example.

    Its parameters are pointwise weights: `optimizer.decay=matrices` leaves them undecayed.
    """

    @abstractmethod
    def initialise(self, rng: torch.Generator) -> None:
        """Set every parameter, drawn from `rng` where it is random."""

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Activations of the shape of `x`, `[..., unit]`."""


def initialise_nonlinearities(network: nn.Module, rng: torch.Generator) -> None:
    """Set the parameters of all nonlinearities of a network, in their order."""
    for module in network.modules():
        if isinstance(module, TrainedNonlinearity):
            module.initialise(rng)


def is_trained(nonlinearity: Nonlinearity) -> bool:
    """Whether it has parameters, which the fast paths do not hand over."""
    return isinstance(nonlinearity, TrainedNonlinearity)
