"""Hidden units that say the same on every example."""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.activations import stacked_blocks

KINDS = ("mlp_post", "hidden", "gated")


def dead_units(
    units: Float[Tensor, "replica layer batch ..."],
) -> dict[str, Tensor | Masked]:
    """Number and share of units whose activation is the same on all examples and positions.

    The same exactly, bit for bit: a unit that barely moves is alive, and one that is stuck at a
    value other than zero is dead. A rectified unit that no example switches on is dead too.

    Args:
        units: Activations; the last axis is the units, any axis between batch and it positions.

    Returns:
        `[replica, layer]` each: the count int64, undefined where an activation is NaN; the share
        float64, NaN there.

    Source:
        This project's definition.

    Example:
        >>> found = dead_units(torch.tensor([[[[0.0, 1.0], [0.0, 2.0]]]]))
        >>> found["dead_count"].values, found["dead_share"]
        (tensor([[1]]), tensor([[0.5000]], dtype=torch.float64))
    """
    rows = units.flatten(start_dim=2, end_dim=-2)
    low, high = rows.amin(dim=2), rows.amax(dim=2)  # NaN where one is
    number = ~high.isnan().any(dim=-1)
    count = (low == high).sum(dim=-1)
    share = (count.double() / rows.shape[-1]).where(number, torch.nan)
    return {"dead_count": Masked(count, number), "dead_share": share}


@final
class DeadUnits(Probe):
    """Writes `dead_units` of the hidden units of every layer."""

    needs = (KINDS,)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="dead_count",
            unit="1",
            meaning="number of hidden units with one and the same activation on all probe examples "
            "and positions, per layer",
            dtype="int64",
            dims=("layer",),
        ),
        Column(
            name="dead_share",
            unit="1",
            meaning="dead_count over the number of hidden units, 0-1, per layer",
            dims=("layer",),
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `dead_units`."""
        return dead_units(stacked_blocks(view.activations, *KINDS))
