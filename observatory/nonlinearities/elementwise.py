"""Fixed functions of one number: those that torch lacks, and those whose slope needs care."""

import math

import torch
from torch import Tensor


def sign(x: Tensor) -> Tensor:
    r"""The sign of every entry, with the slope of the error function in the backward pass.

    The true slope is 0 almost everywhere; the surrogate is $2 e^{-x^2} / \sqrt\pi$. The sign of 0
    is 0.

    Args:
        x: Of any shape.

    Source:
        arXiv:2405.15539, networks of signs trained with a surrogate gradient. Deviation: none.

    Example:
        >>> x = torch.tensor([-2.0, 0.0], requires_grad=True)
        >>> y = sign(x); y.sum().backward(); y.tolist(), round(x.grad[1].item(), 4)
        ([-1.0, 0.0], 1.1284)
    """
    smooth = torch.erf(x)
    return torch.sign(x).detach() + (smooth - smooth.detach())


def cubic(x: Tensor) -> Tensor:
    """The third power of every entry.

    Source:
        arXiv:2601.10740 as a formula; odd, and yet able to multiply: (u + v)^3 holds 3 u^2 v.
    """
    return x * x * x


def fixed_crrelu(x: Tensor) -> Tensor:
    """CRReLU with its small bump of 0.01 kept fixed: `crrelu(x, 0.01)`."""
    return crrelu(x, 0.01)


def crrelu(x: Tensor, eps: float | Tensor) -> Tensor:
    r"""ReLU and a small odd bump, $\max(0, x) + \epsilon x e^{-x^2 / 2}$.

    Args:
        x: Of any shape.
        eps: Height of the bump; it may be negative.

    Source:
        arXiv:2405.12954. Deviation: none.
    """
    return torch.relu(x) + eps * x * torch.exp(-0.5 * x * x)


def hermite(degree: int, x: Tensor) -> Tensor:
    r"""Hermite polynomial $h_n$, normalised: $E\, h_n(z)^2 = 1$ for a standard normal z.

    Args:
        degree: n, at least 0.
        x: Of any shape.

    Example:
        >>> hermite(2, torch.tensor([1.0, 2.0]))
        tensor([0.0000, 2.1213])
    """
    before, now = torch.zeros_like(x), torch.ones_like(x)
    for n in range(degree):
        before, now = now, x * now - n * before
    return now / math.sqrt(math.factorial(degree))
