"""The search for formats and biases of four-bit floats that disturb a product least."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from observatory.maths.small_floats import SmallFloat, preshifted


@dataclass(frozen=True)
class FloatChoice:
    """What a search found.

    Attributes:
        weights: Rounded weights, `[channel, output]`.
        weight_format: Their format.
        input_format: Format of the inputs.
        biases: Of their channels, which differ by whole numbers.
    """

    weights: Tensor
    weight_format: SmallFloat
    input_format: SmallFloat
    biases: Tensor


def search_formats(
    x: Tensor,
    w: Tensor,
    formats: Sequence[Sequence[int]],
    fractions: Sequence[float],
    rounds: int,
) -> FloatChoice:
    """Search formats and biases of weights and inputs in turn, by the squared error of `x @ w`.

    Args:
        x: `[row, channel]`.
        w: `[channel, output]`.
        formats: Bits of exponent and mantissa of those that are tried.
        fractions: Of the bias of the largest magnitude, that are tried.
        rounds: How often, weights first.

    Returns:
        Weights have a bias for each output, inputs one of the tensor and whole shifts of channels.

    Source:
        LLM-FP4, arXiv:2310.16836, FPQ. Deviations: the formula's largest value (see `SmallFloat`);
        rows are those of the batch, and fractions and rounds those that are given.
    """
    output, read = x @ w, x
    kinds = [SmallFloat(exponent, mantissa) for exponent, mantissa in formats]
    weights, weight_format = w, kinds[0]
    biases, input_format = torch.zeros(x.shape[-1]), kinds[0]
    for _ in range(rounds):
        weights, weight_format = _weights(read, w, output, kinds, fractions)
        biases, input_format = _inputs(x, weights, output, kinds, fractions)
        read = input_format.round(x, biases)
    return FloatChoice(weights, weight_format, input_format, biases)


def _weights(
    x: Tensor, w: Tensor, output: Tensor, kinds: Sequence[SmallFloat], fractions: Sequence[float]
) -> tuple[Tensor, SmallFloat]:
    """The format that is best for all outputs, with the bias that is best for each."""
    best: tuple[float, Tensor, SmallFloat] | None = None
    for kind in kinds:
        bias = kind.bias_of(w.abs().amax(dim=0))
        least = torch.full_like(output[0], torch.inf)
        chosen = w
        for fraction in fractions:
            rounded = kind.round(w, bias * fraction)
            error = (x @ rounded - output).square().sum(dim=0)
            better = error < least
            chosen, least = torch.where(better, rounded, chosen), torch.where(better, error, least)
        total = float(least.sum())
        if best is None or total < best[0]:
            best = (total, chosen, kind)
    assert best is not None
    return best[1], best[2]


def _inputs(
    x: Tensor, w: Tensor, output: Tensor, kinds: Sequence[SmallFloat], fractions: Sequence[float]
) -> tuple[Tensor, SmallFloat]:
    """The format and the bias of the tensor that are best for all rows."""
    best: tuple[float, Tensor, SmallFloat] | None = None
    for kind in kinds:
        alone = kind.bias_of(x.abs().amax(dim=0))
        smallest = alone.min()
        for fraction in fractions:
            moved = alone - smallest + smallest * fraction
            biases = preshifted(moved, kind.exponent_bits)
            error = float((kind.round(x, biases) @ w - output).square().sum())
            if best is None or error < best[0]:
                best = (error, biases, kind)
    assert best is not None
    return best[1], best[2]
