r"""In which irreps of the task's group a network keeps its embedding, units, readout and logits.

On addition modulo p the irreps are the frequencies 1..floor(p/2). Shares are of power without the
constant, over irreps; `freq` counts irreps from 0, the trivial one left out.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.layout import Weight
from observatory.core.settings import Fraction, check_arguments
from observatory.core.view import FleetView
from observatory.maths.activations import block_names
from observatory.maths.answer_logits import (
    alone,
    answer_power,
    by_answer,
    by_operand,
    centred,
    group_task,
)
from observatory.maths.irreps import (
    Isotypic,
    gini,
    inverse_participation,
    irrep_power,
    isotypic,
    key_irreps,
)
from observatory.maths.operands import token_table

TABLES = {
    "embed": "the embedding",
    "unit": "the last hidden units, as functions of either operand",
    "readout": "the readout matrix",
    "logit": "the mean logits of every answer",
}


def readout_table(
    params: Mapping[str, Tensor], weights: Mapping[str, Weight]
) -> Float[Tensor, "replica element param"] | None:
    """Columns of the readout, a row per class, centred over classes: a logit shift is nothing."""
    for name, stack in params.items():
        if weights[name].role == "readout" and stack.ndim == 3:
            table = stack.double().mT
            return table - table.mean(dim=1, keepdim=True)
    return None


def unit_power(
    hidden: Float[Tensor, "sample d_mlp"], inputs: Int[Tensor, "sample pos"], parts: Isotypic
) -> Float[Tensor, "freq d_mlp"]:
    """Power per irrep of every unit's mean response to an operand, both operands added."""
    n = len(parts.basis)
    means = [by_operand(hidden, inputs[:, place], n) for place in range(inputs.shape[1])]
    return torch.stack([irrep_power(mean, parts) for mean in means]).sum(dim=0)


def purity(power: Float[Tensor, "freq d_mlp"], pure: float) -> tuple[float | None, float]:
    """Mean share of a unit's power in its largest irrep, units weighted by power; and coverage.

    Coverage is the number of irreps that are the largest of a unit with a share above `pure`. None
    and 0 where no unit has any power: dead ones do not count.

    Source:
        arXiv:2509.21519, section 5. Deviation: power of responses, not of input weights, so that it
        is defined for any last hidden layer.
    """
    largest, which = power.max(dim=0)
    total = power.sum(dim=0)
    coverage = which[largest > pure * total].unique().numel()
    whole = float(total.sum())
    return (float(largest.sum()) / whole if whole != 0 else None), float(coverage)


def shared_irrep(power: Float[Tensor, "freq d_mlp"]) -> float | None:
    r"""$(m - c) / (1 - c)$, m the largest share of units with one and the same largest irrep.

    c = 1 / number of irreps: 0 is chance, 1 is one irrep for all. Units without power do not count;
    None where there are none, or a single irrep.

    Source:
        arXiv:2606.12966. Deviation: any group, so irreps, not frequencies alone.
    """
    live = power.sum(dim=0) != 0
    n, chance = int(live.sum()), 1 / max(len(power), 1)
    if n == 0 or len(power) < 2:
        return None
    counts = torch.bincount(power[:, live].argmax(dim=0), minlength=len(power))
    return (int(counts.max()) / n - chance) / (1 - chance)


