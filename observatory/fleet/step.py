"""One optimizer step of all replicas: the loss of each, the sum over replicas, the gradient."""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.contracts import Loss, StackedForward
from observatory.core.layout import Layout

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def replica_losses(
    loss: Loss,
    logits: Float[Tensor, "replica batch d_vocab"],
    labels: Int[Tensor, "replica batch"],
    counted: Float[Tensor, "replica batch"] | None,
    dtype: torch.dtype,
) -> Float[Tensor, " replica"]:
    """Mean loss of every replica over the examples that count, computed in `dtype`."""
    losses = loss.each(logits.to(dtype), labels, counted)
    if counted is None:
        return losses.mean(dim=1)
    counted = counted.to(dtype)
    return (losses * counted).sum(dim=1) / counted.sum(dim=1)


def losses_and_gradient(
    forward: StackedForward,
    loss: Loss,
    layout: Layout,
    flat: Float[Tensor, "replica param"],
    inputs: Int[Tensor, "replica batch pos"],
    labels: Int[Tensor, "replica batch"],
    counted: Float[Tensor, "replica batch"] | None,
    dtype: torch.dtype,
) -> tuple[Float[Tensor, " replica"], Float[Tensor, "replica param"]]:
    """Each replica's mean loss and its gradient.

    The gradient is of the SUM over replicas of their means, so that no replica's gradient depends
    on how many others there are; a row is exactly the gradient of that replica trained alone.
    """
    leaf = flat.detach().requires_grad_()
    with torch.enable_grad():
        losses = replica_losses(loss, forward(layout.views(leaf), inputs), labels, counted, dtype)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), gradient
