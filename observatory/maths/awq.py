"""Activation-aware rounding of weights: salient channels are scaled up before it, back after it."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.maths.integers import asymmetric_groups

_SMALLEST = 1e-4  # of a scale, as in the reference


@dataclass(frozen=True)
class AwqSearch:
    """What a search of scales found.

    Attributes:
        weights: Rounded weights with the best scales, `[output, channel]`.
        ratio: The best exponent of the mean magnitude of a channel.
        losses: Mean squared error of the output for every exponent, from 0 upwards.
    """

    weights: Tensor
    ratio: float
    losses: tuple[float, ...]


def awq_scales(size: Float[Tensor, " channel"], ratio: float) -> Float[Tensor, " channel"]:
    """Scales of channels: their mean magnitude to a power, around 1; 1 for channels that are dead.

    Args:
        size: Mean magnitude of each channel of the inputs.
        ratio: The power, in [0, 1).
    """
    alive = size > 0
    scales = size.pow(ratio).clamp(min=_SMALLEST)
    if not bool(alive.any()):
        return torch.ones_like(size)
    living = scales[alive]
    return torch.where(alive, scales / (living.max() * living.min()).sqrt(), 1.0)


def awq_search(
    w: Float[Tensor, "output channel"],
    x: Float[Tensor, "row channel"],
    *,
    bits: int,
    group: int,
    n_grid: int,
) -> AwqSearch:
    r"""Find the scales s that make $Q(W s) / s$ closest to W in what it gives on `x`.

    Exponents 0, 1/n, ..., (n-1)/n are tried; 1 is not, as in the reference.

    Args:
        w: Weights.
        x: What they read.
        bits: Bits of the integer.
        group: Channels that share a rounding scale.
        n_grid: Number of exponents.

    Returns:
        The best of them; the first where several are equal.

    Source:
        AWQ, arXiv:2306.00978, quantize/auto_scale.py. Deviations: the error is that of this one
        product, not of a block; each product has its own scales, since none are folded into a norm;
        dead channels are left out of the largest and the smallest scale; ranges are not searched.
    """
    size, output = x.abs().mean(dim=0), x @ w.T
    best: tuple[float, Tensor, float] | None = None
    losses = []
    for step in range(n_grid):
        scales = awq_scales(size, step / n_grid)
        rounded = asymmetric_groups(w * scales, bits, group) / scales
        loss = float((x @ rounded.T - output).square().mean())
        losses.append(loss)
        if best is None or loss < best[0]:
            best = (loss, rounded, step / n_grid)
    if best is None:
        raise ValueError(f"`n_grid` must be at least 1, got {n_grid}.")
    return AwqSearch(best[1], best[2], tuple(losses))