@final
class GroupStructure(Probe):
    """Power per irrep, and how few irreps hold it.

    Args:
        units: Kinds of activations that are hidden units, the preferred one first.
        pure: Share of power above which a unit owns its irrep.
        key_share: Share of the power of the logits that the key irreps hold.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(
                name=f"{name}_share",
                unit="1",
                meaning=f"share per irrep of the power of {what}, without the constant",
                dims=("freq",),
            )
            for name, what in TABLES.items()
        ),
        *(
            Column(name=f"{name}_{kind}", unit="1", meaning=f"{title} of the shares of {what}")
            for name, what in TABLES.items()
            for kind, title in (("gini", "Gini coefficient"), ("ipr", "sum of squares"))
        ),
        Column(
            name="explained",
            unit="1",
            meaning="share of the variance of the logits over all pairs, centred over classes, "
            "that depends on the right answer alone",
        ),
        Column(
            name="key_count",
            unit="1",
            meaning="fewest irreps that hold the set share of the power of the mean logits",
        ),
        Column(
            name="purity_mean",
            unit="1",
            meaning="share of the units' power that is in the largest irrep of each",
        ),
        Column(
            name="coverage",
            unit="1",
            meaning="number of irreps that are owned by a unit with a purity above the set one",
        ),
        Column(
            name="shared_irrep",
            unit="1",
            meaning="largest share of units with the same largest irrep of the answer, less "
            "chance, over 1 less chance",
        ),
    )

    def __init__(self, *, units: Sequence[str], pure: Fraction, key_share: Fraction) -> None:
        check_arguments(GroupStructure, pure=pure, key_share=key_share)
        self.units, self.pure, self.key_share = tuple(units), pure, key_share
        self.needs = (self.units,)

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, from all pairs of the task."""
        everything, table, answers = group_task(view, "group_structure")
        parts, name = isotypic(table), block_names(view.activations, *self.units)[-1]
        n, inputs = len(table), everything.inputs
        tables = {
            "embed": token_table(view.params, view.weights, n),
            "readout": readout_table(view.params, view.weights),
        }
        lists: dict[str, list[Tensor]] = {f"{kind}_share": [] for kind in TABLES}
        rows: list[dict[str, float | None]] = []
        for r in range(len(view.replica)):
            seen = everything.activations(alone(view.params, r), inputs)
            z, hidden = centred(seen["logits"][0]), _last(seen[name][0].double())
            units = unit_power(hidden, inputs, parts)
            power = {
                "logit": answer_power(z, answers, parts),
                "unit": units.sum(dim=1),
                **{
                    kind: irrep_power(each[r], parts).sum(dim=1)
                    for kind, each in tables.items()
                    if each is not None
                },
            }
            blank = torch.full((parts.size,), -1.0, dtype=torch.float64, device=z.device)
            row: dict[str, float | None] = {}
            for kind in TABLES:
                own = power.get(kind)
                whole = 0.0 if own is None else float(own.sum())
                there = own is not None and whole != 0
                lists[f"{kind}_share"].append(own / whole if own is not None and there else blank)
                row[f"{kind}_gini"] = float(gini(own)) if own is not None and there else None
                row[f"{kind}_ipr"] = (
                    float(inverse_participation(own)) if own is not None and there else None
                )
            rows.append(row | self._of_units(units, hidden, z, power["logit"], answers, parts))
        device = view.params[next(iter(view.params))].device
        return {
            **{key: _listed(values) for key, values in lists.items()},
            **{
                c.name: Masked.of([row[c.name] for row in rows], torch.float64, device)
                for c in self.columns
                if c.name not in lists
            },
        }

    def _of_units(
        self,
        units: Tensor,
        hidden: Tensor,
        z: Tensor,
        logits: Tensor,
        answers: Tensor,
        parts: Isotypic,
    ) -> dict[str, float | None]:
        pure, coverage = purity(units, self.pure)
        varied = float((z - z.mean(dim=0)).square().sum() / len(z))
        finite = bool(logits.isfinite().all())
        keys = float(key_irreps(logits, self.key_share).sum())
        shared = shared_irrep(irrep_power(by_answer(hidden, answers, len(parts.basis)), parts))
        alive = bool(hidden.isfinite().all())
        return {
            "explained": float(logits.sum()) / varied if varied != 0 else None,
            "key_count": keys if finite else torch.nan,
            "purity_mean": pure,
            "coverage": coverage if alive else torch.nan,
            "shared_irrep": shared if alive else torch.nan,
        }


def _last(hidden: Float[Tensor, "sample ..."]) -> Float[Tensor, "sample d_mlp"]:
    """At the position at which the answer is read, where there are positions."""
    return hidden if hidden.ndim == 2 else hidden[:, -1].flatten(start_dim=1)


def _listed(rows: list[Tensor]) -> Masked:
    """A list per replica, undefined where it holds the sign of nothing, -1."""
    values = torch.stack(rows)
    return Masked(values, ~(values < 0).any(dim=1))
