"""Loss and accuracy of every replica on its own train and val examples."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Loss, StackedForward
from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.core.schedule import Schedule
from observatory.fleet.replicas import Dataset


def evaluation_columns(loss: Loss) -> tuple[Column, ...]:
    """Columns of the evaluation tables: loss and accuracy of either split."""
    told = f"mean loss ({type(loss).__name__})"
    columns = [
        (
            Column(
                name=f"{split}_loss",
                unit=loss.unit,
                meaning=f"{told} on the replica's {split} examples",
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


@dataclass(frozen=True)
class EvaluationSettings:
    """When evaluation looks, and at what.

    Attributes:
        every: Steps between regular looks; the horizon must be a multiple.
        subset: Examples of each split at a regular look, drawn once per replica; None for all.
        full: When all examples are looked at besides, where `subset` is given.
        chunk: Examples per forward, a bound on memory unless the loss is coupled.
    """

    every: int
    subset: int | None
    full: Schedule | None
    chunk: int

    def looked_at(self, dataset: Dataset) -> tuple[int, int]:
        """Train and val examples of one replica at a regular look."""
        most = self.subset or len(dataset)
        return min(most, dataset.n_train), min(most, dataset.n_val)

    def __post_init__(self) -> None:
        for name in ("every", "subset", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`evaluation.{name}` must be at least 1, got {value}.")


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
