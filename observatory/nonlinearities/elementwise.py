"""Fixed functions of one number: those that torch lacks, and those whose slope needs care."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_STEEPNESS: list[float] = []
"""Of the slope of signs while `steep_signs` is open."""


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
    smooth = torch.erf(_steep(x) if _STEEPNESS else x)
    return torch.sign(x).detach() + (smooth - smooth.detach())


def threshold(x: Tensor) -> Tensor:
    """1 for entries above 0, 0 below and 1/2 at 0, with half the slope of `sign`."""
    return (1 + sign(x)) / 2


def _steep(x: Tensor) -> Tensor:
    size = x.detach().square().mean(dim=-1, keepdim=True).sqrt()
    return x * (_STEEPNESS[-1] / torch.where(size > 0, size, 1.0))


@contextmanager
def steep_signs(steepness: float) -> Iterator[None]:
    r"""While open, the slope of signs is near their own, which is infinite at 0; values stay.

    It is that of $\mathrm{erf}(k x / s)$, s the root mean square over the units of an example: in a
    mean over many units, as good as two Dirac deltas at 0 for large k.

    Args:
        steepness: k. The larger, the nearer to the true slope, and the fewer units have any.

    Example:
        >>> x = torch.tensor([-0.5, 0.0], requires_grad=True)
        >>> with steep_signs(10.0):
        ...     sign(x).sum().backward()
        >>> x.grad.round(decimals=2)
        tensor([ 0.0000, 31.9200])
    """
    _STEEPNESS.append(steepness)
    try:
        yield
    finally:
        _STEEPNESS.pop()


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
