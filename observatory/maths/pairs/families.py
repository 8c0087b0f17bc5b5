r"""Which algorithm the logits of all pairs of operands and the embedding belong to.

Letters: n elements of a group, on addition modulo n a and b the operands, c a class; w one of
$2 \pi k / n$. A *clock* multiplies the circles of its embedding and has the logits
$\cos w(a + b - c)$, a *pizza* adds them and has
$\lvert \cos(w(a - b) / 2) \rvert \cos w(a + b - c)$: arXiv:2306.17844.
"""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.maths.irreps import Isotypic, irrep_power

FAMILIES = {
    "constant": "(0, 0)",
    "right": "(k, k), those of the right answers",
    "inverse": "(k, -k)",
    "first": "(k, 0), the first operand alone",
    "second": "(0, k), the second operand alone",
    "other": "all others",
}
"""Frequencies of both operands; one that fits several belongs to the first of them."""
EXACT = 1e-9
"""The least `rounding`, for sums of float64."""


def rounding(stored: Iterable[Tensor]) -> float:
    """What varies by no more than this share of its size does not vary, with weights so stored.

    8 times the relative rounding error of the coarsest type among them, at least `EXACT`.

    Example:
        >>> round(rounding([torch.ones(2)]) * 2**23, 4), rounding([torch.ones(2).double()])
        (8.0, 1e-09)
    """
    return max([EXACT, *(8 * torch.finfo(weight.dtype).eps for weight in stored)])


def mode_families(z: Float[Tensor, "element element d_vocab"]) -> dict[str, float | None]:
    r"""Shares of the power $\sum_c \lvert \hat z \rvert^2$ in each of `FAMILIES`.

    A clock has all of it at (k, k). Of a pizza the power at (k, k) is $8 / \pi^2$, 81%, where n is
    large, at (k, 0) and (0, k) a ninth of that each.

    Args:
        z: Logits, centred over classes, by both operands in the order of logarithms.

    Returns:
        0-1; None where z is 0 throughout.

    Source:
        The partition: arXiv:2608.07436. Deviation: in the order of logarithms, so that (k, k) are
        those of the right answers of any task on a cyclic group.
    """
    n = len(z)
    k, of = torch.arange(n), torch.full((n, n), 5)
    of[0, :], of[:, 0] = 4, 3
    of[k, -k], of[k, k], of[0, 0] = 2, 1, 0
    power = torch.fft.fft2(z.double(), dim=(0, 1)).abs().square().sum(dim=2)
    sums = power.new_zeros(len(FAMILIES)).index_add_(0, of.flatten().to(z.device), power.flatten())
    if bool(sums.sum() == 0):
        return dict.fromkeys(FAMILIES)
    return dict(zip(FAMILIES, (sums / sums.sum()).tolist(), strict=True))


def distance_irrelevance(
    right: Float[Tensor, "element element"], least: float = EXACT
) -> float | None:
    r"""Standard deviation of the right logit among pairs of one difference, mean over differences.

    It is divided by that among all pairs: 0 where the right logit depends on the difference of the
    operands alone, as in a pizza. Where the difference says nothing of it, it is at most 1: 1 if
    every difference has the mean and the spread of all pairs. Independent logits have less, 0.976
    at n = 31 and 0.95 at 13 (medians), as those of one difference are measured from their own mean.

    Args:
        right: Logit of the right answer, centred over classes, by both operands in the order of
            logarithms.
        least: Share of the largest one below which a standard deviation is `rounding`.

    Returns:
        0-1; None where all right logits are alike, as in an exact clock.

    Source:
        arXiv:2306.17844. Deviation: logits are centred over classes.

    Example:
        >>> wave, i = (2 * torch.pi * torch.arange(5.0) / 5).cos(), torch.arange(5)
        >>> sums, differences = (i[:, None] + i) % 5, (i[:, None] - i) % 5
        >>> [round(distance_irrelevance(wave[each]), 4) for each in (sums, differences)]
        [1.0, 0.0]
    """
    j = torch.arange(len(right), device=right.device)
    of_difference = right[(j + j[:, None]) % len(right), j]
    whole = float(right.std(unbiased=False))
    if whole <= least * float(right.abs().amax()):
        return None
    return float(of_difference.std(dim=1, unbiased=False).mean()) / whole


def circularity(
    table: Float[Tensor, "element param"],
    parts: Isotypic,
    components: int,
    least: float = EXACT,
) -> float | None:
    """Share of each principal component of an embedding in its largest irrep, mean over components.

    1 where each is a coordinate of a circle: a function of one frequency. Of random rows it is 0.22
    with 31 elements, 32 columns and 4 components.

    Args:
        table: A row per element.
        parts: Irreps of the group.
        components: So many, or as many as there are; the largest first.
        least: Share of the largest component, and of the largest entry, below which one is
            `rounding`.

    Returns:
        0-1; None where all rows are alike.

    Source:
        arXiv:2306.17844, with 4 components. Deviation: any group; the same on a cyclic
        one of odd order.
    """
    if not table.isfinite().all():
        return torch.nan
    scores, sizes, _ = torch.linalg.svd(table - table.mean(dim=0), full_matrices=False)
    there = sizes > least * torch.maximum(sizes[0], table.abs().amax())
    if not bool(there.any()):
        return None
    power = irrep_power(scores[:, there][:, :components], parts)
    return float((power.amax(dim=0) / power.sum(dim=0)).mean())


def gradient_symmetricity(gradients: Float[Tensor, "batch 2 d_model"]) -> float | None:
    r"""Mean cosine of the derivatives of a logit by the embeddings of either operand.

    1 where operands are added before anything else is done to them, as in a pizza; 0 of all triples
    of a clock, the mean of $\cos w(a - b)$.

    Args:
        gradients: Of some logits; those with a derivative of zero are left out.

    Returns:
        -1 to 1; None where all are zero.

    Source:
        arXiv:2306.17844. Deviation: logits are centred over classes.

    Example:
        >>> round(gradient_symmetricity(torch.tensor([[[3.0, 0.0], [1.0, 0.0]]])), 4)
        1.0
    """
    one, other = gradients.unbind(dim=1)
    sizes = one.norm(dim=1) * other.norm(dim=1)
    live = sizes != 0
    return float(((one * other).sum(dim=1) / sizes)[live].mean()) if bool(live.any()) else None
