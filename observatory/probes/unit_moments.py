"""Mean and variance of hidden units before and after the activation, layer by layer."""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.activations import block_names, stacked_blocks

BEFORE, AFTER = ("mlp_pre",), ("mlp_post",)


def unit_moments(
    units: Float[Tensor, "replica layer batch ..."],
) -> tuple[Float[Tensor, "replica layer"], Float[Tensor, "replica layer"]]:
    """Mean and variance over all units, examples and positions of a layer.

    Not per unit, and the variance is biased (divided by the number of values).

    Args:
        units: Activations.

    Returns:
        One of each per replica and layer, float64.

    Source:
        The trace of arXiv:1706.02515, which SELU units draw to mean 0 and variance 1.

    Example:
        >>> mean, variance = unit_moments(torch.tensor([[[[1.0, 3.0]]]]))
        >>> mean.item(), variance.item()
        (2.0, 1.0)
    """
    values = units.double().flatten(start_dim=2)
    return values.mean(dim=2), values.var(dim=2, correction=0)


def squared_weights(weight: Float[Tensor, "replica _ unit"]) -> Float[Tensor, " replica"]:
    """Sum of the squares of a unit's incoming weights, tau, averaged over the units; float64."""
    return weight.double().square().sum(dim=1).mean(dim=1)


@final
class UnitMoments(Probe):
    """Writes `unit_moments` before and after the activation, and `squared_weights`."""

    needs = (BEFORE, AFTER)
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(
                name=f"{place}_{quantity}",
                unit="1",
                meaning=f"{quantity} of the hidden units {where} the activation over units, probe "
                "examples and positions, per layer",
                dims=("layer",),
            )
            for place, where in (("pre", "before"), ("post", "after"))
            for quantity in ("mean", "variance")
        ),
        Column(
            name="squared_weights",
            unit="1",
            meaning="sum of the squares of a hidden unit's incoming weights, mean over units, per "
            "layer; null where the model declares no matrix that reads `mlp_in`",
            dims=("layer",),
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `unit_moments` and `squared_weights`."""
        before = unit_moments(stacked_blocks(view.activations, *BEFORE))
        after = unit_moments(stacked_blocks(view.activations, *AFTER))
        return {
            "pre_mean": before[0],
            "pre_variance": before[1],
            "post_mean": after[0],
            "post_variance": after[1],
            "squared_weights": _squared_weights(view),
        }


def _squared_weights(view: FleetView) -> Masked | None:
    """That of the first matrix of each block that reads the block's `mlp_in`."""
    reads = {
        weight.reads: name
        for name, weight in reversed(list(view.weights.items()))
        if weight.reads is not None
    }
    blocks = [name.removesuffix("mlp_post") for name in block_names(view.activations, *AFTER)]
    matrices = [reads.get(f"{block}mlp_in") for block in blocks]
    taus = [squared_weights(view.params[name]) for name in matrices if name is not None]
    if len(taus) < len(blocks):
        return None
    values = torch.stack(taus, dim=1)
    return Masked(values, torch.ones_like(values, dtype=torch.bool))
