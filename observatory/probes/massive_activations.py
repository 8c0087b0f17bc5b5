"""The largest entries of a stream or state of each block, against the median entry."""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.activations import stacked_blocks

_MULTIPLES = (10, 100, 1000)  # of the median, above which entries are counted


@dataclass(frozen=True)
class Extremes:
    """The largest entries of each layer and its middle one, before anything is made of them.

    Attributes:
        middle: The lower of the two middle entries.
        largest: The largest three, ascending.
        place: Index of the first of the largest, among all entries of the layer.
        shares: Shares of the entries above each of `_MULTIPLES` medians, float64.
    """

    middle: Float[Tensor, "replica layer"]
    largest: Float[Tensor, "replica layer 3"]
    place: Int[Tensor, "replica layer"]
    shares: Float[Tensor, "replica layer _"]


def upper_half(
    magnitude: Float[Tensor, "replica layer sample"],
) -> tuple[Float[Tensor, "replica layer"], Float[Tensor, "replica layer 3"], Tensor]:
    """The lower of the two middle entries, the largest three in ascending order, and the rest.

    NaN counts as the largest. The entries are put into another order, in place.

    Returns:
        The two, and all entries from the middle one upwards in no order.
    """
    middle = (magnitude.shape[-1] - 1) // 2
    if magnitude.device.type != "cpu":
        ordered = magnitude.sort(dim=-1).values
        return ordered[..., middle], ordered[..., -3:], ordered[..., middle:]
    split = magnitude.numpy()
    split.partition(middle, axis=-1)  # a third of a sort
    upper = split[..., middle:]
    lower = upper[..., 0].copy()
    entries = (upper if upper.shape[-1] >= 3 else split).reshape(-1, max(upper.shape[-1], 3))
    rows, taken = np.arange(len(entries)), list[tuple[np.ndarray, np.ndarray]]()
    for _ in range(3):
        at = entries.argmax(axis=-1)
        taken.append((at, entries[rows, at]))
        entries[rows, at] = -1.0  # below every magnitude
    for at, value in taken:
        entries[rows, at] = value
    three = np.stack([value for _, value in reversed(taken)], axis=-1)
    three = three.reshape(*lower.shape, 3)
    return torch.from_numpy(lower), torch.from_numpy(three), torch.from_numpy(upper)


def counts_above(
    entries: Float[Tensor, "replica layer sample"],
    limits: Float[Tensor, "replica layer _"],
    largest: Float[Tensor, "replica layer"],
) -> Int[Tensor, "replica layer _"]:
    """How many entries lie above each float64 limit, compared in the precision of the entries.

    Args:
        entries: Some entries.
        limits: In ascending order.
        largest: The largest entry of each layer: where it is not above a limit, nothing is counted.
    """
    if entries.device.type != "cpu":
        rounded = limits.to(entries.dtype)
        below = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
        rounded = torch.where(rounded.double() > limits, below, rounded)  # x > limit stays as it is
        over = [entries > limit[..., None] for limit in rounded.unbind(dim=-1)]
        return torch.stack([each.sum(dim=-1) for each in over], dim=-1)
    rows = entries.numpy()
    levels = limits.numpy().astype(rows.dtype)
    below = np.nextafter(levels, np.array(-np.inf, dtype=rows.dtype))
    levels = np.where(levels.astype(np.float64) > limits.numpy(), below, levels)
    counts = np.zeros(levels.shape, dtype=np.int64)
    for at in np.argwhere(largest.numpy()[..., None] > levels).tolist():
        *place, index = at
        row = rows[tuple(place)]
        counts[*place, index] = np.count_nonzero(row > levels[*place, index])
    return torch.from_numpy(counts)


def largest_at(
    magnitude: Float[Tensor, "replica layer sample"],
) -> Int[Tensor, "replica layer"]:
    """`magnitude.argmax(dim=-1)`, the first one of equals."""
    if magnitude.device.type != "cpu":
        return magnitude.argmax(dim=-1)
    return torch.from_numpy(magnitude.numpy().argmax(axis=-1))  # vectorised as well


def extremes(magnitude: Float[Tensor, "replica layer sample"]) -> Extremes:
    """The largest entries of each layer, its middle one, and how many lie far above it.

    Args:
        magnitude: Sizes of entries; three per layer at least. They are put into another order.
    """
    if magnitude.device.type == "cpu" and magnitude.dtype == torch.bfloat16:
        magnitude = magnitude.float()  # numpy has no such type; every value stays what it is
    place = largest_at(magnitude)
    middle, largest, upper = upper_half(magnitude)
    if middle.device.type == "cpu" and not _any_far(middle, largest):
        shares = torch.zeros(*middle.shape, len(_MULTIPLES), dtype=torch.float64)
        return Extremes(middle, largest, place, shares)
    limits = middle.double()[..., None] * torch.tensor(_MULTIPLES, device=middle.device)
    shares = counts_above(upper, limits, largest[..., -1]).double() / magnitude.shape[-1]
    return Extremes(middle, largest, place, shares)


