"""How well three estimates of what each part of a network contributes agree with patching it.

Words are those of `maths.attribution.scores`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Params
from observatory.core.settings import Fraction, Size, check_arguments
from observatory.core.view import EveryExample, FleetView
from observatory.maths.activations import block_names
from observatory.maths.answer_logits import alone, every_example
from observatory.maths.attribution.scores import (
    METHODS,
    Pairs,
    Scores,
    Site,
    activation_patching,
    corrupted_examples,
    estimates,
    recovered,
)

KINDS = {
    "embedding": (("resid_pre", "mlp_in"), "embedding channels"),
    "head": (("attn_z",), "attention heads"),
    "pre": (("mlp_pre",), "hidden units before the activation"),
    "post": (("mlp_post",), "hidden units after the activation"),
    "stream": (("resid_post",), "channels of the residual stream after a block"),
}
"""Names of sites, the activations they lie in (the preferred one first), and what they are."""

_NOISE = 1e-9
"""Sites of which nothing exceeds this share of the largest effect are left out: only rounding."""
_ESTIMATES = "attribution patching, integrated gradients, RelP"
QUANTITIES = {
    "pearson": ("correlation with patching over", _ESTIMATES),
    "sign": ("share with the sign that patching gives of", _ESTIMATES),
    "overlap": ("share of the top by patching in the top of", _ESTIMATES),
    "faithful": ("share of the difference that comes back when the corrupted examples are run with "
                 "the clean values of the top of", "patching itself, " + _ESTIMATES),
}  # fmt: skip
"""What is written of the sites of every kind: its meaning, and of which methods."""

Values = Sequence[float | None]
"""A number, or one per method; None where it is undefined."""


def live(scores: Sequence[Scores]) -> Bool[Tensor, " sample"]:
    """The sites of which any score is more than rounding of the largest of the first scores."""
    sizes = torch.stack(list(scores)).abs()
    return ~(sizes <= _NOISE * sizes[0].amax()).all(dim=0)  # what is not finite stays


def agreement(truth: Scores, found: Scores, top: int) -> dict[str, float | None]:
    """How well scores estimate others: `pearson`, share of equal `sign`, and `overlap` of the top.

    Pearson's r is None where either does not vary, or of fewer than 3 sites.
    """
    both = torch.stack([truth, found])
    spoilt = float(both.sum() * 0)  # a share of what is not finite is none
    centred = both - both.mean(dim=1, keepdim=True)
    size = float(centred.norm(dim=1).prod())
    mine, theirs = (set(_top(each, top)) for each in (truth, found))
    return {
        "pearson": float(centred.prod(dim=0).sum()) / size if size and len(truth) > 2 else None,
        "sign": float((both[0].sign() == both[1].sign()).double().mean()) + spoilt,
        "overlap": len(mine & theirs) / top + spoilt,
    }


def _top(scores: Scores, top: int) -> list[int]:
    return scores.abs().argsort(descending=True, stable=True)[:top].tolist()


def sites_of(
    kind: str,
    clean: Mapping[str, Float[Tensor, "replica batch ..."]],
    corrupted: Mapping[str, Float[Tensor, "replica batch ..."]],
) -> list[Site]:
    """The sites of a kind, an entry per activation they lie in; none where the network has none.

    Args:
        kind: One of `KINDS`.
        clean: Activations of one replica at the clean examples, by name.
        corrupted: At the corrupted ones.
    """
    wanted, _ = KINDS[kind]
    if not {name.rsplit(".", 1)[-1] for name in clean}.intersection(wanted):
        return []
    names, found = block_names(clean, *wanted), list[Site]()
    for name in names[:1] if kind == "embedding" else names:
        one, other = clean[name][0].double(), corrupted[name][0].double()
        heads = clean[name.replace("attn_z", "attn_pattern")].shape[2] if kind == "head" else 0
        width = one.shape[-1] // heads if heads else 1
        of_entry = torch.arange(one[0].numel(), device=one.device) // width
        found.append(Site(name, one.shape[1:], of_entry, one.flatten(1), other.flatten(1)))
    return found


@final
class Attribution(Probe):
    """Writes how well three estimates agree with activation patching, and what their circuits do.

    Args:
        most_pairs: Pairs of a clean and a corrupted example; those with equal labels are left out.
        steps: Of the integrated gradients.
        top_share: Share of the sites of a kind that are its top, one at least.
        seed: Of the pairs, which are the same for every replica.
    """

    needs = (("mlp_pre",), ("mlp_post",))
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="pairs", unit="1", meaning="pairs of examples looked at", dtype="int64"),
        Column(name="difference", unit="nats", meaning="logit of the clean label less that of the "
               "corrupted one, at the clean examples less at the corrupted ones"),
        *(
            Column(name=f"sites_{kind}", unit="1", dtype="int64", meaning=f"number of {what} that "
                   "anything depends on")
            for kind, (_, what) in KINDS.items()
        ),
        *(
            Column(name=f"{quantity}_{kind}", unit="1", meaning=f"{of} {what}, by method: {by}",
                   dims=("method",))
            for kind, (_, what) in KINDS.items()
            for quantity, (of, by) in QUANTITIES.items()
        ),
    )  # fmt: skip

    def __init__(self, *, most_pairs: Size, steps: Size, top_share: Fraction, seed: int) -> None:
        check_arguments(Attribution, most_pairs=most_pairs, steps=steps, top_share=top_share)
        self.most_pairs, self.steps = most_pairs, steps
        self.top_share, self.seed = top_share, seed

    def measure(self, view: FleetView) -> Measurement:
        """See `activation_patching`, `estimates`, `agreement` and `recovered`, in float64."""
        for needed in self.needs:
            block_names(view.activations, *needed)
        everything = every_example(view, "attribution")
        clean, corrupted = corrupted_examples(everything.inputs, self.most_pairs, self.seed)
        rows = [
            self._of_one(everything, r, view.params, clean, corrupted)
            for r in range(len(view.replica))
        ]
        return {column.name: _entry([row.get(column.name) for row in rows], column, view)
                for column in self.columns}  # fmt: skip

    def _of_one(
        self,
        everything: EveryExample,
        r: int,
        stack: Params,
        clean: Int[Tensor, " batch"],
        corrupted: Int[Tensor, " batch"],
    ) -> dict[str, Values]:
        labels = everything.labels[r]
        clean, corrupted = clean.to(labels.device), corrupted.to(labels.device)
        parted = labels[clean] != labels[corrupted]
        clean, corrupted = clean[parted], corrupted[parted]
        if not len(clean):
            return {"pairs": [0]}
        params = alone(stack, r, torch.float64)
        inputs, right, wrong = everything.inputs, labels[clean], labels[corrupted]
        pairs = Pairs(everything.patched, params, inputs[corrupted], right, wrong)
        seen = [everything.activations(params, inputs[each]) for each in (clean, corrupted)]
        ends = [s["logits"][0].double() for s in seen]
        m = [(z.gather(1, right[:, None]) - z.gather(1, wrong[:, None])).mean() for z in ends]
        found: dict[str, Values] = {"pairs": [len(clean)], "difference": [float(m[0] - m[1])]}
        for kind in KINDS:
            if sites := sites_of(kind, seen[0], seen[1]):
                for name, values in self._of_kind(pairs, sites, float(m[0] - m[1])).items():
                    found[f"{name}_{kind}"] = values
        return found

    def _of_kind(self, pairs: Pairs, sites: list[Site], difference: float) -> dict[str, Values]:
        by_site = [{"patching": activation_patching(pairs, site),
                    **estimates(pairs, site, self.steps)} for site in sites]  # fmt: skip
        scores = {name: torch.cat([each[name] for each in by_site]) for name in by_site[0]}
        kept = live(list(scores.values()))
        n = int(kept.sum())
        found: dict[str, Values] = {"sites": [n]}
        if not n:
            return found
        top = max(1, round(self.top_share * n))
        truth = scores["patching"][kept]
        with_truth = [agreement(truth, scores[name][kept], top) for name in METHODS]
        for quantity in ("pearson", "sign", "overlap"):
            found[quantity] = [each[quantity] for each in with_truth]
        if difference != 0:
            found["faithful"] = [
                recovered(pairs, sites, _taken(each, kept, top)) / difference
                for each in scores.values()
            ]
        return found


def _taken(scores: Scores, kept: Bool[Tensor, " sample"], top: int) -> Bool[Tensor, " sample"]:
    taken = torch.zeros_like(kept)
    taken[kept.nonzero()[_top(scores[kept], top), 0]] = True
    return taken


def _entry(rows: Sequence[Values | None], column: Column, view: FleetView) -> Masked | None:
    """One column: a number or a list of every replica, where it has any."""
    width = max((len(row) for row in rows if row is not None), default=0)
    if not width:
        return None
    filled = [row if row is not None else [None] * width for row in rows]
    device, dtype = view.replica.device, torch.int64 if column.dtype == "int64" else torch.float64
    values = torch.tensor([[v or 0 for v in row] for row in filled], dtype=dtype, device=device)
    defined = torch.tensor([[v is not None for v in row] for row in filled], device=device)
    return Masked(values, defined) if column.dims else Masked(values[:, 0], defined[:, 0])
