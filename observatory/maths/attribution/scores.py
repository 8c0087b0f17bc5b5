r"""Activation patching of the parts of a network, and three estimates of it.

Letters: of a pair of examples that differ in one operand and in the label, c is the clean one and k
the corrupted one; m the logit of the label of c less that of k; a an activation. A site is a group
of entries of an activation: a unit or channel at a position, or a head at a position.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.layout import Params

METHODS = ("attribution_patching", "integrated_gradients", "relp")
_MOST_COPIES = 4096
"""Examples that are run at once."""

Scores = Float[Tensor, " sample"]
"""One number per site."""


def corrupted_examples(
    inputs: Int[Tensor, "sample pos"], n: int, seed: int
) -> tuple[Int[Tensor, " batch"], Int[Tensor, " batch"]]:
    """Clean examples, and for each another one that differs from it in one operand.

    Args:
        inputs: Operands of all examples.
        n: How many at most.
        seed: Of the draws.
    """
    rng, inputs = torch.Generator().manual_seed(seed), inputs.cpu()
    clean, corrupted = list[int](), list[int]()
    for place in torch.randperm(len(inputs), generator=rng)[:n].tolist():
        near = ((inputs != inputs[place]).sum(dim=1) == 1).nonzero()[:, 0]
        if len(near):
            clean.append(place)
            corrupted.append(int(near[torch.randint(len(near), (1,), generator=rng)]))
    return torch.tensor(clean, dtype=torch.int64), torch.tensor(corrupted, dtype=torch.int64)


@dataclass(frozen=True, eq=False)
class Site:
    """Sites of one activation: `of_entry` says of each of its entries to which of them it belongs.

    `clean` and `corrupted` are the activation of both examples of each pair, entries flattened.
    """

    name: str
    shape: torch.Size
    of_entry: Int[Tensor, " param"]
    clean: Float[Tensor, "batch param"]
    corrupted: Float[Tensor, "batch param"]

    @cached_property
    def count(self) -> int:
        """How many sites."""
        return int(self.of_entry.max()) + 1

    def sums(self, values: Float[Tensor, "batch param"]) -> Scores:
        """Mean over pairs of the sum over the entries of each site."""
        return values.new_zeros(self.count).index_add_(0, self.of_entry, values.mean(dim=0))

    def mixed(self, taken: Bool[Tensor, "draw site"]) -> Float[Tensor, "draw batch param"]:
        """The corrupted activation with the clean one at the sites that are taken."""
        return self.clean.where(taken[:, self.of_entry][:, None], self.corrupted)


@dataclass(frozen=True)
class Pairs:
    """Pairs of examples at one network, a stack of one in float64; `EveryExample.patched`."""

    patched: Callable[..., Float[Tensor, "replica batch d_vocab"]]
    params: Params
    corrupted: Int[Tensor, "batch pos"]
    right: Int[Tensor, " batch"]
    wrong: Int[Tensor, " batch"]

    def metric(
        self,
        given: dict[Site, Float[Tensor, "draw batch param"]],
        only: dict[Site, Bool[Tensor, " param"]] | None = None,
        *,
        relevance: bool = False,
    ) -> Float[Tensor, "draw batch"]:
        """The metric m of the corrupted examples with these activations in place of their own.

        With `only`, just these of their entries; all others are computed.
        """
        copies = len(next(iter(given.values())))
        logits = self.patched(
            self.params,
            self.corrupted.repeat(copies, 1)[None],
            {site.name: each.flatten(0, 1).unflatten(1, site.shape)[None]
             for site, each in given.items()},
            {site.name: each.view(1, 1, *site.shape) for site, each in (only or {}).items()},
            relevance=relevance,
        )[0].unflatten(0, (copies, -1))  # fmt: skip
        at = torch.arange(len(self.right), device=self.right.device)
        return logits[:, at, self.right] - logits[:, at, self.wrong]


def activation_patching(pairs: Pairs, site: Site) -> Scores:
    r"""$m(k, a_k \to a_c) - m(k)$ at each site alone: the truth that the others estimate."""
    per_run = max(1, _MOST_COPIES // len(pairs.right))
    which = torch.eye(site.count, dtype=torch.bool, device=site.clean.device)
    with torch.no_grad():
        found = [pairs.metric({site: site.mixed(some)}) for some in which.split(per_run)]
        none = pairs.metric({site: site.corrupted[None]})
    return (torch.cat(found) - none).mean(dim=1)


def _slope(
    pairs: Pairs, site: Site, at: Float[Tensor, "draw batch param"], *, relevance: bool
) -> Float[Tensor, "batch param"]:
    """The derivative of m by the activation, mean over the values it is given."""
    with torch.enable_grad():
        leaf = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(pairs.metric({site: leaf}, relevance=relevance).sum(), leaf)
    return slope.mean(dim=0)


def estimates(pairs: Pairs, site: Site, steps: int) -> dict[str, Scores]:
    r"""$(a_c - a_k) \cdot \partial m / \partial a$ at every site, after three rules.

    `attribution_patching` has the derivative at the corrupted example; `relp` the coefficients of
    its rules there; `integrated_gradients` the mean derivative on the straight way of the whole
    activation from a_k to a_c, at the middles of `steps` equal pieces.

    Source:
        Attribution patching: Nanda (2023), in arXiv:2310.10348; integrated gradients: Sundararajan
        et al. (2017), arXiv:1703.01365; RelP: arXiv:2508.21258. Deviations: none.
    """
    way = site.clean - site.corrupted
    parts = (torch.arange(steps, dtype=way.dtype, device=way.device) + 0.5) / steps
    here = site.corrupted[None]
    slopes = {
        "attribution_patching": _slope(pairs, site, here, relevance=False),
        "integrated_gradients": _slope(
            pairs, site, here + parts[:, None, None] * way, relevance=False
        ),
        "relp": _slope(pairs, site, here, relevance=True),
    }
    return {name: site.sums(way * slope) for name, slope in slopes.items()}


def recovered(pairs: Pairs, sites: Sequence[Site], taken: Bool[Tensor, " sample"]) -> float:
    """What m gains over the corrupted examples where the sites taken are clean, mean over pairs.

    All else is computed: what is not taken in a later block follows from what is taken before it.
    Of one site it is `activation_patching`.
    """
    of_each = taken.split([site.count for site in sites])
    only = {s: t[s.of_entry] for s, t in zip(sites, of_each, strict=True)}
    with torch.no_grad():
        clean = {s: s.clean[None] for s in sites}
        some = pairs.metric(clean, only)
        none = pairs.metric(clean, {s: torch.zeros_like(at) for s, at in only.items()})
    return float((some - none).mean())
