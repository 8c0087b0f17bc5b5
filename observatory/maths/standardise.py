"""LayerNorm without gain and bias, faster than torch's on the CPU where rows are short."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

EPS = 1e-5  # that of `nn.LayerNorm`


def standardise(x: Float[Tensor, "*batch d_model"]) -> Float[Tensor, "*batch d_model"]:
    """Every row minus its mean, over the root of its variance + `EPS`.

    Equals `F.layer_norm(x, x.shape[-1:])` up to rounding, forward and gradient.
    """
    if x.is_cuda:
        return F.layer_norm(x, x.shape[-1:], eps=EPS)
    standard = _Standardise.apply(x)
    assert isinstance(standard, Tensor)
    return standard


class _Standardise(torch.autograd.Function):
    """For rows of 32 torch's forward takes over twice as long as these; its backward does not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        mean = x.mean(dim=-1, keepdim=True)
        centred = x - mean
        inverse = centred.square().mean(dim=-1, keepdim=True).add_(EPS).rsqrt_()
        ctx.save_for_backward(x, mean, inverse)
        return centred.mul_(inverse)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, mean, inverse = ctx.saved_tensors
        wanted = [True, False, False]
        return torch.ops.aten.native_layer_norm_backward(
            gradients[0], x, x.shape[-1:], mean, inverse, None, None, wanted
        )[0]
