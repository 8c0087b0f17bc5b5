"""ReLU behind a gate with a threshold and a gain for each unit (TauGate)."""

import copy
import math
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.nonlinearities.contract import TrainedNonlinearity


def tau_gate(z: Tensor, tau: Tensor, gain: Tensor, slope: float) -> Tensor:
    """Gain sigmoid(slope (z - tau)) relu(z), unit by unit; where z > tau alone at an endless slope.

    Args:
        z: Hidden units before the activation, `[..., unit]`.
        tau: Thresholds, `[unit]`.
        gain: Gains, `[unit]`.
        slope: Of the gates, positive; `math.inf` for hard ones.

    Source:
        arXiv:2602.11726, from a summary: where gain and activation sit, and the slope, are ours.

    Example:
        >>> z, tau, gain = torch.tensor([0.5, 2.0]), torch.tensor([0.5, 1.0]), torch.ones(2)
        >>> tau_gate(z, tau, gain, 10.0), tau_gate(z, tau, gain, math.inf)
        (tensor([0.2500, 1.9999]), tensor([0., 2.]))
    """
    hard = math.isinf(slope)
    gate = (z > tau).to(z.dtype) if hard else torch.sigmoid(slope * (z - tau))
    return gain * gate * F.relu(z)


@final
class TauGate(TrainedNonlinearity):
    """`tau_gate` with a trained threshold and gain per unit; at the start gates are near open.

    Args:
        width: Number of units.
        slope: Of the gates.
    """

    def __init__(self, width: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.tau, self.gain = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(width))

    def initialise(self, rng: torch.Generator) -> None:
        """Thresholds of -2, two standard deviations of most units below 0; gains of 1."""
        with torch.no_grad():
            self.tau.fill_(-2.0)
            self.gain.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """See `tau_gate`."""
        return tau_gate(x, self.tau, self.gain, self.slope)


def hardened(network: nn.Module) -> nn.Module:
    """A copy of a network whose gates are open or closed, nothing between."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, TauGate):
            module.slope = math.inf
    return network
