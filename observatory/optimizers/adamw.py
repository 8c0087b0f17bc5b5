"""AdamW, decoupled weight decay, one row per replica (Loshchilov & Hutter, arXiv:1711.05101)."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.contracts import Hyper
from observatory.core.errors import ConfigError
from observatory.core.layout import Params


@final
class AdamW:
    """The update of `torch.optim.AdamW`, with learning rate, decay and step count per replica.

    With learning rate lr, decay rate w and bias-corrected moments m, v:
    flat <- (1 - lr w) flat - lr m / (sqrt(v) + eps).

    Args:
        beta1: Decay of the first moment, in [0, 1).
        beta2: Decay of the second moment, in [0, 1).
        eps: Added to sqrt(v), positive.
    """

    def __init__(self, *, beta1: float, beta2: float, eps: float) -> None:
        for name, value in (("beta1", beta1), ("beta2", beta2)):
            if not 0 <= value < 1:
                raise ConfigError(f"`{name}` must be in [0, 1), got {value}.")
        if eps <= 0:
            raise ConfigError(f"`eps` must be positive, got {eps}.")
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def init(self, flat: Float[Tensor, "replica param"]) -> Params:
        """Zero moments and a step count of zero per row."""
        return {
            "m": torch.zeros_like(flat),
            "v": torch.zeros_like(flat),
            "t": torch.zeros(len(flat), 1, dtype=torch.float64, device=flat.device),
        }

    def update(
        self,
        flat: Float[Tensor, "replica param"],
        grads: Float[Tensor, "replica param"],
        state: Params,
        hyper: Hyper,
    ) -> None:
        """One step, in place on `flat` and `state`."""
        m, v, t = state["m"], state["v"], state["t"]
        t += 1
        scale2 = (1 - self.beta2**t).sqrt()
        # lr (m / c1) / (sqrt(v) / scale2 + eps), in as few passes over the rows as there are.
        rate = (hyper.lr.unsqueeze(1) * scale2 / (1 - self.beta1**t)).to(flat.dtype)
        decay = (hyper.lr * hyper.weight_decay).unsqueeze(1)
        flat.mul_(torch.addcmul(flat.new_ones(()), decay, hyper.decays, value=-1))
        m.lerp_(grads, 1 - self.beta1)
        v.mul_(self.beta2).addcmul_(grads, grads, value=1 - self.beta2)
        denominator = v.sqrt().add_((self.eps * scale2).to(flat.dtype))
        flat.addcdiv_(m * rate, denominator, value=-1)
