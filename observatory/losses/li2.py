"""Squared error of centred logits: the loss under which the Li2 network is analysed."""

from typing import final

from torch.nn import functional as F

from observatory.core.contracts import Labels, Logits, PerExample
from observatory.core.settings import Positive, check_arguments, known_name

CENTRES = ("classes", "samples")


@final
class Li2:
    r"""$\mathrm{scale} \cdot \lVert \tilde r \rVert^2$ with the residual $r = z - e_y$ centred.

    The squares are summed over classes; a replica's loss is the mean over examples, so the total
    is scale / n times the squared Frobenius norm of the centred residuals. No factor 1/2: that
    would be scale = 0.5, and the paper's sum over examples scale = n / 2. Against decay in the
    gradient (Adam, SGD) the scale matters; without decay Adam cannot tell.

    Args:
        centre: What the mean is taken over and removed from logits and one-hot labels alike.
            "classes": over the classes of each example, as in the released code. "samples": over
            the examples that count, for each class, as in the paper, $P_1 = I - 11^\top / n$; an
            example's loss then depends on the others of its batch.
        scale: Factor on everything, positive.

    Source:
        Tian (2025), arXiv:2509.21519. Deviation: none but the scale.
    """

    unit = "1"

    def __init__(self, *, centre: str, scale: Positive) -> None:
        known_name("centre", centre, CENTRES)
        check_arguments(Li2, scale=scale)
        self.coupled, self.scale = centre == "samples", scale

    def each(self, logits: Logits, labels: Labels, counted: PerExample | None) -> PerExample:
        """The loss of every example; where `coupled`, of a mean over those that count."""
        residual = logits - F.one_hot(labels, logits.shape[2]).to(logits.dtype)
        if not self.coupled:
            mean = residual.mean(dim=2, keepdim=True)
        elif counted is None:
            mean = residual.mean(dim=1, keepdim=True)
        else:
            mask = counted.to(logits.dtype)[:, :, None]
            # A product would turn an infinite logit of an example that does not count into NaN.
            mean = residual.where(mask > 0, 0).sum(dim=1, keepdim=True)
            mean = mean / mask.sum(dim=1, keepdim=True)
        return self.scale * (residual - mean).square().sum(dim=2)
