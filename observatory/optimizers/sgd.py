"""Gradient descent with momentum, weight decay in the gradient, one row per replica."""

from typing import final

import torch

from observatory.core.contracts import Hyper, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.maths.decay import with_penalty


@final
class SGD:
    """The update of `torch.optim.SGD` without dampening, with learning rate and decay per replica.

    With gradient g, decay rate w and momentum mu: b <- mu b + g + w flat; flat <- flat - lr b, or
    with `nesterov` flat <- flat - lr (g + w flat + mu b). The average is a sum, not a mean: at a
    constant gradient the step grows to lr / (1 - mu) times it.

    Args:
        momentum: mu, in [0, 1).
        nesterov: Whether the step looks ahead along the buffer; it needs a momentum above 0.
    """

    def __init__(self, *, momentum: float, nesterov: bool) -> None:
        if not 0 <= momentum < 1:
            raise ConfigError(f"`momentum` must be in [0, 1), got {momentum}.")
        if nesterov and momentum == 0:
            raise ConfigError(
                "`momentum` must be above 0 where `nesterov` is true, got 0. Set one of the two."
            )
        self.momentum, self.nesterov = momentum, nesterov

    def init(self, flat: Rows) -> Params:
        """An empty momentum buffer per row."""
        return {"momentum": torch.zeros_like(flat)}

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        grads = with_penalty(flat, grads, hyper)
        buffer = state["momentum"].mul_(self.momentum).add_(grads)
        step = grads.add(buffer, alpha=self.momentum) if self.nesterov else buffer
        flat.addcmul_(hyper.lr.unsqueeze(1), step, value=-1)
