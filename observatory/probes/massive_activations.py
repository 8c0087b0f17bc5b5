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


def ascending(
    magnitude: Float[Tensor, "replica layer sample"],
) -> Float[Tensor, "replica layer sample"]:
    """`magnitude.sort(dim=-1)`; NaN counts as the largest."""
    if magnitude.device.type != "cpu":
        return magnitude.sort(dim=-1).values
    return torch.from_numpy(np.sort(magnitude.numpy(), axis=-1))  # vectorised: 30 times as fast


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
    place, ordered = largest_at(magnitude), ascending(magnitude)
    n, middle = ordered.shape[-1], (ordered.shape[-1] - 1) // 2
    upper = ordered[..., middle:].double().contiguous()
    number, positive = ~upper[..., -1].isnan(), upper[..., 0] != 0
    statistics = torch.cat([upper[..., :1], ordered[..., -3:]], dim=-1)  # promotes to float64
    median, top3, top2, top1 = statistics.where(number[..., None], torch.nan).unbind(dim=-1)
    limits = median[..., None] * median.new_tensor(_MULTIPLES)
    above = upper.shape[-1] - torch.searchsorted(upper, limits, right=True)
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
