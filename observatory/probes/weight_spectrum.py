r"""How many directions each weight matrix uses, from its singular values s.

Letters: $p_j = s_j^2 / \sum s^2$.
"""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.matrices import matrix_names, per_matrix
from observatory.maths.spectrum import (
    eigenvalues,
    entropy,
    participation_ratio,
    shares,
    smaller_gram,
)

QUANTITIES = {
    "stable_rank": "sum s^2 over the largest s^2",
    "effective_rank": "exp of the entropy of the shares of s^2",
    "participation_ratio": "(sum s^2)^2 / sum s^4",
    "spectral_entropy": "entropy of the shares of s^2 over log of the smaller side, 0-1",
}


def weight_spectrum(weight: Float[Tensor, "replica _ _"]) -> dict[str, Masked]:
    """Stable and effective rank, participation ratio and normalised entropy of s^2.

    Nothing is centred: these are a matrix's own directions, not those of a covariance. They come
    from the smaller Gram matrix: its rounding touches only shares of s^2 below 1e-15.

    Args:
        weight: One matrix of every replica.

    Returns:
        One float64 number per replica each; undefined for a zero matrix, and the normalised entropy
        for one with a side of 1.

    Source:
        Effective rank: Roy and Vetterli, The effective rank (EUSIPCO 2007). Deviation: of s^2,
        where they take s.

    Example:
        >>> import torch
        >>> found = weight_spectrum(torch.diag(torch.tensor([1.0, 1.0, 0.0, 0.0]))[None])
        >>> [round(entry.values.item(), 6) for entry in found.values()]
        [2.0, 2.0, 2.0, 0.5]
    """
    return _of_gram(smaller_gram(weight.double()))


def _of_gram(gram: Float[Tensor, "*batch _ _"]) -> dict[str, Masked]:
    defined = gram.diagonal(dim1=-2, dim2=-1).sum(dim=-1) != 0
    p = shares(eigenvalues(gram))
    nats, side = entropy(p), p.shape[-1]
    return {
        "stable_rank": Masked(1 / p[..., -1], defined),
        "effective_rank": Masked(nats.exp(), defined),
        "participation_ratio": Masked(participation_ratio(gram), defined),
        "spectral_entropy": Masked(nats / math.log(max(side, 2)), defined & (side > 1)),
    }


@final
class WeightSpectrum(Probe):
    """Writes `weight_spectrum` of every weight that is no pointwise one."""

    columns: ClassVar[tuple[Column, ...]] = tuple(
        Column(
            name=name,
            unit="1",
            meaning=f"{meaning}, s the singular values of each weight matrix, in the order of the "
            "manifest's `matrices`",
            dims=("matrix",),
        )
        for name, meaning in QUANTITIES.items()
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `weight_spectrum`; matrices with equal smaller sides are one stack."""
        names = matrix_names(view.params, view.weights)
        grams = [smaller_gram(view.params[name].double()) for name in names]
        entries = [dict[str, Masked]() for _ in grams]
        for side in {gram.shape[-1] for gram in grams}:
            places = [place for place, gram in enumerate(grams) if gram.shape[-1] == side]
            found = _of_gram(torch.stack([grams[place] for place in places], dim=1))
            for column, entry in found.items():
                pairs = zip(entry.values.unbind(dim=1), entry.defined.unbind(dim=1), strict=True)
                for place, (values, defined) in zip(places, pairs, strict=True):
                    entries[place][column] = Masked(values, defined)
        return {name: per_matrix([entry[name] for entry in entries]) for name in QUANTITIES}