def _any_far(middle: Tensor, largest: Tensor) -> bool:
    """Whether the largest entry of a layer is above the least of the multiples of its median."""
    limits = _MULTIPLES[0] * middle.numpy().astype(np.float64)
    return bool((largest.numpy()[..., -1] > limits).any())


def of_extremes(found: Extremes) -> dict[str, Tensor | Masked | None]:
    """The quantities of `massive_activations` that do not say where the largest entry is."""
    number, positive = ~found.largest[..., -1].isnan(), found.middle != 0
    statistics = torch.cat([found.middle[..., None], found.largest], dim=-1).double()
    median, top3, top2, top1 = statistics.where(number[..., None], torch.nan).unbind(dim=-1)
    shares = found.shares.where(number[..., None], torch.nan).unbind(dim=-1)
    return {
        "top1": top1,
        "top2": top2,
        "top3": top3,
        "median_layerwide_lower": median,
        "ratio": Masked(top1 / median, positive),
        **{
            f"share_above_{multiple}": Masked(share, positive)
            for multiple, share in zip(_MULTIPLES, shares, strict=True)
        },
    }


def massive_activations(
    stream: Float[Tensor, "replica layer batch ..."],
) -> dict[str, Tensor | Masked | None]:
    """Top three magnitudes, median, their ratio, place of the maximum and counts, per layer.

    The entries are those of all examples, positions and channels of a layer together; all axes
    after the positions are channels, flattened: d_inner x d_state of a state-space model. The
    median is the layer-wide one, the lower of the two middle values; one per token would be another
    quantity with other verdicts. The maximum grows with the number of entries even for normal noise
    (expected ratio 6.59 at 65 536 entries): compare at one size only.

    Args:
        stream: `[replica, layer, batch, pos, ...]`, or `[replica, layer, batch, d_mlp]` of a model
            without positions; three entries per layer at least.

    Returns:
        `[replica, layer]` each: float64, positions and channels int64. Ratio and shares are
        undefined where the median is 0; where an entry is NaN, the place is undefined and all else
        is NaN. There is no position where there are none.

    Source:
        Sun et al. (2024), Massive activations in large language models, arXiv:2402.17762; the ratio
        is equation 6 of arXiv:2508.03616. Deviation: one set of entries for all examples, where
        both take each sequence by itself and average. Both look at the residual stream alone.
    """
    placed = stream.ndim > 4
    n_ctx, channels = (
        (stream.shape[3], stream.shape[4:].numel()) if placed else (1, stream.shape[3])
    )
    found = extremes(stream.abs().flatten(start_dim=2))
    number = ~found.largest[..., -1].isnan()
    measured = of_extremes(found) | {
        "position": Masked(found.place // channels % n_ctx, number) if placed else None,
        "channel": Masked(found.place % channels, number),
    }
    return {column.name: measured[column.name] for column in MassiveActivations.columns}


@final
class MassiveActivations(Probe):
    """Writes `massive_activations` for every replica and layer.

    Args:
        streams: Kinds of activations, the preferred one first: it looks at the first that the model
            has.
    """

    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit="1", meaning=f"{meaning}, of each block", dims=("layer",))
            for name, meaning in {
                "top1": "largest |h| of the stream or state h over examples, positions, channels",
                "top2": "second largest |h|",
                "top3": "third largest |h|",
                "median_layerwide_lower": "median |h| of the layer, lower of the two middle values",
                "ratio": "top1 / median_layerwide_lower",
            }.items()
        ),
        *(
            Column(
                name=name,
                unit="index",
                meaning=f"{name} of the largest |h|, counted from 0, of each block",
                dtype="int64",
                dims=("layer",),
            )
            for name in ("position", "channel")
        ),
        *(
            Column(
                name=f"share_above_{multiple}",
                unit="1",
                meaning=f"share of entries with |h| above {multiple} medians, of each block",
                dims=("layer",),
            )
            for multiple in _MULTIPLES
        ),
    )

    def __init__(self, *, streams: list[str]) -> None:
        self.needs = (tuple(streams),)

    def measure(self, view: FleetView) -> Measurement:
        """See `massive_activations`."""
        return massive_activations(stacked_blocks(view.activations, *self.needs[0]))
