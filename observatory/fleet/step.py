"""One optimizer step of all replicas: the loss of each, the sum over replicas, the gradient."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.contracts import Loss, StackedForward
from observatory.core.errors import ConfigError
from observatory.core.layout import Layout
from observatory.fleet.settings import Matmul

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


@contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Whether CUDA rounds what float32 products read to TF32."""
    backend = torch.backends.cuda.matmul
    before, backend.allow_tf32 = backend.allow_tf32, allowed
    try:
        yield
    finally:
        backend.allow_tf32 = before


@final
class LossAndGradient:
    """Each replica's mean loss and its gradient, of the flat rows of all replicas.

    The gradient is of the SUM over replicas of their means, so that no replica's gradient depends
    on how many others there are; a row is exactly the gradient of that replica trained alone.

    Lower precision is that of the forward's and the backward's matrix products alone. "tf32" rounds
    what they read to 10 bits of mantissa; sums and results are float32. "bf16" is PyTorch's
    autocast of the forward, as most people train in mixed precision: products read and give
    bfloat16 (7 bits of mantissa), and so do their gradients; norms, softmaxes and residual sums
    stay as they are. The loss is computed in `dtype` from the logits, which bf16 has rounded.
    Parameters, gradients and the optimizer's state keep the precision of `flat`: a step of weight
    decay, lr x weight decay of a weight, is below what bfloat16 can add to it.

    Args:
        forward: Stacked forward.
        loss: Of every example.
        layout: Which weight lies where in a flat row.
        dtype: Precision of the loss.
        matmul: Precision of the matrix products.
        compiled: How many rows the stack has for which the function is compiled, on its first
            call; stacks of other sizes are computed step by step. None: all are.
    """

    def __init__(
        self,
        forward: StackedForward,
        loss: Loss,
        layout: Layout,
        dtype: torch.dtype,
        matmul: Matmul,
        compiled: int | None,
    ) -> None:
        self.forward, self.loss, self.layout, self.dtype = forward, loss, layout, dtype
        self.matmul = matmul
        self._compiled_rows = compiled
        if compiled is not None:
            self._compiled = torch.compile(self._losses, dynamic=False)

    def __call__(
        self,
        flat: Float[Tensor, "replica param"],
        inputs: Int[Tensor, "replica batch pos"],
        labels: Int[Tensor, "replica batch"],
        counted: Float[Tensor, "replica batch"] | None,
        scale: Float[Tensor, " replica"] | None = None,
    ) -> tuple[Float[Tensor, " replica"], Float[Tensor, "replica param"]]:
        """The losses and their gradient, of the logits times `scale` where it is given.

        Raises:
            ConfigError: If the function cannot be compiled.
        """
        leaf = flat.detach().requires_grad_()
        with torch.enable_grad(), _tf32(self.matmul == "tf32"):
            if len(flat) == self._compiled_rows:
                losses = self._compiled_losses(leaf, inputs, labels, counted, scale)
            else:
                losses = self._losses(leaf, inputs, labels, counted, scale)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return losses.detach(), gradient

    def _losses(
        self,
        flat: Tensor,
        inputs: Tensor,
        labels: Tensor,
        counted: Tensor | None,
        scale: Tensor | None,
    ) -> Tensor:
        kind = flat.device.type
        bf16 = torch.autocast(kind, torch.bfloat16, cache_enabled=False)  # no cache in CUDA graphs
        with bf16 if self.matmul == "bf16" else nullcontext():
            logits = self.forward(self.layout.views(flat), inputs)
        if scale is not None:
            logits = logits.to(self.dtype) * scale[:, None, None]
        return replica_losses(self.loss, logits, labels, counted, self.dtype)

    def _compiled_losses(
        self,
        flat: Tensor,
        inputs: Tensor,
        labels: Tensor,
        counted: Tensor | None,
        scale: Tensor | None,
    ) -> Tensor:
        from torch._dynamo.exc import TorchDynamoException

        try:
            return self._compiled(flat, inputs, labels, counted, scale)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise ConfigError(
                f"`fleet.compile` must be off here: compiling failed ({reason})."
            ) from error
