"""Families of functions of one number that an edge may have beside splines."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

FAMILIES = ("splines", "Chebyshev", "Mexican hats")
"""In the order of their shares."""
N_CHEBYSHEV = 5
"""Polynomials, of degrees 0 to 4."""


def chebyshev(x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape basis"]:
    """T_n(tanh x) for n = 0 to 4, by their recurrence, whose slopes are finite everywhere.

    Source:
        arXiv:2408.08338 names the family and its degree. Deviation: tanh keeps x within (-1, 1).

    Example:
        >>> chebyshev(torch.tensor([0.5493061]))  # whose tanh is 0.5
        tensor([[ 1.0000,  0.5000, -0.5000, -1.0000, -0.5000]])
    """
    t = x.tanh()
    made = [torch.ones_like(t), t]
    while len(made) < N_CHEBYSHEV:
        made.append(2 * t * made[-1] - made[-2])
    return torch.stack(made, dim=-1)


def mexican_hats(
    x: Float[Tensor, "*shape"], grid: int, low: float, high: float
) -> Float[Tensor, "*shape basis"]:
    """2 / (sqrt 3 pi^(1/4)) (1 - u^2) exp(-u^2 / 2) with u = (x - t) / s, a wavelet per grid point.

    Args:
        x: Where they are wanted.
        grid: Number of intervals on [low, high]; t are its `grid` + 1 ends, s is their distance.
        low: First point of the grid.
        high: Last one.

    Source:
        arXiv:2408.08338 names the family. Deviation: t and s are fixed, where they are trained.

    Example:
        >>> mexican_hats(torch.tensor([0.0]), 2, -1.0, 1.0)
        tensor([[0.0000, 0.8673, 0.0000]])
    """
    points = torch.linspace(low, high, grid + 1, dtype=x.dtype, device=x.device)
    square = ((x.unsqueeze(-1) - points) * grid / (high - low)).square()
    scale = 2 / (math.sqrt(3) * math.pi**0.25)
    return scale * (1 - square) * (-square / 2).exp()
