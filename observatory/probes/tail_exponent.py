r"""Exponent of the tail of the squared singular values of every weight matrix.

A power law $p(x) \propto x^{-\alpha}$ above x_min, by maximum likelihood; x_min is the eigenvalue
with the smallest Kolmogorov-Smirnov distance. It is refused where the tail has too few of them.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.matrices import of_matrices
from observatory.maths.spectrum import eigenvalues, smaller_gram


def tail_exponent(values: Float[Tensor, "replica rank"], least_tail: int) -> dict[str, Masked]:
    r"""Exponent, Kolmogorov-Smirnov distance and size of the tail.

    $\alpha = 1 + n / \sum_i \ln(x_i / x_{min})$ over the n values from x_min on.

    Args:
        values: Positive, ascending.
        least_tail: Exponent and distance are undefined where the tail has fewer.

    Returns:
        `alpha`, `ks` and `tail_count`, float64.

    Source:
        Clauset, Shalizi and Newman (2009), arXiv:0706.1062; of weights arXiv:2605.12394. Deviation:
        refused for a short tail.
    """
    n = values.shape[1]
    logs = values.clamp(min=1e-300).log()
    sizes = torch.arange(n, 0, -1, device=values.device, dtype=values.dtype)
    sums = logs.flip(1).cumsum(dim=1).flip(1)
    exponents = sizes / (sums - sizes * logs)  # alpha - 1 of every candidate x_min
    rise = logs[:, None, :] - logs[:, :, None]  # ln(x_i / x_min): [replica, x_min, i]
    model = 1 - (-exponents[:, :, None] * rise).exp()
    place = torch.arange(n, device=values.device, dtype=values.dtype)
    rank = place[None, :] - place[:, None]
    below, upto = rank / sizes[:, None], (rank + 1) / sizes[:, None]
    gap = torch.maximum((model - below).abs(), (model - upto).abs())
    gap = gap.where(rank >= 0, -torch.inf).amax(dim=2)[:, :-1]  # of one value alone: no law
    finite = values.isfinite().all(dim=1)
    best = gap.nan_to_num(torch.inf).argmin(dim=1, keepdim=True)
    spoilt = values.sum(dim=1) * 0
    count = sizes[best[:, 0]] + spoilt
    enough = ~finite | (count >= least_tail)
    return {
        "alpha": Masked(1 + exponents.gather(1, best)[:, 0] + spoilt, enough),
        "ks": Masked(gap.gather(1, best)[:, 0] + spoilt, enough),
        "tail_count": Masked(count, torch.ones_like(enough)),
    }


@final
class TailExponent(Probe):
    """Writes `tail_exponent` of every weight that is no pointwise one.

    Args:
        least_tail: Refused below so many values in the tail.
    """

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            name=name,
            unit="1",
            meaning=f"{meaning} of the squared singular values of each weight matrix, in the order "
            "of the manifest's `matrices`",
            dims=("matrix",),
        )
        for name, meaning in (
            ("alpha", "exponent of the tail, refused where it is short,"),
            ("ks", "Kolmogorov-Smirnov distance of the tail from its law,"),
            ("tail_count", "number of values in the tail"),
        )
    )

    def __init__(self, *, least_tail: Size) -> None:
        check_arguments(TailExponent, least_tail=least_tail)
        self.least_tail = least_tail

    def measure(self, view: FleetView) -> Measurement:
        """See `tail_exponent`; undefined for a matrix with a side of 1."""

        def of_weight(weight: Tensor) -> dict[str, Masked]:
            values = eigenvalues(smaller_gram(weight.double()))
            if values.shape[1] > 1:
                return tail_exponent(values, self.least_tail)
            blank = torch.zeros_like(values[:, 0])
            return {column.name: Masked(blank, blank > 0) for column in self.columns}

        return of_matrices(view.params, view.weights, of_weight)
