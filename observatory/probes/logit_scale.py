"""Size of the logits of each replica, apart from the shift that a softmax cannot see."""

import math
from typing import ClassVar, final

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Measurement, Probe
from observatory.core.view import FleetView


def logit_scale(logits: Float[Tensor, "replica batch d_vocab"]) -> Float[Tensor, " replica"]:
    """Root mean square of the logits, centred over classes within each example.

    Not the norm, and not the margin: adding a number to all logits of an example changes nothing.

    Args:
        logits: Logits on the probe examples.

    Returns:
        One scale per replica, in nats (logits are log-probabilities up to a shift), float64.

    Source:
        This project's definition.

    Example:
        >>> import torch
        >>> logit_scale(torch.tensor([[[5.0, 3.0], [0.0, 2.0]]]))
        tensor([1.], dtype=torch.float64)
    """
    z = logits.double()
    centred = (z - z.mean(dim=-1, keepdim=True)).flatten(start_dim=1)
    return torch.linalg.vector_norm(centred, dim=1) / math.sqrt(centred.shape[1])


@final
class LogitScale(Probe):
    """Writes `logit_scale` for every replica."""

    needs = (("logits",),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="logit_scale",
            unit="nats",
            meaning="root mean square of the class-centred logits on the probe examples",
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `logit_scale`."""
        return {"logit_scale": logit_scale(view.activations["logits"])}
