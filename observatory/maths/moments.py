"""Adam's two moments, one row per replica (Kingma & Ba, arXiv:1412.6980)."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.contracts import Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Params


@dataclass(frozen=True)
class Moments:
    """The step of Adam without any weight decay."""

    beta1: float  # decay of the first moment, in [0, 1)
    beta2: float  # decay of the second moment, in [0, 1)
    eps: float  # added to sqrt(v), positive

    def __post_init__(self) -> None:
        for name, value in (("beta1", self.beta1), ("beta2", self.beta2)):
            if not 0 <= value < 1:
                raise ConfigError(f"`{name}` must be in [0, 1), got {value}.")
        if self.eps <= 0:
            raise ConfigError(f"`eps` must be positive, got {self.eps}.")

    def init(self, flat: Rows) -> Params:
        """Zero moments and a step count of zero per row."""
        return {
            "m": torch.zeros_like(flat),
            "v": torch.zeros_like(flat),
            "t": torch.zeros(len(flat), 1, dtype=torch.float64, device=flat.device),
        }

    def step(
        self,
        flat: Rows,
        grads: Rows,
        state: Params,
        lr: Float[Tensor, " replica"],
    ) -> None:
        """Subtract lr m / (sqrt(v) + eps), with bias-corrected moments m, v, in place."""
        m, v, t = state["m"], state["v"], state["t"]
        t += 1
        scale2 = (1 - self.beta2**t).sqrt()
        # lr (m / c1) / (sqrt(v) / scale2 + eps), in as few passes over the rows as there are.
        rate = (lr.unsqueeze(1) * scale2 / (1 - self.beta1**t)).to(flat.dtype)
        m.lerp_(grads, 1 - self.beta1)
        v.mul_(self.beta2).addcmul_(grads, grads, value=1 - self.beta2)
        denominator = v.sqrt().add_((self.eps * scale2).to(flat.dtype))
        flat.addcdiv_(m * rate, denominator, value=-1)
