r"""What predictors that only memorise would answer on unseen examples, and who agrees with them.

An infinitely wide and deep network is one of three: the nearest neighbour, the majority vote, or a
kernel that is singular at distance 0. Their neighbours are train examples, their labels those that
the network is trained on. Each is asked twice: on the inputs, and on what the readout reads.

On inputs as one-hots two examples have the cosine s/T, s the operands that they share of T. No
train pair of a Latin square that shares an operand with an unseen pair has its answer: there the
nearest neighbour, and every kernel that is 0 at cosine 0, are never right.
"""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement, Probe
from observatory.core.settings import Positive, Size, check_arguments
from observatory.core.view import FleetView
from observatory.maths.activations import activation
from observatory.maths.answer_logits import alone, every_example, some_examples

REFERENCES = {
    "input_nn": "the nearest train examples by shared operands",
    "input_kernel": "the singular kernel of shared operands, 0 where none is shared",
    "majority": "the most frequent train label",
    "final_nn": "the nearest train example by the cosine of what the readout reads",
    "final_kernel": "the singular kernel of what the readout reads",
}
_CLOSEST = 1 - 1e-12
_ORDER_SEED = 0


def shared_operands(
    queries: Int[Tensor, "batch pos"], known: Int[Tensor, "sample pos"]
) -> Float[Tensor, "batch sample"]:
    """Cosine of concatenated one-hots: the share of operands that are the same."""
    return (queries[:, None] == known).double().mean(dim=-1)


def cosines_between(
    queries: Float[Tensor, "batch d_model"], known: Float[Tensor, "sample d_model"]
) -> Float[Tensor, "batch sample"]:
    """Cosines of two sets of vectors, float64; of a zero vector 0."""
    rows = [each.double() for each in (queries, known)]
    one, other = (each / each.norm(dim=1, keepdim=True).clamp(min=1e-300) for each in rows)
    return one @ other.mT


def vote(
    weights: Float[Tensor, "batch sample"], labels: Int[Tensor, " sample"], n_classes: int
) -> Int[Tensor, " batch"]:
    """The class with the largest sum of weights; of equal ones the smallest class."""
    sums = weights.new_zeros(len(weights), n_classes).index_add_(1, labels, weights)
    return sums.argmax(dim=1)


def nearest(cosines: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch sample"]:
    """1 for every neighbour at the largest cosine, else 0."""
    return (cosines == cosines.amax(dim=1, keepdim=True)).double()


def singular(cosines: Float[Tensor, "batch sample"], alpha: float) -> Float[Tensor, "batch sample"]:
    r"""$(2 - 2c)^{-\alpha/2}$: distance to the power of -alpha."""
    return (2 - 2 * cosines.clamp(max=_CLOSEST)) ** (-alpha / 2)


def predictions(
    queries: Int[Tensor, "batch pos"],
    known: Int[Tensor, "sample pos"],
    final: tuple[Float[Tensor, "batch d_model"], Float[Tensor, "sample d_model"]],
    labels: Int[Tensor, " sample"],
    n_classes: int,
    alpha: float,
) -> dict[str, Int[Tensor, " batch"]]:
    """The answer of every one of `REFERENCES` to every query.

    Args:
        queries: Operands that are asked about.
        known: Operands of the train examples.
        final: What the readout reads of either.
        labels: Of the train examples.
        n_classes: Number of answers.
        alpha: Exponent of the singular kernel.

    Source:
        arXiv:2204.14126. Deviation: with inputs as one-hots, ties go to the smallest class.
    """
    shared, likeness = shared_operands(queries, known), cosines_between(*final)
    counts = torch.bincount(labels, minlength=n_classes)
    return {
        "input_nn": vote(nearest(shared), labels, n_classes),
        "input_kernel": vote(singular(shared, alpha) * (shared > 0), labels, n_classes),
        "majority": counts.argmax().expand(len(queries)),
        "final_nn": vote(nearest(likeness), labels, n_classes),
        "final_kernel": vote(singular(likeness, alpha), labels, n_classes),
    }


@final
class References(Probe):
    """Accuracy of every reference on unseen examples, and how often the network agrees with it.

    Args:
        alpha: Exponent of the singular kernel.
        most_examples: So many val examples at most, the first ones of an order that is always the
            same.
    """

    needs = (("final",),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(name="network_acc", unit="1", meaning="share of the val examples looked at that "
               "the network answers as labelled, 0-1"),
        *(
            Column(name=f"{name}_{kind}", unit="1", meaning=f"share of the val examples looked at "
                   f"{of} of {what}, 0-1")
            for name, what in REFERENCES.items()
            for kind, of in (
                ("acc", "that are labelled with the answer"),
                ("agree", "to which the network gives the answer"),
            )
        ),
    )  # fmt: skip

    def __init__(self, *, alpha: Positive, most_examples: Size) -> None:
        check_arguments(References, alpha=alpha, most_examples=most_examples)
        self.alpha, self.most_examples = alpha, most_examples

    def measure(self, view: FleetView) -> Measurement:
        """See `predictions`; undefined where there is no train or no val example."""
        everything = every_example(view, "references")
        activation(view.activations, "final")
        order = some_examples(everything, len(everything.inputs), _ORDER_SEED)
        rows = [self._of_one(view, r, order) for r in range(len(view.replica))]
        device = everything.inputs.device
        return {
            column.name: Masked.of([row.get(column.name) for row in rows], torch.float64, device)
            for column in self.columns
        }

    def _of_one(self, view: FleetView, r: int, order: Tensor) -> dict[str, float]:
        everything = every_example(view, "references")
        labels, in_train = everything.labels[r], everything.in_train[r]
        train = in_train.nonzero().flatten()
        asked = order[~in_train[order]][: self.most_examples]
        if not len(train) or not len(asked):
            return {}
        inputs = everything.inputs
        seen = everything.activations(alone(view.params, r), inputs[torch.cat([train, asked])])
        logits, final = seen["logits"][0][len(train) :], seen["final"][0]
        spoilt = (
            float(final.double().sum() + logits.double().sum()) * 0.0
        )  # NaN of what is not finite
        answers = logits.argmax(dim=1)
        found = {"network_acc": float((answers == labels[asked]).double().mean()) + spoilt}
        made = predictions(
            inputs[asked], inputs[train], (final[len(train) :], final[: len(train)]),
            labels[train], logits.shape[1], self.alpha,
        )  # fmt: skip
        for name, guess in made.items():
            found[f"{name}_acc"] = float((guess == labels[asked]).double().mean()) + spoilt
            found[f"{name}_agree"] = float((guess == answers).double().mean()) + spoilt
        return found
