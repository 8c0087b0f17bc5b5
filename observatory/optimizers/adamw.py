"""AdamW, decoupled weight decay, one row per replica (Loshchilov & Hutter, arXiv:1711.05101)."""

from typing import final

from observatory.core.contracts import Hyper, Rows
from observatory.core.layout import Params
from observatory.maths.decay import kept
from observatory.maths.moments import Moments


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
        self.moments = Moments(beta1, beta2, eps)

    def init(self, flat: Rows) -> Params:
        """Zero moments and a step count of zero per row."""
        return self.moments.init(flat)

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        flat.mul_(kept(hyper))
        self.moments.step(flat, grads, state, hyper.lr)
