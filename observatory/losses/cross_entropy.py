"""Cross entropy of the softmax."""

from typing import final

from torch.nn import functional as F

from observatory.core.contracts import Labels, Logits, PerExample


@final
class CrossEntropy:
    r"""$-\log \mathrm{softmax}(z)_y$, in nats; float32 or float64 is `fleet.loss_dtype`."""

    unit = "nats"
    coupled = False

    def each(self, logits: Logits, labels: Labels, counted: PerExample | None) -> PerExample:
        """The loss of every example."""
        flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
        return flat.view(labels.shape)
