"""Weights at the start whose sizes are log-normal, as those of synapses."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Start = Literal["normal", "log_normal", "dale"]
RATIO = 1.5
"""Mean over standard deviation of the sizes."""


def draw_log_normal(
    weight: Float[Tensor, "fan_in fan_out"], scale: float, rng: torch.Generator, *, by_row: bool
) -> None:
    """Fill a matrix with log-normal sizes and random signs; their mean square is `scale` squared.

    Args:
        weight: Written into.
        scale: Root of the mean square of the weights.
        rng: Drawn from: the sizes, then the signs.
        by_row: Whether all weights of a row, those of a sending unit, have one sign (Dale's law).

    Source:
        arXiv:2510.02730: mean of the sizes 1.5 times their standard deviation. Deviation: none.
    """
    std = scale / math.sqrt(1 + RATIO**2)
    mean = RATIO * std
    centre = math.log(mean**2 / math.sqrt(mean**2 + std**2))
    spread = math.sqrt(math.log(1 + 1 / RATIO**2))
    weight.log_normal_(centre, spread, generator=rng)
    signs = torch.randint(2, (len(weight), 1 if by_row else weight.shape[1]), generator=rng)
    weight.mul_((2 * signs - 1).to(weight))
