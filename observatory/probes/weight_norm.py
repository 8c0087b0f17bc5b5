"""L2 norm of the weights of each replica, in total and per parameter group."""

from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.norms import group_norms


def total_norm(norms: Float[Tensor, "replica group"]) -> Float[Tensor, " replica"]:
    r"""L2 norm of the whole parameter vector, $\lVert w \rVert_2$, from the norms of its groups.

    Not the sum of squares, and not the sum of the groups' norms.

    Args:
        norms: Norms of disjoint groups that together hold every weight.

    Returns:
        One norm per replica, dimensionless, float64.

    Source:
        Liu et al. (2023), Omnigrok, arXiv:2210.01117. Deviation: none.
    """
    return norms.square().sum(dim=1).sqrt()


@final
class WeightNorm(Probe):
    """Writes the norm of all weights and that of each group."""

    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="l2", unit="1", meaning="L2 norm of all weights"),
        Column(
            name="l2_group",
            unit="1",
            meaning="L2 norm of each parameter group, in the order of the manifest's `groups`",
            dims=("group",),
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `total_norm` and `group_norms`."""
        norms = group_norms(view.params)
        return {"l2": total_norm(norms), "l2_group": norms}
