"""ASH: a swish whose threshold follows the units of the same example."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from observatory.nonlinearities.contract import TrainedNonlinearity

EPS = 1e-5
"""Inside of the root: units that all agree would have an infinite slope."""


def ash(
    x: Float[Tensor, "*batch unit"], z_k: Float[Tensor, " 1"], alpha: Float[Tensor, " 1"]
) -> Float[Tensor, "*batch unit"]:
    r"""$x\, \sigma(2 \alpha (x - \mathrm{mean} - z_k\, \mathrm{std}))$.

    Mean and standard deviation (biased) are over the units of one token of one example; nothing is
    random.

    Args:
        x: Pre-activations.
        z_k: Threshold in standard deviations: the upper normal quantile of the share that passes.
        alpha: Steepness.

    Source:
        arXiv:2210.11672. Deviations: 1e-5 is added to the variance; the authors' code leaves out
        the factor x and mixes the examples of a batch, and is not followed.
    """
    mean = x.mean(dim=-1, keepdim=True)
    std = torch.sqrt((x - mean).square().mean(dim=-1, keepdim=True) + EPS)
    return x * torch.sigmoid(2 * alpha * (x - mean - z_k * std))


@final
class Ash(TrainedNonlinearity):
    """`ash` with trained threshold and steepness, one of each per layer.

    Args:
        z_k: Threshold at the start.
    """

    def __init__(self, z_k: float) -> None:
        super().__init__()
        self.start = z_k
        self.z_k, self.alpha = nn.Parameter(torch.empty(1)), nn.Parameter(torch.empty(1))

    def initialise(self, rng: torch.Generator) -> None:
        """The threshold asked for and steepness 1; nothing is drawn."""
        with torch.no_grad():
            self.z_k.fill_(self.start)
            self.alpha.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """See `ash`."""
        return ash(x, self.z_k, self.alpha)
