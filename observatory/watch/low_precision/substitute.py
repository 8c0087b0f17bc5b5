"""Passes of a model in which products read something else: how far each is off, what comes out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import torch
from torch import Tensor

from observatory.watch.low_precision.operands import Operands, Part
from observatory.watch.low_precision.products import Product, Site
from observatory.watch.low_precision.transforms import Seen, Transform


@dataclass(frozen=True)
class SiteError:
    """How far one product is off where only its own operands are changed.

    Attributes:
        site: Its place.
        channels: Inputs that it sums over.
        gated: Whether it reads a gated layer.
        output: Root mean square of the change of its result over that of the result.
        inputs: The same of its inputs; 0 where they stay.
        inputs_mae: Mean absolute change of its inputs over their mean absolute value.
        weights: As `inputs`, of the weights.
    """

    site: Site
    channels: int
    gated: bool
    output: float
    inputs: float
    inputs_mae: float
    weights: float


def seen_of(product: Product) -> list[Seen]:
    """What transforms are given of a product, for each of its matrices, in float32 at least."""
    parts, pairs = product.parts(), product.gated()
    if pairs is None:
        return [Seen(_wide(part.x), _wide(part.w)) for part in parts]
    return [
        Seen(*map(_wide, (part.x, part.w, gate, up)))
        for part, (gate, up) in zip(parts, pairs, strict=True)
    ]


def _wide(tensor: Tensor) -> Tensor:
    """Half precisions in float32: a grid cannot be rounded to in a coarser one."""
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def rows_of(operands: Operands, valid: Tensor | None) -> list[Tensor] | None:
    """Which rows of each matrix are no padding; None where all count."""
    mask = None if valid is None else _like(valid, operands.x)
    if mask is None:
        return None
    return [part[:, 0] for part in operands.x_cut.apart(mask.expand(operands.x.shape))]


def _like(valid: Tensor, tensor: Tensor) -> Tensor | None:
    """A mask `[batch, pos]` with the axes of a tensor; None where it has no such axes."""
    if tensor.ndim > 2 and tensor.shape[:2] == valid.shape:
        return valid.reshape(*valid.shape, *[1] * (tensor.ndim - 2))
    if tensor.ndim > 1 and len(tensor) == valid.numel() and valid.shape[1] > 1:
        return valid.flatten().reshape(-1, *[1] * (tensor.ndim - 1))
    return None


@final
@dataclass
class Calibration:
    """What one transform takes from the calibration batch, by place and matrix.

    Args:
        transform: It.
        n_rows: Most rows of a matrix that it is shown, evenly spaced.
        valid: Which positions are no padding; None: all.
    """

    transform: Transform
    n_rows: int
    valid: Tensor | None
    kept: dict[tuple[Site, int], Any] = field(default_factory=dict)

    def __call__(self, product: Product) -> Tensor:
        """Run the product as it is."""
        if self._wanted(product):
            rows = rows_of(product.operands, self.valid)
            for index, seen in enumerate(seen_of(product)):
                shown = self._shown(seen, None if rows is None else rows[index])
                self.kept[product.site, index] = self.transform.calibrate(shown)
        return product.run()

    def replaced(self, product: Product) -> list[Part] | None:
        """The product's operands as the transform makes them; None where it leaves them alone."""
        if not self._wanted(product):
            return None
        made = []
        for index, seen in enumerate(seen_of(product)):
            place = (product.site, index)
            if place not in self.kept:  # an expert that the calibration batch never reached
                self.kept[place] = self.transform.calibrate(self._shown(seen, None))
            made.append(self.transform.apply(seen, self.kept[place]))
        return made

    def _wanted(self, product: Product) -> bool:
        return not self.transform.gated_only or product.gated() is not None

    def _shown(self, seen: Seen, rows: Tensor | None) -> Seen:
        places = torch.arange(len(seen.x), device=seen.x.device)
        places = places if rows is None else places[rows]
        if len(places) > self.n_rows:
            places = places[torch.linspace(0, len(places) - 1, self.n_rows).long()]
        gate, up = (None if t is None else t[places] for t in (seen.gate, seen.up))
        return Seen(seen.x[places], seen.w, gate, up)


@final
@dataclass
class LocalErrors:
    """Measures every product with its operands changed, and goes on with what it gives unchanged.

    Args:
        calibration: Of the transform.
        valid: Which positions are no padding; None: all.
    """

    calibration: Calibration
    valid: Tensor | None
    found: list[SiteError] = field(default_factory=list)

    def __call__(self, product: Product) -> Tensor:
        """Run the product as it is."""
        output, parts = product.run(), self.calibration.replaced(product)
        if parts is None:
            return output
        operands = product.operands
        x = operands.x_cut.together([part.x for part in parts])
        w = operands.w_cut.together([part.w for part in parts])
        rms, _ = self._relative(output, product.run(parts))
        inputs, mae = self._relative(operands.x, x)
        weights, _ = _relative(operands.w, w)
        channels, gated = len(parts[0].w), product.gated() is not None
        self.found.append(SiteError(product.site, channels, gated, rms, inputs, mae, weights))
        return output

    def _relative(self, before: Tensor, after: Tensor) -> tuple[float, float]:
        mask = None if self.valid is None else _like(self.valid, before)
        if mask is not None:
            keep = mask.expand(before.shape)
            before, after = before[keep], after[keep]
        return _relative(before, after)


def _relative(before: Tensor, after: Tensor) -> tuple[float, float]:
    """Root mean square and mean absolute change, over those of what was; 0 of what is all 0."""
    before, change = before.double(), after.double() - before.double()
    power, size = before.square().sum(), before.abs().sum()
    if power == 0 and not change.any():
        return 0.0, 0.0
    return float((change.square().sum() / power).sqrt()), float(change.abs().sum() / size)


@final
@dataclass
class Replacing:
    """Runs products with their operands changed, by a transform or by noise of the same size.

    Args:
        calibration: Of the transform.
        but: Names of parameters whose products stay as they are.
        noise: Draws noise, uniform with the root mean square that the transform's change has there;
            None for the change itself.
    """

    calibration: Calibration
    but: frozenset[str] = frozenset()
    noise: torch.Generator | None = None

    def __call__(self, product: Product) -> Tensor:
        """Run the product with other operands."""
        parts = None if product.site.name in self.but else self.calibration.replaced(product)
        if parts is not None and self.noise is not None:
            before = product.parts()
            parts = [
                Part(self._noisy(a.x, b.x), self._noisy(a.w, b.w))
                for a, b in zip(before, parts, strict=True)
            ]
        return product.run(parts)

    def _noisy(self, before: Tensor, after: Tensor) -> Tensor:
        change = (after - before).double()
        if not change.numel() or not bool(change.any()):
            return before
        assert self.noise is not None
        size = change.square().mean().sqrt() * 3**0.5
        drawn = torch.rand(before.shape, generator=self.noise, dtype=torch.float64)
        return before + ((2 * drawn.to(before.device) - 1) * size).to(before.dtype)


Run = Callable[[], Tensor]
"""Runs the model once and returns its logits."""
Params = Mapping[str, Tensor]
