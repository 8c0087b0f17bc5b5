r"""Loss of the part of the logits that lies in the key irreps of the answer, and of the rest.

The *circuit* is that part with the mean over all pairs, on addition the components along
cos w(a + b) and sin w(a + b) of the key frequencies w; the *rest* is all else. Key irreps are the
fewest that hold a share of the power of the logits, of the SAME look, so that nothing of the future
is used, or of another one: `ProgressOracle`. Either set comes from the logits of all pairs; labels
choose nothing. Losses are cross-entropies in nats, whatever the network is trained with.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.errors import ConfigError
from observatory.core.settings import Fraction, Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.answer_logits import (
    all_logits,
    alone,
    answer_power,
    by_answer,
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


def loss_of_each(
    z: Float[Tensor, "sample d_vocab"],
    labels: Int[Tensor, " sample"],
    among: Bool[Tensor, " sample"],
    answers: Int[Tensor, " sample"],
    parts: Isotypic,
    most_examples: int,
    *,
    kept: bool,
) -> Float[Tensor, " freq"]:
    """Cross-entropy on some pairs without one irrep, or of it alone, for every irrep.

    Args:
        z: Logits of all pairs, centred over classes.
        labels: What the network is trained on.
        among: Pairs that are looked at, such as those in the train split.
        answers: The right answers.
        parts: Irreps of the group.
        most_examples: So many of these pairs at most, the first ones of an order that is always the
            same: the cost is that of as many softmaxes for every irrep.
        kept: Whether the irrep alone is kept, with the mean over all pairs; else all but it is.
    """
    order = torch.randperm(len(z), generator=torch.Generator().manual_seed(_ORDER_SEED))
    order = order.to(z.device)
    some = order[among[order]][:most_examples]
    means, mean = by_answer(z, answers, len(parts.basis)), z.mean(dim=0)
    losses = list[Tensor]()
    for one in torch.eye(parts.size, dtype=torch.bool):
        part = irrep_part(means, parts, one)[answers[some]]
        logits = part + mean if kept else z[some] - part
        losses.append(cross_entropy(logits, labels[some]).mean())
    return torch.stack(losses)


def _numbers(rows: list[dict[str, float]], device: torch.device) -> dict[str, Masked]:
    return {
        name: Masked.of([row[name] for row in rows], torch.float64, device) for name in QUANTITIES
    }


EXCLUDED_EACH = Column(
    name="excluded_each",
    unit="nats",
    meaning="cross-entropy on some train pairs of the logits without one irrep, for every irrep",
    dims=("freq",),
)


@final
class ProgressMeasures(Probe):
    """Writes `progress`, and `loss_of_each` without one irrep.

    Args:
        key_share: Share of the power of the logits that the key irreps hold.
        most_examples: As of `loss_of_each`.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(name=name, unit=unit, meaning=meaning)
            for name, (unit, meaning) in QUANTITIES.items()
        ),
        EXCLUDED_EACH,
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
            z, labels = all_logits(everything, alone(view.params, r)), everything.labels[r]
            in_train = everything.in_train[r]
            keys = key_irreps(answer_power(z, answers, parts), self.key_share)
            rows.append(progress(z, labels, in_train, answers, parts, keys))
            some = in_train, answers, parts, self.most_examples
            each.append(loss_of_each(z, labels, *some, kept=False))
        return {**_numbers(rows, answers.device), EXCLUDED_EACH.name: torch.stack(each)}


@final
class ProgressOracle(Probe):
    """Writes `progress` for the key irreps of ANOTHER state, which a look cannot know.

    That is the state that `observatory probe STUDY --since STEP` compares with; at the last step it
    is chosen from the end of the training, as the published measures choose theirs. Beside the
    columns of `ProgressMeasures` at the same step it says by how much knowing the end flatters
    them.

    Args:
        key_share: Share of the power of the logits of that state that the key irreps hold.
        most_examples: As of `loss_of_each`.
    """

    needs_group = True
    columns: ClassVar[tuple[Column, ...]] = (
        *(
            Column(
                name=name, unit=unit, meaning=f"{meaning}; keys are those of the state at `since`"
            )
            for name, (unit, meaning) in QUANTITIES.items()
        ),
        EXCLUDED_EACH,
        Column(
            name="restricted_each",
            unit="nats",
            meaning="cross-entropy on some pairs of one irrep of the answer with the mean over all "
            "pairs, for every irrep",
            dims=("freq",),
        ),
        Column(
            name="is_key",
            unit="1",
            meaning="1 where an irrep is key in the state at `since`, else 0, for every irrep",
            dims=("freq",),
        ),
    )

    def __init__(self, *, key_share: Fraction, most_examples: Size) -> None:
        check_arguments(ProgressOracle, key_share=key_share, most_examples=most_examples)
        self.key_share, self.most_examples = key_share, most_examples

    def measure(self, view: FleetView) -> Measurement:
        """The columns of every replica of the view, from all pairs of the task.

        Raises:
            ConfigError: If no state is compared with.
        """
        everything, table, answers = group_task(view, "progress_oracle")
        if everything.since is None:
            raise ConfigError(
                "`probe.progress_oracle` must know another state. Leave it out of the training "
                "and run `observatory probe STUDY --probe progress_oracle --since STEP`."
            )
        parts = isotypic(table)
        rows, lists = list[dict[str, float]](), list[tuple[Tensor, Tensor, Tensor]]()
        for r in range(len(view.replica)):
            z, labels = all_logits(everything, alone(view.params, r)), everything.labels[r]
            in_train = everything.in_train[r]
            power = answer_power(all_logits(everything, alone(everything.start, r)), answers, parts)
            z = z + 0 * power.sum()  # keys of what is not finite are none
            keys = key_irreps(power, self.key_share)
            rows.append(progress(z, labels, in_train, answers, parts, keys))
            how = answers, parts, self.most_examples
            without = loss_of_each(z, labels, in_train, *how, kept=False)
            of_one = loss_of_each(z, labels, torch.ones_like(in_train), *how, kept=True)
            lists.append((without, of_one, keys.double() + 0 * z.sum()))
        names = (EXCLUDED_EACH.name, "restricted_each", "is_key")
        stacked = (torch.stack(each) for each in zip(*lists, strict=True))
        return {**_numbers(rows, answers.device), **dict(zip(names, stacked, strict=True))}
