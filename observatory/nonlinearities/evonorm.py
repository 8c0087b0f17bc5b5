"""EvoNorm S0: an activation and a norm at once."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.nonlinearities.contract import TrainedNonlinearity

EPS = 1e-5


def evonorm_s0(
    x: Float[Tensor, "*batch unit"],
    v: Float[Tensor, " unit"],
    gamma: Float[Tensor, " unit"],
    beta: Float[Tensor, " unit"],
    groups: int,
) -> Float[Tensor, "*batch unit"]:
    r"""$x\, \sigma(v x) / \sqrt{\mathrm{var}_g(x) + 10^{-5}} \cdot \gamma + \beta$.

    The variance (biased) is that of a group of units of one token of one example.

    Args:
        x: Pre-activations.
        v: Steepness of every unit.
        gamma: Gain.
        beta: Shift.
        groups: Number of groups of neighbouring units; divides their number.

    Source:
        arXiv:2004.02967, S0. Deviation: groups of units in place of channels and space.
    """
    grouped = x.unflatten(-1, (groups, -1))
    mean = grouped.mean(dim=-1, keepdim=True)
    variance = (grouped - mean).square().mean(dim=-1, keepdim=True)
    scale = torch.rsqrt(variance + EPS).expand(grouped.shape).flatten(-2)
    return x * torch.sigmoid(v * x) * scale * gamma + beta


@final
class EvoNormS0(TrainedNonlinearity):
    """`evonorm_s0` with trained steepness, gain and shift of every unit: 1, 1 and 0 at the start.

    Args:
        width: Number of units.
        groups: Number of groups, a divisor of `width`.

    Raises:
        ConfigError: If it is none.
    """

    def __init__(self, width: int, groups: int) -> None:
        super().__init__()
        if width % groups:
            raise ConfigError(
                f"`activation` evonorm_s0 must have a number of groups that divides the {width} "
                f"units, got {groups}. Choose another one, or another width."
            )
        self.groups = groups
        self.v, self.gamma, self.beta = (nn.Parameter(torch.empty(width)) for _ in range(3))

    def initialise(self, rng: torch.Generator) -> None:
        """Ones and zeros; nothing is drawn."""
        with torch.no_grad():
            self.v.fill_(1.0)
            self.gamma.fill_(1.0)
            self.beta.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """See `evonorm_s0`."""
        return evonorm_s0(x, self.v, self.gamma, self.beta, self.groups)
