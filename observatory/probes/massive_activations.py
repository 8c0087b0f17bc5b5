"""The largest entries of a stream or state of each block, against the median entry."""

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


def upper_half(
    magnitude: Float[Tensor, "replica layer sample"],
) -> tuple[Float[Tensor, "replica layer"], Float[Tensor, "replica layer 3"], Tensor]:
    """The lower of the two middle entries, the largest three in ascending order, and the rest.

    NaN counts as the largest.

    Returns:
        The two, and all entries from the middle one upwards in no order.
    """
    middle = (magnitude.shape[-1] - 1) // 2
    if magnitude.device.type != "cpu":
        ordered = magnitude.sort(dim=-1).values
        return ordered[..., middle], ordered[..., -3:], ordered[..., middle:]
    upper = np.partition(magnitude.numpy(), middle, axis=-1)[..., middle:]  # a third of a sort
    rest = (upper if upper.shape[-1] >= 3 else magnitude.numpy()).copy()
    top: list[np.ndarray] = []
    for _ in range(3):
        at = rest.argmax(axis=-1)[..., None]
        top.append(np.take_along_axis(rest, at, axis=-1))
        np.put_along_axis(rest, at, -1.0, axis=-1)  # below every magnitude
    three = np.concatenate(top[::-1], axis=-1)
    return torch.from_numpy(upper[..., 0].copy()), torch.from_numpy(three), torch.from_numpy(upper)


def counts_above(
    entries: Float[Tensor, "replica layer sample"], limits: Float[Tensor, "replica layer _"]
) -> Int[Tensor, "replica layer _"]:
    """How many entries lie above each float64 limit, compared in the precision of the entries.

    Args:
        entries: Some entries.
        limits: In ascending order; where none of a layer is above one, none is above the next.
    """
    rounded = limits.to(entries.dtype)
    below = torch.nextafter(rounded, torch.full_like(rounded, -torch.inf))
    rounded = torch.where(rounded.double() > limits, below, rounded)  # x > limit stays what it is
    if entries.device.type != "cpu":
        over = [entries > limit[..., None] for limit in rounded.unbind(dim=-1)]
        return torch.stack([each.sum(dim=-1) for each in over], dim=-1)
    counts = np.zeros(rounded.shape, dtype=np.int64)
    rows, levels = entries.numpy(), rounded.numpy()
    for at in np.ndindex(*rows.shape[:-1]):
        for index, level in enumerate(levels[at]):
            counts[*at, index] = np.count_nonzero(rows[at] > level)  # with an axis: much slower
            if not counts[*at, index]:
                break
    return torch.from_numpy(counts)


def largest_at(
    magnitude: Float[Tensor, "replica layer sample"],
) -> Int[Tensor, "replica layer"]:
    """`magnitude.argmax(dim=-1)`, the first one of equals."""
    if magnitude.device.type != "cpu":
        return magnitude.argmax(dim=-1)
    return torch.from_numpy(magnitude.numpy().argmax(axis=-1))  # vectorised as well


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
    magnitude = stream.abs().flatten(start_dim=2)
    place, n = largest_at(magnitude), magnitude.shape[-1]
    middle, largest, upper = upper_half(magnitude)
    number, positive = ~largest[..., -1].isnan(), middle != 0
    statistics = torch.cat([middle[..., None], largest], dim=-1).double()
    median, top3, top2, top1 = statistics.where(number[..., None], torch.nan).unbind(dim=-1)
    limits = median[..., None] * median.new_tensor(_MULTIPLES)
    above = counts_above(upper, limits)
    shares = (above.double() / n).where(number[..., None], torch.nan).unbind(dim=-1)
    return {
        "top1": top1,
        "top2": top2,
        "top3": top3,
        "median_layerwide_lower": median,
        "ratio": Masked(top1 / median, positive),
        "position": Masked(place // channels % n_ctx, number) if placed else None,
        "channel": Masked(place % channels, number),
        **{
            f"share_above_{multiple}": Masked(share, positive)
            for multiple, share in zip(_MULTIPLES, shares, strict=True)
        },
    }


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
