"""What is left of earlier states when the output reads them, without ever forming a state."""

from typing import Any, final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable


def decayed_sum(
    dt: Float[Tensor, "replica batch d_inner"],
    A: Float[Tensor, "replica d_inner d_state"],
    q: Float[Tensor, "replica batch d_state"],
) -> Float[Tensor, "replica batch d_inner"]:
    """Sum over states n of exp(dt A_n) q_n, with its gradient in closed form."""
    summed = _DecayedSum.apply(dt, A, q)
    assert isinstance(summed, Tensor)
    return summed


@final
class _DecayedSum(torch.autograd.Function):
    """States lie on the first axis, so that every pass runs along whole rows of channels."""

    @staticmethod
    def forward(ctx: Any, dt: Tensor, A: Tensor, q: Tensor) -> Tensor:
        rates = A.permute(2, 0, 1).contiguous().unsqueeze(2)  # else products take their layout
        weights = q.permute(2, 0, 1).contiguous().unsqueeze(3)
        decayed = (dt * rates).exp_()
        ctx.save_for_backward(dt, rates, weights, decayed)
        summed = decayed[0] * weights[0]
        for term, weight in zip(decayed[1:], weights[1:], strict=True):
            summed.addcmul_(term, weight)
        return summed

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        dt, rates, weights, decayed = ctx.saved_tensors
        pulled = decayed * gradients[0]
        of_q = pulled @ pulled.new_ones(pulled.shape[-1])  # faster than a sum over few
        pulled *= weights
        of_dt = pulled[0] * rates[0]
        for term, rate in zip(pulled[1:], rates[1:], strict=True):
            of_dt.addcmul_(term, rate)
        of_A = pulled.mul_(dt).sum(dim=2)
        return of_dt, of_A.permute(1, 2, 0), of_q.permute(1, 2, 0)
