r"""Order parameters of the attention heads: how alike they are, and how they differ.

Letters: L layers, H heads, T positions. The pattern of a head is `[batch, T, T]` (query, key)
after the softmax, masked zeros included, flattened over query, key and batch together. The
aggregate of a quantity is its mean over layers, and null where it is null in one of them.

Source:
    The order parameters of arXiv:2605.20441. Deviation: the covariance of PR_norm centres each head
    on its own mean (the paper does not say); `s_bar_query` and `entropy_range` are additions.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.view import FleetView
from observatory.maths.activations import stacked_blocks
from observatory.maths.spectrum import (
    cosines_of,
    gram,
    participation_ratio,
    principal_scores,
    spectral_gap,
)

TINY = 1e-300  # stands in for smaller probabilities in the logarithm: p ln p is 0 for them anyway
_SMALLEST_SINGULAR_RATIO = 1e-9  # below it the second direction of r_phi is rounding
QUANTITIES = {  # name: (unit, meaning)
    "s_bar": ("1", "mean over head pairs of the cosine between flattened attention patterns"),
    "s_bar_query": ("1", "s_bar of the answer row (last query position) alone"),
    "sigma_h": ("nats", "population standard deviation over heads of the heads' mean entropy"),
    "entropy": ("nats", "entropy of an attention row, mean over batch, all rows and heads"),
    "entropy_range": ("nats", "largest minus smallest of the heads' mean entropies"),
    "spectral_gap": ("1", "first minus second eigenvalue of the H x H matrix of head cosines"),
    "pr_norm": (
        "1",
        "(R - 1) / (H - 1), R the participation ratio of the covariance of the heads' patterns",
    ),
}


def flat_patterns(
    patterns: Float[Tensor, "replica layer batch head _ pos"],
) -> Float[Tensor, "replica layer head sample"]:
    """One vector per head, its pattern flattened over query, key and batch; float64."""
    ordered = patterns.permute(0, 1, 3, 4, 5, 2)  # queries outermost: each one's rows are a slice
    return ordered.to(torch.float64, memory_format=torch.contiguous_format).flatten(start_dim=3)


def head_entropies(
    flat: Float[Tensor, "replica layer head sample"], n_ctx: int
) -> Float[Tensor, "replica layer head"]:
    """Mean entropy of each head's rows of `n_ctx` keys, over batch and all queries; 0 ln 0 = 0."""
    terms = (
        flat.clamp(min=max(TINY, torch.finfo(flat.dtype).tiny)).log_().mul_(flat)
    )  # torch.special.entr is six times as slow
    return -terms.sum(dim=-1) / (flat.shape[-1] / n_ctx)


def mean_over_pairs(
    similarity: Float[Tensor, "replica layer head head"],
) -> Float[Tensor, "replica layer"]:
    """Mean of a symmetric matrix above its diagonal; needs two heads at least."""
    n_heads = similarity.shape[-1]
    diagonal = similarity.diagonal(dim1=-2, dim2=-1).sum(dim=-1)
    return (similarity.sum(dim=(-2, -1)) - diagonal) / (n_heads * (n_heads - 1))


@dataclass(frozen=True)
class HeadProducts:
    """What the likeness of heads is worked out from: inner products, head by head.

    Attributes:
        patterns: Of whole patterns.
        answers: Of the answer rows alone.
        centred: Of patterns less the mean of each head's own; they are exactly zero for a head
            whose entries are all equal.
    """

    patterns: Float[Tensor, "replica layer head head"]
    answers: Float[Tensor, "replica layer head head"]
    centred: Float[Tensor, "replica layer head head"]


def head_products(
    flat: Float[Tensor, "replica layer head sample"],
    answer: Float[Tensor, "replica layer head _"],
) -> HeadProducts:
    """The products of patterns, one vector per head, and of their answer rows."""
    return HeadProducts(gram(flat), gram(answer), _centred(flat))


def _centred(flat: Float[Tensor, "replica layer head sample"]) -> Tensor:
    shifted = flat - flat[..., :1]  # a constant head: exactly zero, whatever its mean rounds to
    return gram(shifted.sub_(shifted.mean(dim=-1, keepdim=True)))


def pr_norm(flat: Float[Tensor, "replica layer head sample"]) -> Masked:
    """Normalised participation ratio of the heads' covariance; needs two heads at least.

    Each head is centred on its own mean. 1 = all directions equal, 0 = rank 1 (as equal heads).

    Returns:
        One ratio per replica and layer; undefined where the covariance is zero.
    """
    return _pr_norm(_centred(flat))


