"""The softmax at the labels: where it has collapsed to one class, and what it gives the label."""

from typing import ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Measurement, Probe
from observatory.core.view import FleetView


def collapsed_share(
    logits: Float[Tensor, "replica batch d_vocab"], loss_dtype: str
) -> Float[Tensor, " replica"]:
    r"""Share of examples whose $\sum_j \exp(z_j - \max z)$ equals 1 exactly.

    There every other class is lost in rounding; where the largest logit is the right one, the loss
    is exactly zero. Whether it is the right one is not looked at.

    Args:
        logits: Logits on the probe examples.
        loss_dtype: Precision of the training loss: "float32" or "float64".

    Returns:
        One share in [0, 1] per replica, float64; NaN where a logit is not finite.

    Source:
        Prieto et al. (2025), Grokking at the edge of numerical stability, arXiv:2501.04697.
        Deviation: on the probe examples, not on the training set.

    Example:
        >>> collapsed_share(torch.tensor([[[20.0, 0.0], [1.0, 0.0]]]), "float32")
        tensor([0.5000], dtype=torch.float64)
        >>> collapsed_share(torch.tensor([[[20.0, 0.0], [1.0, 0.0]]]), "float64")
        tensor([0.], dtype=torch.float64)
    """
    z = logits.to(getattr(torch, loss_dtype))
    largest = z.mT.contiguous().amax(dim=1)  # across rows: less than half the time
    total = (z - largest.unsqueeze(-1)).exp_().sum(dim=-1)
    collapsed = (total == 1).double()
    return collapsed.masked_fill(total.isnan(), torch.nan).mean(dim=1)


@final
class SoftmaxCollapse(Probe):
    """Writes `collapsed_share` for every replica."""

    needs = (("logits",),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="collapsed_share",
            unit="1",
            meaning="share of probe examples whose sum of exp(z - max z) is exactly 1 "
            "in the precision of the training loss",
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `collapsed_share`."""
        return {"collapsed_share": collapsed_share(view.activations["logits"], view.loss_dtype)}


QUANTILES = 19


def log_probabilities(
    logits: Float[Tensor, "replica batch d_vocab"], labels: Int[Tensor, "replica batch"]
) -> Float[Tensor, "replica draw"]:
    """Quantiles 0.05, 0.10, ..., 0.95 over examples of the log-probability of the label, in nats.

    Source:
        arXiv:2605.08237. Deviation: on the probe examples.

    Example:
        >>> log_probabilities(torch.zeros(1, 3, 2), torch.zeros(1, 3, dtype=torch.int64))[0, :2]
        tensor([-0.6931, -0.6931], dtype=torch.float64)
    """
    given = logits.double().log_softmax(dim=2).gather(2, labels[:, :, None])[:, :, 0]
    at = torch.arange(1, QUANTILES + 1, dtype=given.dtype, device=given.device) / (QUANTILES + 1)
    return given.quantile(at, dim=1).T.contiguous()


@final
class LogProbabilities(Probe):
    """Writes `log_probabilities` for every replica."""

    needs = (("logits",),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column(
            name="log_prob",
            unit="nats",
            meaning="quantiles 0.05 to 0.95, in steps of 0.05, over probe examples of the "
            "log-probability of the label",
            dims=("quantile",),
        ),
    )

    def measure(self, view: FleetView) -> Measurement:
        """See `log_probabilities`."""
        return {"log_prob": log_probabilities(view.activations["logits"], view.labels)}
