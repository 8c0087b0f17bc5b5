"""Grokfast: the slow part of the gradient is amplified before another optimizer sees it."""

from typing import final

import torch

from observatory.core.contracts import Hyper, Optimizer, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.maths.nesting import nest, nested


@final
class Grokfast:
    """Gives `inner` the gradient g + lamb h with h <- alpha h + (1 - alpha) g; at first h = g.

    Only gradients of the loss are averaged: decay that `inner` adds to the gradient comes later.

    Args:
        alpha: Share of the average that a step keeps, in [0, 1).
        lamb: Weight of the average, not negative.
        inner: Optimizer that makes the step.

    Source:
        Lee et al. (2024), arXiv:2405.20233, the exponential-average filter. Deviation: none.
    """

    def __init__(self, *, alpha: float, lamb: float, inner: Optimizer) -> None:
        if not 0 <= alpha < 1:
            raise ConfigError(f"`alpha` must be in [0, 1), got {alpha}.")
        if lamb < 0:
            raise ConfigError(f"`lamb` must not be negative, got {lamb}.")
        self.alpha, self.lamb, self.inner = alpha, lamb, inner

    def init(self, flat: Rows) -> Params:
        """No average yet, and the state of `inner`."""
        return {
            "average": torch.zeros_like(flat),
            "started": torch.zeros_like(flat[:, :1]),
            **nest("inner", self.inner.init(flat)),
        }

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        average, started = state["average"], state["started"]
        average.lerp_(grads, 1 - self.alpha * started)  # all of a row's first gradient
        started.fill_(1.0)
        filtered = grads.add(average, alpha=self.lamb)
        self.inner.update(flat, filtered, nested("inner", state), hyper)