def _pr_norm(centred: Float[Tensor, "replica layer head head"]) -> Masked:
    defined = centred.diagonal(dim1=-2, dim2=-1).sum(dim=-1) != 0
    return Masked((participation_ratio(centred) - 1) / (centred.shape[-1] - 1), defined)


def r_phi(flat: Float[Tensor, "replica layer head sample"]) -> Masked | None:
    r"""Coherence of the heads' principal directions, $\lvert \mathrm{mean}\, e^{i\phi} \rvert$.

    phi is the angle of a head's first two principal scores, over all heads of all layers together;
    the signs of the components do not matter.

    Returns:
        One coherence in [0, 1] per replica, undefined for two heads, which differ in one direction,
        where the second singular value is below `_SMALLEST_SINGULAR_RATIO` of the first, and where
        both are zero; None for one head.
    """
    heads = flat.flatten(start_dim=1, end_dim=2)
    if heads.shape[1] == 1:
        return None
    scores, sizes = principal_scores(heads)
    if sizes.shape[-1] < 2:
        return Masked(scores.new_zeros(len(scores)), scores.new_zeros(len(scores)) != 0)
    phi = torch.atan2(scores[..., 1], scores[..., 0])
    coherence = torch.hypot(phi.cos().mean(dim=-1), phi.sin().mean(dim=-1))
    undefined = (sizes[:, 1] < _SMALLEST_SINGULAR_RATIO * sizes[:, 0]) | (sizes[:, 0] == 0)
    return Masked(coherence, ~undefined)


def head_quantities(
    products: HeadProducts, entropies: Float[Tensor, "replica layer head"]
) -> dict[str, Tensor | Masked | None]:
    """Every one of `QUANTITIES`, per replica and layer; of one head only the entropy exists.

    Args:
        products: Of the patterns.
        entropies: As of `head_entropies`.
    """
    if entropies.shape[-1] == 1:
        return {**dict.fromkeys(QUANTITIES), "entropy": entropies[..., 0]}
    similarity = cosines_of(products.patterns)
    return {
        "s_bar": mean_over_pairs(similarity),
        "s_bar_query": mean_over_pairs(cosines_of(products.answers)),
        "sigma_h": entropies.std(dim=-1, correction=0),
        "entropy": entropies.mean(dim=-1),
        "entropy_range": entropies.amax(dim=-1) - entropies.amin(dim=-1),
        "spectral_gap": spectral_gap(similarity),
        "pr_norm": _pr_norm(products.centred),
    }


def layer_quantities(
    patterns: Float[Tensor, "replica layer batch head pos pos"],
    flat: Float[Tensor, "replica layer head sample"],
) -> dict[str, Tensor | Masked | None]:
    """`head_quantities` of patterns and what `flat_patterns` made of them."""
    n_ctx = patterns.shape[-1]
    answer = flat.unflatten(3, (n_ctx, -1))[..., -1, :]
    return head_quantities(head_products(flat, answer), head_entropies(flat, n_ctx))


def mean_over_layers(quantity: Tensor | Masked | None) -> Tensor | Masked | None:
    """The aggregate of a quantity of the layers: undefined where it is undefined in a layer."""
    if isinstance(quantity, Masked):
        return Masked(_mean(quantity.values), quantity.defined.all(dim=1))
    return None if quantity is None else _mean(quantity)


def _mean(values: Float[Tensor, "replica layer"]) -> Float[Tensor, " replica"]:
    return values[:, 0] if values.shape[1] == 1 else values.mean(dim=1)


@final
class Attention(Probe):
    """Writes r_phi and each quantity, as its mean over layers and (suffix `_layer`) per layer."""

    needs = (("attn_pattern",),)
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit=unit, meaning=f"{meaning}; mean over layers")
            for name, (unit, meaning) in QUANTITIES.items()
        ),
        *(
            Column(
                name=f"{name}_layer", unit=unit, meaning=f"{meaning}; per layer", dims=("layer",)
            )
            for name, (unit, meaning) in QUANTITIES.items()
        ),
        Column(
            name="r_phi",
            unit="1",
            meaning="modulus of the mean of exp(i phi) over all heads of all layers, "
            "phi the angle of a head's first two principal scores",
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `layer_quantities`, `mean_over_layers` and `r_phi`."""
        patterns = stacked_blocks(view.activations, "attn_pattern")
        flat = flat_patterns(patterns)
        layers = layer_quantities(patterns, flat)
        return {
            **{name: mean_over_layers(quantity) for name, quantity in layers.items()},
            **{f"{name}_layer": quantity for name, quantity in layers.items()},
            "r_phi": r_phi(flat),
        }
