"""Adam, weight decay in the gradient, one row per replica (Kingma & Ba, arXiv:1412.6980)."""

from typing import final

from observatory.core.contracts import Hyper, Rows
from observatory.core.layout import Params
from observatory.maths.decay import with_penalty
from observatory.maths.moments import Moments


@final
class Adam:
    """The update of `torch.optim.Adam`, with learning rate, decay and step count per replica.

    The decay rate times the weights is added to the gradient (L2 regularisation) and therefore goes
    through both moments: unlike AdamW's, its strength depends on the scale of the loss.

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
        self.moments.step(flat, with_penalty(flat, grads, hyper), state, hyper.lr)
