"""Cross entropy of StableMax, which grows linearly where the softmax grows exponentially."""

from typing import final

import torch

from observatory.core.contracts import Labels, Logits, PerExample


def _stablemax_scores(logits: Logits) -> Logits:
    """s(x) = x + 1 for x >= 0, else 1 / (1 - x): positive, rising, with s'(0) = 1 on both sides.

    Example:
        >>> _stablemax_scores(torch.tensor([[[-1.0, 0.0, 3.0]]]))
        tensor([[[0.5000, 1.0000, 4.0000]]])
    """
    # Both branches stay finite everywhere, so that neither gives the other a NaN gradient.
    return torch.where(logits >= 0, logits + 1, 1 / (1 - logits.clamp(max=0)))


@final
class StableMax:
    r"""$-\log \left(s(z)_y / \sum_k s(z)_k\right)$, in nats, with `_stablemax_scores` s.

    Source:
        Prieto et al. (2025), arXiv:2501.04697. Deviation: written as log(1 + the sum of the other
        scores over the label's), which is the same number and keeps losses below the rounding of 1.
    """

    unit = "nats"
    coupled = False

    def each(self, logits: Logits, labels: Labels, counted: PerExample | None) -> PerExample:
        """The loss of every example."""
        scores, at_label = _stablemax_scores(logits), labels.unsqueeze(2)
        others = scores.scatter(2, at_label, 0).sum(dim=2)
        return torch.log1p(others / scores.gather(2, at_label).squeeze(2))
