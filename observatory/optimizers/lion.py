"""Lion: every weight moves by one learning rate, up or down, after decoupled decay."""

from typing import final

import torch

from observatory.core.contracts import Hyper, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Params
from observatory.maths.decay import kept


@final
class Lion:
    """Steps of the sign of an interpolation between momentum and gradient.

    With gradient g, decay rate w and momentum m, 0 at first:
    flat <- (1 - lr w) flat - lr sign(beta1 m + (1 - beta1) g), then m <- beta2 m + (1 - beta2) g.
    Decay is decoupled as AdamW's, so that lr w is the pace of the decay for both. A step has no
    size of its own: a weight whose gradient is 0 but for rounding, such as the bias of keys under
    a softmax, moves as far as all others.

    Args:
        beta1: Share of the momentum in the step, in [0, 1).
        beta2: Share of the momentum that a step keeps, in [0, 1).

    Source:
        Chen et al. (2023), arXiv:2302.06675, algorithm 2. Deviation: none.
    """

    def __init__(self, *, beta1: float, beta2: float) -> None:
        for name, value in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= value < 1:
                raise ConfigError(f"`{name}` must be in [0, 1), got {value}.")
        self.beta1, self.beta2 = beta1, beta2

    def init(self, flat: Rows) -> Params:
        """An empty momentum per row."""
        return {"momentum": torch.zeros_like(flat)}

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        momentum = state["momentum"]
        mixed = grads.lerp(momentum, self.beta1)
        direction = mixed.sign().add_(mixed, alpha=0.0)  # the sign of NaN is 0, and NaN must show
        flat.mul_(kept(hyper)).addcmul_(hyper.lr.unsqueeze(1), direction, value=-1)
        momentum.lerp_(grads, 1 - self.beta2)
