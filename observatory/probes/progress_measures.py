r"""Loss of the part of the logits that lies in the key irreps of the answer, and of the rest.

The *circuit* is that part with the mean over all pairs, on addition the components along
cos w(a + b) and sin w(a + b) of the key frequencies w; the *rest* is all else. Key irreps are the
fewest that hold a share of the power of the logits at the SAME look: nothing of the future is used.
Losses are cross-entropies in nats, whatever the network is trained with.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Fraction, Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.answer_logits import (
    alone,
    answer_power,
    by_answer,
    centred,
    cross_entropy,
    group_task,
    margins,
    split_by_keys,
)
from observatory.maths.irreps import Isotypic, irrep_part, isotypic, key_irreps

_ORDER_SEED = 0
QUANTITIES = {
    "restricted_loss": ("nats", "cross-entropy of the circuit on all pairs"),
    "restricted_val_loss": ("nats", "cross-entropy of the circuit on val pairs"),
    "excluded_loss": ("nats", "cross-entropy of the rest on train pairs"),
    "full_loss": ("nats", "cross-entropy of all logits on all pairs"),
    "restricted_acc": ("1", "share of all pairs that the circuit answers rightly, 0-1"),
    "excluded_acc": ("1", "share of train pairs that the rest answers rightly, 0-1"),
    "margin_circuit": ("1", "mean margin of the circuit over all pairs: label less largest other"),
    "margin_rest": ("1", "mean margin of the rest over all pairs: label less largest other"),
}


def progress(
    z: Float[Tensor, "sample d_vocab"],
    labels: Int[Tensor, " sample"],
    in_train: Bool[Tensor, " sample"],
    answers: Int[Tensor, " sample"],
    parts: Isotypic,
    keys: Bool[Tensor, " freq"],
) -> dict[str, float]:
    """`QUANTITIES` of one network for one set of key irreps.

    Args:
        z: Logits of all pairs, centred over classes.
        labels: What the network is trained on.
        in_train: Which pairs are in its train split; the others are in val.
        answers: The right answers.
        parts: Irreps of the group.
        keys: Which of them are key irreps.

    Source:
        Restricted and excluded loss: arXiv:2301.05217, section 4. Deviations: any group; keys from
        the logits, not from the units; both operands' order is averaged over. Margins of circuit
        and rest: arXiv:2608.07436.
    """
    circuit, rest = split_by_keys(z, answers, parts, keys)
    restricted, excluded = cross_entropy(circuit, labels), cross_entropy(rest, labels)
    right, right_of_rest = circuit.argmax(dim=1) == labels, rest.argmax(dim=1) == labels
    spoilt = z.sum() * 0  # an accuracy of what is not finite is none
    found = {
        "restricted_loss": restricted.mean(),
        "restricted_val_loss": restricted[~in_train].mean(),
        "excluded_loss": excluded[in_train].mean(),
        "full_loss": cross_entropy(z, labels).mean(),
        "restricted_acc": right.double().mean() + spoilt,
        "excluded_acc": right_of_rest[in_train].double().mean() + spoilt,
        "margin_circuit": margins(circuit, labels).mean(),
        "margin_rest": margins(rest, labels).mean() + spoilt,
    }
    return {name: float(value) for name, value in found.items()}


def excluded_each(
    z: Float[Tensor, "sample d_vocab"],
    labels: Int[Tensor, " sample"],
    in_train: Bool[Tensor, " sample"],
    answers: Int[Tensor, " sample"],
    parts: Isotypic,
    most_examples: int,
) -> Float[Tensor, " freq"]:
    """Cross-entropy on some train pairs without one irrep, for every irrep.

    Args:
        z: Logits of all pairs, centred over classes.
        labels: What the network is trained on.
        in_train: Which pairs are in its train split.
        answers: The right answers.
        parts: Irreps of the group.
        most_examples: So many train pairs at most, the first ones of an order that is always the
            same: the cost is that of as many softmaxes for every irrep.
    """
    found = []
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(_ORDER_SEED))
    order = order.to(z.device)
    some = order[in_train[order]][:most_examples]
    means = by_answer(z, answers, len(parts.basis))
    for k in range(parts.size):
        one = torch.arange(parts.size) == k
        rest = z[some] - irrep_part(means, parts, one)[answers[some]]
        found.append(cross_entropy(rest, labels[some]).mean())
    return torch.stack(found)


@final
class ProgressMeasures(Probe):
    """Writes `progress` and `excluded_each`.

    Args:
        key_share: Share of the power of the logits that the key irreps hold.
        most_examples: As of `excluded_each`.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit=unit, meaning=meaning)
            for name, (unit, meaning) in QUANTITIES.items()
        ),
        Column(
            name="excluded_each",
            unit="nats",
            meaning="cross-entropy on some train pairs of the logits without one irrep, for every "
            "irrep",
            dims=("freq",),
        ),
    )

    def __init__(self, *, key_share: Fraction, most_examples: Size) -> None:
        check_arguments(ProgressMeasures, key_share=key_share, most_examples=most_examples)
        self.key_share, self.most_examples = key_share, most_examples

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, from all pairs of the task."""
        everything, table, answers = group_task(view, "progress_measures")
        parts = isotypic(table)
        rows, each = list[dict[str, float]](), list[Tensor]()
        for r in range(len(view.replica)):
            seen = everything.activations(alone(view.params, r), everything.inputs)
            z, labels, in_train = (
                centred(seen["logits"][0]), everything.labels[r], everything.in_train[r]
            )  # fmt: skip
            keys = key_irreps(answer_power(z, answers, parts), self.key_share)
            rows.append(progress(z, labels, in_train, answers, parts, keys))
            each.append(excluded_each(z, labels, in_train, answers, parts, self.most_examples))
        device = answers.device
        return {
            **{
                name: Masked.of([row[name] for row in rows], torch.float64, device)
                for name in QUANTITIES
            },
            "excluded_each": torch.stack(each),
        }
