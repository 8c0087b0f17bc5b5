"""Loss and accuracy of every replica on its own train and val examples."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Loss, StackedForward
from observatory.core.layout import Params


def evaluation_columns(loss: Loss) -> tuple[Column, ...]:
    """Columns of the evaluation tables: loss and accuracy of either split."""
    meaning = f"mean loss ({type(loss).__name__})"
    columns = [
        (
            Column(
                name=f"{split}_loss",
                unit=loss.unit,
                meaning=f"{meaning} on the replica's {split} examples",
            ),
            Column(
                name=f"{split}_acc",
                unit="1",
                meaning=f"share of {split} examples answered rightly, 0-1",
            ),
        )
        for split in ("train", "val")
    ]
    return (*columns[0], *columns[1])


@torch.no_grad()
def evaluate(
    forward: StackedForward,
    loss: Loss,
    params: Params,
    inputs: Int[Tensor, "replica batch pos"],
    labels: Int[Tensor, "replica batch"],
    in_train: Bool[Tensor, "replica batch"],
    dtype: torch.dtype,
    chunk: int,
) -> dict[str, Float[Tensor, " replica"]]:
    """`evaluation_columns`, float64, one value per replica.

    Args:
        forward: Stacked forward.
        loss: What is measured besides the accuracy.
        params: Stacked parameters.
        inputs: Examples of each replica.
        labels: Their labels.
        in_train: Which of them are train examples; the others are val examples.
        dtype: Precision of the loss.
        chunk: Examples per forward.
    """
    kept, right = [], []
    for part, of_part in zip(inputs.split(chunk, dim=1), labels.split(chunk, dim=1), strict=True):
        logits = forward(params, part)
        right.append(logits.argmax(dim=-1) == of_part)
        # A coupled loss needs the logits of all examples at once.
        kept.append(logits if loss.coupled else loss.each(logits.to(dtype), of_part, None))
    correct, joined = torch.cat(right, dim=1).double(), torch.cat(kept, dim=1).to(dtype)
    measured: dict[str, Tensor] = {}
    for split, mask in (("train", in_train), ("val", ~in_train)):
        each = loss.each(joined, labels, mask.to(dtype)) if loss.coupled else joined
        count = mask.double().sum(dim=1)
        # A masked product would turn an infinite loss of the other split into NaN here.
        measured[f"{split}_loss"] = torch.where(mask, each.double(), 0.0).sum(dim=1) / count
        measured[f"{split}_acc"] = (correct * mask).sum(dim=1) / count
    return measured
