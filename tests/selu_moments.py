r"""How a layer of SELU units maps the mean and the variance of what enters it.

Letters: mu, nu mean and variance of the activations below; omega the sum of a unit's incoming
weights, tau the sum of their squares; m = mu omega, v = nu tau those of the pre-activation.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.special import erfcx

SCALE = 1.0507009873554804934193349852946
ALPHA = 1.6732632423543772848170429916717


class Moments(NamedTuple):
    """Mean and variance of the units of a layer."""

    mean: Float[Tensor, "*shape"]
    variance: Float[Tensor, "*shape"]


def selu_moments(
    mean: Float[Tensor, "*shape"],
    variance: Float[Tensor, "*shape"],
    omega: Float[Tensor, "*shape"],
    tau: Float[Tensor, "*shape"],
) -> Moments:
    """Mean and variance after a wide layer of SELU units, from those before it.

    At omega 0 and tau 1 (weights of variance 1 / fan-in) they tend to mean 0 and variance 1 with
    depth. Below a tau of 0.4956 the variance dies out with depth.

    Args:
        mean: Of the activations that enter, mu.
        variance: Theirs, nu; positive.
        omega: Sum of a unit's incoming weights.
        tau: Sum of their squares; positive.

    Source:
        arXiv:1706.02515, equations 4 and 5. Deviation: erfcx in place of the product of an
        exponential with erfc, which overflows at a large variance.

    Example:
        >>> zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
        >>> round(selu_moments(zero, one, zero, one / 2).variance.item(), 4)
        0.5775
    """
    m, v = mean * omega, variance * tau
    root = torch.sqrt(2 * v)
    density = torch.exp(-(m * m) / (2 * v))  # what turns erfcx into exp(..) erfc
    one, two = _part(1, m, v), _part(2, m, v)
    below = torch.erfc(m / root)
    bell = torch.sqrt(2 * v / torch.pi) * density
    first = SCALE / 2 * (m * torch.erf(m / root) + ALPHA * (one - below) + bell + m)
    positive = (m * m + v) * (2 - below) + m * bell
    second = SCALE**2 / 2 * (positive + ALPHA**2 * (two - 2 * one + below))
    return Moments(first, second - first * first)


def _part(
    k: int, m: Float[Tensor, "*shape"], v: Float[Tensor, "*shape"]
) -> Float[Tensor, "*shape"]:
    """Exp(k m + k^2 v / 2) erfc((m + k v) / sqrt(2 v)), without overflow on either side of 0."""
    z = (m + k * v) / torch.sqrt(2 * v)
    right = torch.exp(-(m * m) / (2 * v)) * erfcx(z.clamp(min=0))
    left = torch.exp((k * m + k * k * v / 2).clamp(max=0)) * torch.erfc(z.clamp(max=0))
    return torch.where(z > 0, right, left)
