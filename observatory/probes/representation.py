r"""Shape of what the readout matrix reads: how many directions it uses, how its classes lie.

Letters: n probe examples, d units, $p_j$ the shares of the eigenvalues of the covariance over
examples, largest first: r = min(n - 1, d) of them at most can differ from zero.
"""

import math
from typing import ClassVar, final

from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.activations import activation
from observatory.maths.class_ratio import class_scatter
from observatory.maths.spectrum import (
    eigenvalues,
    entropy,
    participation_ratio,
    shares,
    smaller_gram,
)

HEADS = (3, 5, 10)  # sizes of the head, as published
EPSILON = 1e-10  # added to head and tail, as published


def head_tail(p: Float[Tensor, "replica rank"], k: int) -> Float[Tensor, " replica"]:
    r"""Head-tail contrast $\log \sum_{j \le k} p_j - \log \sum_{j > k} p_j$; k below the rank.

    A log-odds: it can be as large as log(1 / `EPSILON`) = 23, and its zero has no meaning.

    Args:
        p: Shares of the eigenvalues, in ascending order.
        k: Size of the head.
    """
    tail, head = p[:, :-k].sum(dim=1), p[:, -k:].sum(dim=1)
    return ((head + EPSILON) / (tail + EPSILON)).log()


def spectral_shape(
    points: Float[Tensor, "replica batch d_model"],
) -> dict[str, Masked | None]:
    """Normalised entropy, effective rank, participation ratio and head-tail contrasts.

    Args:
        points: Points, float64, shifted so that equal points are exactly zero.

    Returns:
        One number per replica each; undefined where the covariance is zero, None where the numbers
        of examples and units rule it out.

    Source:
        Spectral entropy arXiv:2604.13123, head-tail contrast arXiv:2603.24746, participation ratio
        arXiv:2607.11666. Deviations: the entropy is divided by log r, not by log d, which fewer
        examples than units could not reach; there is no mean over positions, since the readout
        reads one; the probe examples are of both splits, not held out.
    """
    rank = min(points.shape[1] - 1, points.shape[2])
    gram = smaller_gram(points - points.mean(dim=1, keepdim=True))
    defined = gram.diagonal(dim1=-2, dim2=-1).sum(dim=-1) != 0
    if rank < 1:
        names = ("spectral_entropy", "effective_rank", "participation_ratio")
        return dict.fromkeys((*names, *(f"head_tail_{k}" for k in HEADS)))
    p = shares(eigenvalues(gram)[:, -rank:])
    nats = entropy(p)
    return {
        "spectral_entropy": Masked(nats / math.log(rank), defined) if rank > 1 else None,
        "effective_rank": Masked(nats.exp(), defined),
        "participation_ratio": Masked(participation_ratio(gram), defined),
        **{f"head_tail_{k}": Masked(head_tail(p, k), defined) if k < rank else None for k in HEADS},
    }


@final
class Representation(Probe):
    """Writes `spectral_shape` and `class_scatter` of the activation that the readout reads.

    Args:
        most_examples: Look at the first so many probe examples (they are in random order): the cost
            grows with their square and more.
    """

    needs = (("final",),)
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit=unit, meaning=f"{meaning} of what the readout reads")
            for name, unit, meaning in (
                (
                    "spectral_entropy",
                    "1",
                    "entropy of the shares of the covariance's eigenvalues over log of the largest "
                    "possible rank, 0-1,",
                ),
                ("effective_rank", "1", "exp of the entropy of the covariance's eigenvalues"),
                (
                    "participation_ratio",
                    "1",
                    "(sum a)^2 / sum a^2 of the covariance's eigenvalues a",
                ),
                *(
                    (
                        f"head_tail_{k}",
                        "nats",
                        f"log of the largest {k} over all other eigenvalues of the covariance",
                    )
                    for k in HEADS
                ),
                (
                    "inter",
                    "1",
                    "mean squared distance between two class means",
                ),
                (
                    "intra",
                    "1",
                    "mean over classes of the mean squared distance to the class mean, classes "
                    "with two examples at least,",
                ),
                (
                    "class_ratio",
                    "1",
                    "inter / (intra + 1e-8), inflated by few examples per class,",
                ),
            )
        ),
    )

    def __init__(self, *, most_examples: Size) -> None:
        check_arguments(Representation, most_examples=most_examples)
        self.most_examples = most_examples

    def measure(self, view: FleetView) -> Measurement:
        """See `spectral_shape` and `class_scatter`."""
        final = activation(view.activations, "final")[:, : self.most_examples].double()
        points = final - final[:, :1]  # equal ones: exactly zero, whatever their mean rounds to
        scatter = class_scatter(points, view.labels[:, : self.most_examples])
        return {
            **spectral_shape(points),
            "inter": scatter.inter,
            "intra": scatter.intra,
            "class_ratio": scatter.ratio,
        }
