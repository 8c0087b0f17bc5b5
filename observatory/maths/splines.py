"""Bases of B-splines on a uniform grid."""

import torch
from jaxtyping import Float
from torch import Tensor


def b_splines(
    x: Float[Tensor, "*shape"], grid: int, order: int, low: float, high: float
) -> Float[Tensor, "*shape basis"]:
    """All B-splines of one order at every entry, by the recursion of Cox and de Boor.

    On [low, high] they add up to 1; outside of it they fall to 0 within `order` steps of the grid,
    and where all are 0 there is no slope.

    Args:
        x: Where they are wanted.
        grid: Number of intervals on [low, high].
        order: Degree of the pieces: 3 for cubic splines.
        low: First point of the grid.
        high: Last one.

    Returns:
        The `grid` + `order` bases, in the order of their place.

    Source:
        arXiv:2404.19756, equation 2.7 and section 2.2. Deviation: the grid is never moved.

    Example:
        >>> b_splines(torch.tensor([0.25]), 2, 1, 0.0, 1.0)
        tensor([[0.5000, 0.5000, 0.0000]])
    """
    step = (high - low) / grid
    place = torch.arange(-order, grid + order + 1, dtype=x.dtype, device=x.device)
    knots = low + step * place
    x = x.unsqueeze(-1)
    bases = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for degree in range(1, order + 1):
        rising = (x - knots[: -degree - 1]) / (degree * step)
        falling = (knots[degree + 1 :] - x) / (degree * step)
        bases = rising * bases[..., :-1] + falling * bases[..., 1:]
    return bases
