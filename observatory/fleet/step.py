"""One optimizer step of all replicas: the loss of each, the sum over replicas, the gradient."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from observatory.core.contracts import StackedForward
from observatory.fleet.stack import Layout

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def example_losses(
    logits: Float[Tensor, "replica batch d_vocab"],
    labels: Int[Tensor, "replica batch"],
    dtype: torch.dtype,
) -> Float[Tensor, "replica batch"]:
    """Cross entropy of every example in nats, the log-softmax computed in `dtype`."""
    flat = F.cross_entropy(logits.flatten(0, 1).to(dtype), labels.flatten(), reduction="none")
    return flat.view(labels.shape)


def replica_losses(
    logits: Float[Tensor, "replica batch d_vocab"],
    labels: Int[Tensor, "replica batch"],
    weights: Float[Tensor, "replica batch"] | None,
    dtype: torch.dtype,
) -> Float[Tensor, " replica"]:
    """Mean loss of every replica; with `weights` (1 or 0 each) over the examples that count."""
    losses = example_losses(logits, labels, dtype)
    if weights is None:
        return losses.mean(dim=1)
    weights = weights.to(dtype)
    return (losses * weights).sum(dim=1) / weights.sum(dim=1)


def losses_and_gradient(
    forward: StackedForward,
    layout: Layout,
    flat: Float[Tensor, "replica param"],
    inputs: Int[Tensor, "replica batch pos"],
    labels: Int[Tensor, "replica batch"],
    weights: Float[Tensor, "replica batch"] | None,
    dtype: torch.dtype,
) -> tuple[Float[Tensor, " replica"], Float[Tensor, "replica param"]]:
    """Each replica's mean loss and its gradient.

    The gradient is of the SUM over replicas of their means, so that no replica's gradient depends
    on how many others there are; a row is exactly the gradient of that replica trained alone.
    """
    leaf = flat.detach().requires_grad_()
    with torch.enable_grad():
        losses = replica_losses(forward(layout.views(leaf), inputs), labels, weights, dtype)
        (gradient,) = torch.autograd.grad(losses.sum(), leaf)
    return losses.detach(), gradient
