"""Cross entropy of the softmax."""

from typing import final

from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@final
class CrossEntropy:
    r"""$-\log \mathrm{softmax}(z)_y$, in nats; float32 or float64 is `fleet.loss_dtype`."""

    unit = "nats"
    coupled = False

    def each(
        self,
        logits: Float[Tensor, "replica batch d_vocab"],
        labels: Int[Tensor, "replica batch"],
        counted: Float[Tensor, "replica batch"] | None,
    ) -> Float[Tensor, "replica batch"]:
        """The loss of every example."""
        flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        return flat.view(labels.shape)
