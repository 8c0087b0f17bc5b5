"""Loss and accuracy of every replica on its own train and val examples."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import StackedForward
from observatory.core.errors import ConfigError
from observatory.core.schedule import Schedule
from observatory.core.view import Params
from observatory.fleet.step import example_losses

EVALUATION_COLUMNS = (
    Column(
        name="train_loss", unit="nats", meaning="mean cross entropy on the replica's train examples"
    ),
    Column(name="train_acc", unit="1", meaning="share of train examples answered rightly, 0-1"),
    Column(
        name="val_loss", unit="nats", meaning="mean cross entropy on the replica's val examples"
    ),
    Column(name="val_acc", unit="1", meaning="share of val examples answered rightly, 0-1"),
)


@dataclass(frozen=True)
class EvaluationSettings:
    """When evaluation looks, and at what.

    Attributes:
        every: Steps between regular looks; the horizon must be a multiple.
        subset: Examples of each split at a regular look, drawn once per replica; None for all.
        full: When all examples are looked at besides, where `subset` is given.
        chunk: Examples per forward, a bound on memory.
    """

    every: int
    subset: int | None
    full: Schedule | None
    chunk: int

    def __post_init__(self) -> None:
        for name in ("every", "subset", "chunk"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"`evaluation.{name}` must be at least 1, got {value}.")


@torch.no_grad()
def evaluate(
    forward: StackedForward,
    params: Params,
    inputs: Int[Tensor, "replica batch pos"],
    labels: Int[Tensor, "replica batch"],
    in_train: Bool[Tensor, "replica batch"],
    dtype: torch.dtype,
    chunk: int,
) -> dict[str, Float[Tensor, " replica"]]:
    """`EVALUATION_COLUMNS`, float64, one value per replica.

    Args:
        forward: Stacked forward.
        params: Stacked parameters.
        inputs: Examples of each replica.
        labels: Their labels.
        in_train: Which of them are train examples; the others are val examples.
        dtype: Precision of the log-softmax.
        chunk: Examples per forward.
    """
    losses, right = [], []
    for start in range(0, inputs.shape[1], chunk):
        part = slice(start, start + chunk)
        logits = forward(params, inputs[:, part])
        losses.append(example_losses(logits, labels[:, part], dtype).double())
        right.append((logits.argmax(dim=-1) == labels[:, part]).double())
    loss, correct = torch.cat(losses, dim=1), torch.cat(right, dim=1)
    measured: dict[str, Tensor] = {}
    for split, mask in (("train", in_train.double()), ("val", (~in_train).double())):
        count = mask.sum(dim=1)
        # A masked product would turn an infinite loss of the other split into NaN here.
        measured[f"{split}_loss"] = torch.where(mask > 0, loss, 0.0).sum(dim=1) / count
        measured[f"{split}_acc"] = (correct * mask).sum(dim=1) / count
    return measured
