"""Rounding to integers of few bits and back: what a product would read in low precision.

All functions return values in the precision that they are given, rounded half to even; nothing is
stored as an integer. The last axis is that of the channels that a product sums over.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class RoundingError:
    """How far rounded values are from what they were, over all entries, dimensionless.

    Attributes:
        rel_rms: Root mean square of the error over that of the values.
        rel_mae: Mean absolute error over the mean absolute value; near 1 where the bulk became 0.
        sqnr: Signal to noise, 10 log10 of the ratio of sums of squares, in dB.
        clipped: Share of entries beyond the threshold.
    """

    rel_rms: float
    rel_mae: float
    sqnr: float
    clipped: float


def symmetric(x: Float[Tensor, "..."], threshold: Float[Tensor, "..."], bits: int) -> Tensor:
    r"""Round to $\pm(2^{b-1} - 1)$ equal steps between minus and plus a threshold.

    Args:
        x: Values.
        threshold: Largest magnitude that stays; broadcasts against `x`. Where it is 0 all is 0.
        bits: Bits of the integer, 2 or more.

    Returns:
        Values of the same shape and unit.

    Source:
        arXiv:2605.15572, released code. Deviation: none.

    Example:
        >>> symmetric(torch.tensor([0.1, -0.6, 2.0]), torch.tensor(1.0), 8)
        tensor([ 0.1024, -0.5984,  1.0000])
    """
    most = 2 ** (bits - 1) - 1
    scale = threshold / most
    steps = (x.clamp(-threshold, threshold) / scale).round().clamp(-most, most)
    return torch.where(scale > 0, steps * scale, torch.zeros_like(x))


def absmax(x: Float[Tensor, "*rows channel"], bits: int, *, per_token: bool) -> Tensor:
    """`symmetric` with the largest magnitude as threshold.

    Args:
        x: Values.
        bits: Bits of the integer.
        per_token: Whether each row has a threshold of its own; else there is one for all.

    Returns:
        Values of the same shape and unit.

    Example:
        >>> absmax(torch.tensor([[0.1, 1.0], [0.1, 100.0]]), 8, per_token=False)[:, 0]
        tensor([0., 0.])
    """
    size = x.abs()
    return symmetric(x, size.amax(-1, keepdim=True) if per_token else size.amax(), bits)


def absmax_groups(x: Float[Tensor, "*rows channel"], bits: int, group: int) -> Tensor:
    """`symmetric` with a threshold for every `group` channels of a row; the last may be shorter.

    Returns:
        Values of the same shape and unit.
    """
    parts = [symmetric(p, p.abs().amax(-1, keepdim=True), bits) for p in x.split(group, dim=-1)]
    return torch.cat(parts, dim=-1)


def asymmetric_groups(
    w: Float[Tensor, "*rows channel"], bits: int, group: int
) -> Float[Tensor, "*rows channel"]:
    """Round with a scale and an integer zero point for every `group` channels of a row.

    Where all values of a group have one sign the zero point is clamped, and its largest or smallest
    value is lost: so it is in the reference.

    Args:
        w: Weights; channels are the inputs of a product.
        bits: Bits of the integer.
        group: Channels that share a scale; the last group may be shorter.

    Returns:
        Values of the same shape and unit.

    Source:
        AWQ, arXiv:2306.00978, quantize/quantizer.py. Deviation: a short last group is allowed.
    """
    most = 2**bits - 1
    parts = []
    for part in w.split(group, dim=-1):
        high, low = part.amax(-1, keepdim=True), part.amin(-1, keepdim=True)
        scale = (high - low).clamp(min=1e-5) / most
        zero = (-(low / scale).round()).clamp(0, most)
        parts.append((((part / scale).round() + zero).clamp(0, most) - zero) * scale)
    return torch.cat(parts, dim=-1)


def rounding_error(x: Tensor, rounded: Tensor, threshold: float | None = None) -> RoundingError:
    """Compare rounded values with what they were, in float64.

    Args:
        x: Values.
        rounded: The same, rounded.
        threshold: Beyond which values were clipped; None where none was.

    Raises:
        ValueError: If all values are 0: then there is no relative error.
    """
    x, error = x.double(), rounded.double() - x.double()
    power, noise = x.square().sum(), error.square().sum()
    if power == 0:
        raise ValueError("`x` must have an entry that is not 0, got zeros only.")
    clipped = 0.0 if threshold is None else float((x.abs() > threshold).double().mean())
    return RoundingError(
        rel_rms=float((noise / power).sqrt()),
        rel_mae=float(error.abs().sum() / x.abs().sum()),
        sqnr=float(10 * torch.log10(power / noise)),
        clipped=clipped,
    )
