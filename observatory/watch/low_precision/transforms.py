"""What low precision and sparsity make of the inputs and weights of a product.

A transform sees one matrix with its rows, `x @ w`: on a calibration batch first, where it may
search scales or thresholds, then on every batch. Nothing here changes what it is given.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, final, runtime_checkable

import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.maths.awq import awq_search
from observatory.maths.integers import absmax, absmax_groups, asymmetric_groups, symmetric
from observatory.maths.small_floats import mxfp4, nvfp4
from observatory.maths.sparsify import cats_threshold, chess_thresholds, kept, wina_scores
from observatory.watch.low_precision.operands import Part
from observatory.watch.low_precision.searched_floats import FloatChoice, search_formats


@dataclass(frozen=True)
class Seen:
    """A matrix and the rows that it multiplies, at one place of one pass.

    Attributes:
        x: `[row, channel]`.
        w: `[channel, output]`.
        gate: Where `x` is the product of a gated layer, the gate's activations, of its shape.
        up: And what they were multiplied with.
    """

    x: Tensor
    w: Tensor
    gate: Tensor | None = None
    up: Tensor | None = None


@runtime_checkable
class Transform(Protocol):
    """Another `x` and `w` in place of those of a product."""

    gated_only: bool
    """Whether it needs a gate: elsewhere it changes nothing."""

    def calibrate(self, seen: Seen) -> Any:
        """What it takes from a calibration batch, once for each place; None for nothing."""
        ...

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """What the product reads instead."""
        ...


@final
@dataclass(frozen=True)
class InputIntegers:
    """Inputs rounded to integers; see `observatory.maths.integers`.

    Args:
        bits: Bits of the integer.
        per: What shares a scale: all that one matrix reads, a token, or a group of its channels.
        group: Channels of a group; None but for "group".
    """

    bits: int
    per: Literal["tensor", "token", "group"]
    group: int | None
    gated_only = False

    def __post_init__(self) -> None:
        if (self.per == "group") != (self.group is not None):
            raise ConfigError(
                f"`group` must be given with `per: group` and not else, got {self.group} with "
                f"{self.per!r}. Give the number of channels, or null."
            )

    def calibrate(self, seen: Seen) -> None:
        """Nothing: scales follow the inputs."""

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Rounded inputs, the same weights."""
        if self.group is not None:
            return Part(absmax_groups(seen.x, self.bits, self.group), seen.w)
        return Part(absmax(seen.x, self.bits, per_token=self.per == "token"), seen.w)


