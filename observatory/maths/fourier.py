"""Fourier power of functions of a cyclic token, and how much of it lies in one frequency."""

import torch
from jaxtyping import Float
from torch import Tensor


def token_power(table: Float[Tensor, "*batch d_vocab param"]) -> Float[Tensor, "*batch freq param"]:
    r"""Power $\lvert \sum_t w_t e^{-2 \pi i k t / p} \rvert^2$ of every column, k = 1..floor(p/2).

    The constant is left out; k and p - k are one frequency.

    Args:
        table: One row per token 0..p-1.

    Example:
        >>> angle = 2 * torch.pi * torch.arange(5.0) / 5
        >>> token_power((2 * angle).cos()[:, None]).round(decimals=4)
        tensor([[0.0000],
                [6.2500]])
    """
    transform = torch.fft.rfft(table, dim=-2)[..., 1:, :]
    return transform.real.square() + transform.imag.square()
