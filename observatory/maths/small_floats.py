"""Floating-point formats of four bits, with a searched bias or with scales of blocks.

A format has E bits of exponent and M of mantissa beside the sign. Its bias may be any real number:
it then is a scale of the whole grid.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_E4M3_LARGEST = 448.0
_E2M1_LARGEST, _E2M1_LARGEST_EXPONENT = 6.0, 2


@dataclass(frozen=True)
class SmallFloat:
    """A format by its bits; E2M1, E1M2 and E3M0 have four with the sign.

    Example:
        >>> SmallFloat(2, 1).grid(1.0)
        [0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0]
    """

    exponent_bits: int
    mantissa_bits: int

    @property
    def name(self) -> str:
        """Its name, such as E2M1."""
        return f"E{self.exponent_bits}M{self.mantissa_bits}"

    def largest(self, bias: float | Tensor) -> Tensor:
        """The largest magnitude, at a bias: $(2 - 2^{-M}) 2^{2^E - 1 - b}$."""
        exponent = 2**self.exponent_bits - 1 - torch.as_tensor(bias, dtype=torch.float64)
        return (2 - 2.0**-self.mantissa_bits) * torch.exp2(exponent)

    def grid(self, bias: float) -> list[float]:
        """All magnitudes at a bias, ascending."""
        parts = range(2**self.mantissa_bits)
        small = [part * 2.0 ** (1 - self.mantissa_bits - bias) for part in parts]
        return small + [
            (1 + part * 2.0**-self.mantissa_bits) * 2.0 ** (exponent - bias)
            for exponent in range(1, 2**self.exponent_bits)
            for part in parts
        ]

    def bias_of(self, size: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """The bias at which the largest magnitude is `size` (float64); of 0 that of 1."""
        size = torch.where(size > 0, size, 1.0).double()
        top = math.log2(2 - 2.0**-self.mantissa_bits)
        return 2**self.exponent_bits - torch.log2(size) + top - 1

    def round(self, x: Float[Tensor, "..."], bias: float | Tensor) -> Float[Tensor, "..."]:
        """The nearest value of the format, half to even; what is beyond the largest becomes it.

        Args:
            x: Values, in float32 or float64.
            bias: Broadcasts against them.

        Returns:
            Values of the same shape, precision and unit.

        Source:
            LLM-FP4, arXiv:2310.16836. Deviation: the mantissa's bits count in the largest value,
            as in the formula; the released code drops them in present versions of torch.
        """
        shift = torch.as_tensor(bias, dtype=torch.float64, device=x.device)
        unit = torch.exp2(shift).to(x.dtype)  # of the grid at bias 0
        most = float(self.largest(0.0))
        scaled = (x * unit).clamp(-most, most)
        exponent = (torch.frexp(scaled).exponent - 1).clamp(min=1)
        step = torch.exp2((exponent - self.mantissa_bits).to(x.dtype))
        return step * (scaled / step).round() / unit


FP4 = SmallFloat(2, 1)
"""E2M1, the element of NVFP4 and MXFP4."""


def bias_candidates(bias: Tensor, fractions: Sequence[float]) -> Tensor:
    """What a search tries, `[candidate, ...]`: the bias of the largest magnitude times fractions.

    For a positive bias fractions below 1 widen the range, for a negative one they narrow it, and
    near 0 nothing is searched: so it is in LLM-FP4, whose fractions go from 0.01 to 1.2.
    """
    return torch.stack([bias * fraction for fraction in fractions])


def range_candidates(bias: Tensor, fractions: Sequence[float]) -> Tensor:
    """What a search of the range tries: biases whose largest magnitude is a fraction of before."""
    return torch.stack([bias - math.log2(fraction) for fraction in fractions])


def preshifted(channel_bias: Float[Tensor, " channel"], exponent_bits: int) -> Tensor:
    r"""Biases of channels that differ by whole numbers only, which weights can take over.

    Args:
        channel_bias: The bias that each channel would have by itself.
        exponent_bits: E of the format: shifts go from 0 to $2^E - 1$.

    Returns:
        The smallest bias plus the shift of each channel, float64.

    Source:
        LLM-FP4, arXiv:2310.16836, pre-shifted exponent bias. Deviation: none.
    """
    smallest = channel_bias.min()
    base = smallest.round()
    whole = channel_bias.round().clamp(base, base + 2**exponent_bits - 1)
    return whole - base + smallest


def nvfp4(x: Float[Tensor, "*rows channel"], block: int = 16) -> Float[Tensor, "*rows channel"]:
    """E2M1 with a scale in E4M3 for every block of channels, and one in float32 for all.

    Returns:
        Values of the same shape, precision and unit.

    Source:
        NVIDIA's description of NVFP4 (block of 16, E4M3 scale, second scale of the tensor).
        Deviation: none known; scales are rounded to nearest.
    """
    whole = (x.abs().amax() / (_E2M1_LARGEST * _E4M3_LARGEST)).float()
    if whole == 0:
        return torch.zeros_like(x)
    parts = []
    for part in x.split(block, dim=-1):
        scale = part.abs().amax(-1, keepdim=True).float() / _E2M1_LARGEST / whole
        rounded = scale.to(torch.float8_e4m3fn).float() * whole
        parts.append(_scaled(part, rounded))
    return torch.cat(parts, dim=-1)


def mxfp4(x: Float[Tensor, "*rows channel"], block: int = 32) -> Float[Tensor, "*rows channel"]:
    """E2M1 with a power of two as scale of every block of channels.

    Returns:
        Values of the same shape, precision and unit.

    Source:
        OCP Microscaling Formats 1.0, section 6.3: the scale is the power of two of the largest
        magnitude, over that of the format; what is then beyond 6 becomes 6. Deviation: none.
    """
    parts = []
    for part in x.split(block, dim=-1):
        size = part.abs().amax(-1, keepdim=True).float()
        exponent = torch.floor(torch.log2(size)) - _E2M1_LARGEST_EXPONENT
        parts.append(_scaled(part, torch.where(size > 0, torch.exp2(exponent), 0.0)))
    return torch.cat(parts, dim=-1)


def _scaled(part: Tensor, scale: Tensor) -> Tensor:
    """E2M1 of values over their scale; 0 where the scale is."""
    rounded = FP4.round(part.float() / scale, 1.0) * scale
    return torch.where(scale > 0, rounded, 0.0).to(part.dtype)
