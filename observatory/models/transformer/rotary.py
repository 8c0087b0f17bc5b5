"""Rotary positions: queries and keys turned by angles that grow with the position.

Su et al. (2021), RoFormer, arXiv:2104.09864. Deviation: channel i turns with channel i + d_head/2
instead of with its neighbour, which is the same up to an order of the channels.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BASE = 10_000.0


def rotated(
    x: Float[Tensor, "*batch pos d_head"], positions: Int[Tensor, " pos"]
) -> Float[Tensor, "*batch pos d_head"]:
    """Every row of `x` turned as its position says; position 0 stays.

    Example:
        >>> rotated(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), torch.tensor([0, 1]))
        tensor([[1.0000, 0.0000],
                [0.5403, 0.8415]])
    """
    n_planes = x.shape[-1] // 2
    plane = torch.arange(n_planes, dtype=torch.float64, device=x.device)
    angles = positions.unsqueeze(1) * _BASE ** -(plane / n_planes)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    one, two = x.chunk(2, dim=-1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], dim=-1)
