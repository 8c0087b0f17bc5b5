"""Muon: hidden matrices move along orthogonalised momentum, all other weights by another rule."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.contracts import Hyper, Optimizer, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.core.settings import Positive, Size, check_arguments, known_name
from observatory.maths.decay import kept
from observatory.maths.nesting import nest, nested

_SCALES = ("original", "match_rms_adamw", "none")


def orthogonalised(
    matrices: Float[Tensor, "replica fan_in fan_out"],
    coefficients: Sequence[float],
    steps: int,
    eps: float,
) -> Float[Tensor, "replica fan_in fan_out"]:
    """Every matrix with its singular values brought near 1, by a quintic Newton-Schulz iteration.

    Each step maps a singular value s to a s + b s^3 + c s^5, from s divided by the Frobenius norm.
    The usual coefficients do not converge to 1 but end between about 0.7 and 1.2, fast. A matrix of
    zeros stays one.

    Args:
        matrices: One matrix per replica.
        coefficients: a, b, c.
        steps: Number of iterations.
        eps: Smallest Frobenius norm to divide by.

    Source:
        K. Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. Deviation: in the
        precision of `matrices`, where the original uses bfloat16.

    Example:
        >>> turn = torch.tensor([[[0.0, -3.0], [3.0, 0.0]]])
        >>> orthogonalised(turn, (1.5, -0.5, 0.0), steps=10, eps=1e-7)  # converges, slowly
        tensor([[[ 0., -1.],
                 [ 1.,  0.]]])
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]  # the Gram matrix of the shorter side is smaller
    x = matrices.mT if tall else matrices
    x = x / torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _update_scale(scale: str, fan_in: int, fan_out: int) -> float:
    """What an orthogonalised `[fan_in, fan_out]` update is multiplied by, besides the rate."""
    match scale:
        case "original":
            return math.sqrt(max(1, fan_out / fan_in))
        case "match_rms_adamw":
            return 0.2 * math.sqrt(max(fan_in, fan_out))
        case _:
            return 1.0


@final
class Muon:
    """The update of `torch.optim.Muon` for hidden matrices, and `rest` for all other weights.

    With momentum buffer b <- mu b + (1 - mu) g and direction d = b, or with `nesterov`
    (1 - mu) g + mu b: W <- (1 - lr w) W - lr scale orthogonalised(d), decay decoupled. Embeddings,
    the readout, biases and gains follow `rest` at `rest_lr_ratio` times the learning rate, and at
    the same decay rate.

    Args:
        momentum: mu, in [0, 1).
        nesterov: Whether the direction looks ahead along the buffer.
        ns_coefficients: a, b, c of the Newton-Schulz step.
        ns_steps: Newton-Schulz steps, at least 1.
        eps: Smallest norm that a direction is divided by, positive.
        scale: "original", sqrt(max(1, fan-out / fan-in)); "match_rms_adamw", 0.2 times the root of
            the larger side, so that AdamW's rates fit (arXiv:2502.16982); or "none".
        rest: Optimizer of all other weights.
        rest_lr_ratio: Its learning rate over Muon's, positive.

    Source:
        K. Jordan et al. (2024), https://kellerjordan.github.io/posts/muon. Deviation: all in the
        precision of the parameters, where `torch.optim.Muon` orthogonalises in bfloat16.
    """

    def __init__(
        self,
        *,
        momentum: float,
        nesterov: bool,
        ns_coefficients: Sequence[float],
        ns_steps: Size,
        eps: Positive,
        scale: str,
        rest: Optimizer,
        rest_lr_ratio: Positive,
    ) -> None:
        if not 0 <= momentum < 1:
            raise ConfigError(f"`momentum` must be in [0, 1), got {momentum}.")
        if len(ns_coefficients) != 3:
            raise ConfigError(f"`ns_coefficients` must be three, got {list(ns_coefficients)}.")
        check_arguments(Muon, ns_steps=ns_steps, eps=eps, rest_lr_ratio=rest_lr_ratio)
        known_name("scale", scale, _SCALES)
        self.momentum, self.nesterov = momentum, nesterov
        self.ns_coefficients, self.ns_steps, self.eps = tuple(ns_coefficients), ns_steps, eps
        self.scale, self.rest, self.rest_lr_ratio = scale, rest, rest_lr_ratio

    def init(self, flat: Rows) -> Params:
        """An empty momentum buffer per row, and the state of `rest`."""
        return {"momentum": torch.zeros_like(flat), **nest("rest", self.rest.init(flat))}

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`.

        Raises:
            ConfigError: If no weight is a hidden matrix.
        """
        layout = hyper.layout
        hidden = [n for n, role in zip(layout.names, layout.roles, strict=True) if role == "hidden"]
        if not hidden:
            raise ConfigError(
                "`optimizer` muon needs a model with hidden matrices, got only "
                f"{sorted(set(layout.roles))} weights. Choose another optimizer."
            )
        buffer = state["momentum"].lerp_(grads, 1 - self.momentum)
        direction = grads.lerp(buffer, self.momentum) if self.nesterov else buffer
        weights, directions = layout.views(flat), layout.views(direction)
        keeps = layout.views(kept(hyper))
        moved = Params()
        for name in hidden:
            matrices = directions[name]
            step = orthogonalised(matrices, self.ns_coefficients, self.ns_steps, self.eps)
            rate = hyper.lr.view(-1, 1, 1) * _update_scale(self.scale, *matrices.shape[1:])
            moved[name] = (weights[name] * keeps[name]).addcmul_(rate, step, value=-1)
        # `rest` moves whole rows: what it does to the hidden matrices is overwritten.
        slower = replace(hyper, lr=hyper.lr * self.rest_lr_ratio)
        self.rest.update(flat, grads, nested("rest", state), slower)
        for name, value in moved.items():
            weights[name].copy_(value)
