r"""How far the classes lie apart, against how far each is spread out.

Letters: $\mu_c$ the mean of the examples of class c, C the number of classes that have an example.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.contracts import Masked
from observatory.maths.tables import gather

EPSILON = 1e-8  # added to the spread within classes, as published


@dataclass(frozen=True)
class _ClassScatter:
    """Scatter of labelled points.

    Attributes:
        inter: Mean squared distance between the means of two classes; undefined for one class.
        intra: Mean over classes of the mean squared distance of their points to the class mean;
            undefined where no class has two points.
        ratio: inter / (intra + `EPSILON`); undefined where one of them is, and where both are 0.
    """

    inter: Masked
    intra: Masked
    ratio: Masked


def class_scatter(
    points: Float[Tensor, "replica batch d_model"], labels: Int[Tensor, "replica batch"]
) -> _ClassScatter:
    r"""Scatter between and within classes, every class with the same weight.

    The mean over pairs of classes is $\frac{2}{C-1} \sum_c \lVert \mu_c - \bar\mu \rVert^2$, with
    $\bar\mu$ the mean of the means: no pair is formed. A class with one point counts between
    classes and not within them, where its spread would be zero whatever the network does.

    Both are plug-in numbers: with few points per class the scatter of the means is too large and
    that within too small, so the ratio is inflated, several times over with two points per class.
    Compare at one number of points only, or look at many (`fleet.probe_examples`).

    Args:
        points: Points, float64.
        labels: Their classes, counted from 0.

    Source:
        The inter/intra-class distance ratio of arXiv:2604.20923. Deviations: classes with one
        point, as above, and the points of a class are weighted equally (the paper's abstract does
        not say how scatter is averaged).
    """
    n = int(labels.max()) + 1
    counts = _class_sums(torch.ones_like(points[..., :1]), labels, n)[..., 0]
    means = _class_sums(points, labels, n) / counts.clamp(min=1)[..., None]
    there, several = (counts > 0).to(points.dtype), (counts > 1).to(points.dtype)
    n_there, n_several = there.sum(dim=-1), several.sum(dim=-1)
    centre = means.sum(dim=1) / n_there[:, None]  # an absent class has mean 0
    away = (means - centre[:, None]).square().sum(dim=-1)
    inter = 2 * (away * there).sum(dim=-1) / (n_there - 1).clamp(min=1)
    own = gather(means, _rows(labels, n))
    off = (points - own).square().sum(dim=-1)
    spread = _class_sums(off[..., None], labels, n)[..., 0] / counts.clamp(min=1)
    intra = (spread * several).sum(dim=-1) / n_several.clamp(min=1)
    two_classes, two_points = n_there > 1, n_several > 0
    return _ClassScatter(
        Masked(inter, two_classes),
        Masked(intra, two_points),
        Masked(inter / (intra + EPSILON), two_classes & two_points & ((inter != 0) | (intra != 0))),
    )


def _rows(labels: Int[Tensor, "replica batch"], n: int) -> Int[Tensor, "replica batch"]:
    """Row of each example's class in joined tables of `n` classes."""
    return labels + n * torch.arange(len(labels), device=labels.device)[:, None]


def _class_sums(
    values: Float[Tensor, "replica batch width"], labels: Int[Tensor, "replica batch"], n: int
) -> Float[Tensor, "replica _ width"]:
    """The sum of the rows of each of `n` classes."""
    if values.is_cuda:  # where the sums of the other would be taken in no fixed order
        return torch.nn.functional.one_hot(labels, n).to(values.dtype).mT @ values
    sums = values.new_zeros(len(labels) * n, values.shape[2])
    sums.index_add_(0, _rows(labels, n).flatten(), values.flatten(0, 1))
    return sums.unflatten(0, (len(labels), n))
