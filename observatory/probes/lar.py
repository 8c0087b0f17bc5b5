r"""How well each weight matrix is aligned with the activations that it multiplies.

Letters: X `[examples and positions, n]` what is read, W `[n, fan-out]`, $s_i, u_i$ the singular
values and left vectors of W, $p_i = s_i^2 / \sum s^2$, $q_i$ the share of $\lVert X \rVert_F^2$
along $u_i$.
"""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.activations import activation
from observatory.maths.matrices import matrix_names, per_matrix


def _square_norm(rows: Float[Tensor, "replica sample _"]) -> Float[Tensor, " replica"]:
    """Sum of the squared entries of each replica."""
    return torch.linalg.vector_norm(rows.flatten(start_dim=1), dim=1).square()  # one pass


def lar(
    read: Float[Tensor, "replica sample fan_in"], weight: Float[Tensor, "replica fan_in fan_out"]
) -> tuple[Masked, Masked]:
    r"""Layer alignment ratio, and the number of directions that share what is read.

    $\log_n \frac{\lVert XW \rVert}{\lVert X \rVert \lVert W \rVert}$ of root mean squares, which
    equals $1 + \frac12 \log_n \sum_i p_i q_i$: 1/2 where X is spread evenly over all directions, 1
    where X and W are one direction.

    Args:
        read: What the matrix multiplies, float64.
        weight: The matrix, float64.

    Returns:
        The ratio and $n^{2 (1 - \mathrm{LAR})} = 1 / \sum p_i q_i$, one of each per replica;
        undefined where X, W or their product is zero, the ratio also for a fan-in of 1.

    Source:
        arXiv:2605.28975. Deviation: none.
    """
    size = _square_norm(read) * _square_norm(weight)
    alignment = _square_norm(read @ weight) / size
    n = weight.shape[1]
    defined = (size != 0) & (alignment != 0)
    return (
        Masked(1 + 0.5 * alignment.log() / math.log(max(n, 2)), defined & (n > 1)),
        Masked(1 / alignment, defined),
    )


def unread(weight: Float[Tensor, "replica _ _"]) -> tuple[Masked, Masked]:
    """The same of a matrix that multiplies no activation: undefined."""
    nothing = Masked(
        weight.new_zeros(len(weight), dtype=torch.float64),
        torch.zeros(len(weight), dtype=torch.bool, device=weight.device),
    )
    return nothing, nothing


@final
class Lar(Probe):
    """Writes `lar` of every weight matrix and the activation that its model declares it reads.

    Args:
        most_examples: Look at the first so many probe examples (they are in random order).
    """

    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="lar",
            unit="1",
            meaning="log_n of rms(XW) / (rms(X) rms(W)) of each weight matrix and what it reads, n "
            "its fan-in, in the order of the manifest's `matrices`; null where it reads nothing",
            dims=("matrix",),
        ),
        Column(
            name="k_eff",
            unit="1",
            meaning="n^(2 (1 - lar)), the number of directions of each weight matrix that share "
            "what it reads, in the order of the manifest's `matrices`",
            dims=("matrix",),
        ),
    )

    def __init__(self, *, most_examples: Size) -> None:
        check_arguments(Lar, most_examples=most_examples)
        self.most_examples = most_examples

    def measure(self, view: FleetView) -> Measurement:
        """See `lar`; a matrix that reads nothing is undefined."""
        names = matrix_names(view.params, view.weights)
        sources = {source for name in names if (source := view.weights[name].reads) is not None}
        read = {
            source: activation(view.activations, source)[:, : self.most_examples]
            .double()
            .flatten(start_dim=1, end_dim=-2)
            for source in sorted(sources)
        }
        found = [
            unread(view.params[name])
            if (source := view.weights[name].reads) is None
            else lar(read[source], view.params[name].double())
            for name in names
        ]
        ratios, directions = zip(*found, strict=True)
        return {"lar": per_matrix(ratios), "k_eff": per_matrix(directions)}
