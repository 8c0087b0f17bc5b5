"""Squared error against one-hot labels."""

from typing import final

from torch.nn import functional as F

from observatory.core.contracts import Labels, Logits, PerExample


@final
class MseOneHot:
    r"""$\frac{1}{C} \sum_k (z_k - \delta_{ky})^2$ over the C classes: the mean of `nn.MSELoss`.

    Not the sum over classes, which is C times it. Zero logits have the loss 1 / C.
    """

    unit = "1"
    coupled = False

    def each(self, logits: Logits, labels: Labels, counted: PerExample | None) -> PerExample:
        """The loss of every example."""
        targets = F.one_hot(labels, logits.shape[2]).to(logits.dtype)
        return (logits - targets).square().mean(dim=2)
