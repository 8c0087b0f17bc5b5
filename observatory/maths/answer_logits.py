r"""Logits of all pairs of a group task, and the part of them that depends on the answer alone.

Letters: n elements; z `[sample, d_vocab]` logits of all n^2 pairs, centred over classes; g the
right answer of a pair. In a Latin square each answer belongs to n pairs; L `[element, d_vocab]` is
the mean of z over those of an answer. On addition modulo p the parts of L are the components of z
along cos w(a + b) and sin w(a + b).
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.core.view import EveryExample, FleetView
from observatory.maths.irreps import Isotypic, irrep_part, irrep_power


def every_example(view: FleetView, probe: str) -> EveryExample:
    """The task's examples, which not every view has.

    Raises:
        ConfigError: If this one has none.
    """
    if view.everything is None:
        raise ConfigError(
            f"`probe.{probe}` must have all examples of a task, but this network has no task of "
            "ours. Leave the probe out."
        )
    return view.everything


def group_task(
    view: FleetView, probe: str
) -> tuple[EveryExample, Int[Tensor, "element element"], Int[Tensor, " sample"]]:
    """The examples, the group of their answers and the right answers.

    Raises:
        ConfigError: If there is no such group.
    """
    everything = every_example(view, probe)
    if everything.group is None or everything.answers is None:
        raise ConfigError(
            f"`probe.{probe}` must have a task whose answers fill a Latin square on a group, such "
            "as task=add. Leave the probe out."
        )
    return everything, everything.group, everything.answers


def alone(params: Params, replica: int, dtype: torch.dtype | None = None) -> Params:
    """One replica as a stack of one, of a type where one is given.

    What is recorded of all examples then fits into memory.
    """
    return {name: stack[replica : replica + 1].to(dtype) for name, stack in params.items()}


def some_examples(everything: EveryExample, most: int, seed: int) -> Int[Tensor, " sample"]:
    """Which examples of the task, `most` at most: the first of an order that is always the same."""
    rng = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(everything.inputs), generator=rng)
    return order[:most].to(everything.inputs.device)


def centred(logits: Float[Tensor, "sample d_vocab"]) -> Float[Tensor, "sample d_vocab"]:
    """Less their mean over classes, float64: a shift of all logits of a pair changes nothing."""
    wide = logits.double()
    return wide - wide.mean(dim=1, keepdim=True)


def all_logits(everything: EveryExample, params: Params) -> Float[Tensor, "sample d_vocab"]:
    """Of a stack of one for all examples of the task, centred over classes."""
    return centred(everything.activations(params, everything.inputs)["logits"][0])


def by_answer(
    rows: Float[Tensor, "sample param"], answers: Int[Tensor, " sample"], n: int
) -> Float[Tensor, "element param"]:
    """Mean over the pairs of every answer; each answer has as many."""
    sums = rows.new_zeros(n, rows.shape[1]).index_add_(0, answers, rows)
    return sums * (n / len(rows))


def by_operand(
    rows: Float[Tensor, "sample param"], operands: Int[Tensor, " sample"], n: int
) -> Float[Tensor, "element param"]:
    """Mean over the pairs of every value of an operand; each value has as many."""
    return by_answer(rows, operands, n)


def answer_power(
    z: Float[Tensor, "sample d_vocab"], answers: Int[Tensor, " sample"], parts: Isotypic
) -> Float[Tensor, " freq"]:
    """Power of the logits per irrep of the answer: mean squares over pairs, summed over classes."""
    n = len(parts.basis)
    return irrep_power(by_answer(z, answers, n), parts).sum(dim=1) / n


def split_by_keys(
    z: Float[Tensor, "sample d_vocab"],
    answers: Int[Tensor, " sample"],
    parts: Isotypic,
    keys: Bool[Tensor, " freq"],
) -> tuple[Float[Tensor, "sample d_vocab"], Float[Tensor, "sample d_vocab"]]:
    """The key irreps of the answer with the mean over all pairs, and the logits without them."""
    part = irrep_part(by_answer(z, answers, len(parts.basis)), parts, keys)[answers]
    return part + z.mean(dim=0), z - part


def cross_entropy(
    z: Float[Tensor, "sample d_vocab"], labels: Int[Tensor, " sample"]
) -> Float[Tensor, " sample"]:
    """In nats, of every example, float64."""
    return z.logsumexp(dim=1) - z.gather(1, labels[:, None])[:, 0]


def margins(
    z: Float[Tensor, "sample d_vocab"], labels: Int[Tensor, " sample"]
) -> Float[Tensor, " sample"]:
    """The logit of the label less the largest other one, of every example."""
    others = z.scatter(1, labels[:, None], -torch.inf)
    return z.gather(1, labels[:, None])[:, 0] - others.amax(dim=1)