@final
@dataclass(frozen=True)
class FixedIntegers:
    """Inputs rounded to integers with the steps that a calibration batch fixed.

    Args:
        bits: Bits of the integer.
        quantile: Of the magnitudes there, beyond which values are clipped; 1 for the largest.
    """

    bits: int
    quantile: float
    gated_only = False

    def calibrate(self, seen: Seen) -> Tensor:
        """The threshold: an exact quantile, no histogram, which massive values make too coarse."""
        sizes = seen.x.abs().flatten()
        if not len(sizes):
            return sizes.new_full((), torch.inf)  # an expert without a row: nothing is known
        return sizes.kthvalue(max(1, math.ceil(self.quantile * len(sizes)))).values

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Rounded inputs, the same weights."""
        if not bool(calibrated.isfinite()):
            return Part(seen.x, seen.w)
        return Part(symmetric(seen.x, calibrated, self.bits), seen.w)


@final
@dataclass(frozen=True)
class WeightIntegers:
    """Weights rounded to integers with a zero point, each group of inputs by itself.

    Args:
        bits: Bits of the integer.
        group: Inputs that share a scale.
    """

    bits: int
    group: int
    gated_only = False

    def calibrate(self, seen: Seen) -> Tensor:
        """The rounded weights."""
        return asymmetric_groups(seen.w.T, self.bits, self.group).T

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """The same inputs, rounded weights."""
        return Part(seen.x, calibrated)


@final
@dataclass(frozen=True)
class AwqWeights:
    """Weights rounded as `WeightIntegers`, after scales that a search found; see `maths.awq`.

    Args:
        bits: Bits of the integer.
        group: Inputs that share a rounding scale.
        n_grid: Exponents that the search tries.
    """

    bits: int
    group: int
    n_grid: int
    gated_only = False

    def calibrate(self, seen: Seen) -> Tensor:
        """The rounded weights; plain ones where an expert was given no row."""
        if not len(seen.x):
            return asymmetric_groups(seen.w.T, self.bits, self.group).T
        found = awq_search(
            seen.w.T, seen.x, bits=self.bits, group=self.group, n_grid=self.n_grid
        )  # fmt: skip
        return found.weights.T

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """The same inputs, rounded weights."""
        return Part(seen.x, calibrated)


@final
@dataclass(frozen=True)
class SearchedFloats:
    """Weights and inputs in floats of four bits with searched biases; see `search_formats`.

    Args:
        formats: Bits of exponent and mantissa of those that are tried.
        low: Smallest fraction of the bias.
        high: Largest one.
        n: Steps between them.
        rounds: How often weights and inputs are searched in turn.
    """

    formats: Sequence[Sequence[int]]
    low: float
    high: float
    n: int
    rounds: int
    gated_only = False

    def calibrate(self, seen: Seen) -> FloatChoice | None:
        """The best formats and biases; None where an expert was given no row."""
        if not len(seen.x):
            return None
        step = (self.high - self.low) / self.n
        fractions = [self.low + place * step for place in range(self.n + 1)]
        return search_formats(seen.x, seen.w, self.formats, fractions, self.rounds)

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Rounded inputs and weights."""
        if calibrated is None:
            return Part(seen.x, seen.w)
        return Part(calibrated.input_format.round(seen.x, calibrated.biases), calibrated.weights)


@final
@dataclass(frozen=True)
class BlockFloats:
    """Inputs in E2M1 with a scale for each block of channels: NVFP4 or MXFP4.

    Args:
        scale: Format of the scales, "e4m3" (and one of the tensor) or "e8m0".
        block: Channels that share one.
        weights: Whether weights are rounded too.
    """

    scale: Literal["e4m3", "e8m0"]
    block: int
    weights: bool
    gated_only = False

    def calibrate(self, seen: Seen) -> Tensor | None:
        """The rounded weights, where they are."""
        return self._round(seen.w.T).T if self.weights else None

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Rounded inputs."""
        return Part(self._round(seen.x), seen.w if calibrated is None else calibrated)

    def _round(self, rows: Tensor) -> Tensor:
        if not rows.numel():
            return rows
        return (nvfp4 if self.scale == "e4m3" else mxfp4)(rows, self.block)


@final
@dataclass(frozen=True)
class LargestInputs:
    """Of the inputs of each token the largest ones, the others 0.

    Args:
        share: That is kept.
        by_weight: Whether magnitudes count times the norm of the weights that read them: WINA.
    """

    share: float
    by_weight: bool
    gated_only = False

    def calibrate(self, seen: Seen) -> None:
        """Nothing: each token is looked at by itself."""

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Fewer inputs, the same weights."""
        score = wina_scores(seen.x, seen.w) if self.by_weight else seen.x.abs()
        return Part(torch.where(kept(score, self.share), seen.x, 0.0), seen.w)


@final
@dataclass(frozen=True)
class GateThresholds:
    """Activations of a gated layer, 0 where the gate's are small: CHESS, or CATS as its baseline.

    Args:
        sparsity: Share that is dropped on the calibration batch.
        per_channel: Whether each channel has a threshold of its own: CHESS.
    """

    sparsity: float
    per_channel: bool
    gated_only = True

    def calibrate(self, seen: Seen) -> Tensor:
        """The thresholds."""
        assert seen.gate is not None and seen.up is not None  # noqa: PT018 - gated places only
        if self.per_channel:
            return chess_thresholds(seen.gate, seen.up, self.sparsity).thresholds
        return torch.as_tensor(cats_threshold(seen.gate, self.sparsity))

    def apply(self, seen: Seen, calibrated: Any) -> Part:
        """Fewer inputs, the same weights."""
        assert seen.gate is not None
        return Part(torch.where(seen.gate.abs() > calibrated, seen.x, 0.0), seen.w)
