"""Which inputs of a product can be left out: by magnitude, by weight, by thresholds of channels."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def kept(score: Float[Tensor, "*rows channel"], share: float) -> Bool[Tensor, "*rows channel"]:
    """The largest scores of every row, int(n share) of them; of equal ones the first.

    Args:
        score: Scores; magnitudes for the usual rule.
        share: Of the channels that are kept, in [0, 1].

    Example:
        >>> kept(torch.tensor([0.5, -1.0, 2.0]), 0.67)
        tensor([ True, False,  True])
    """
    largest = score.topk(int(score.shape[-1] * share), dim=-1).indices
    return torch.zeros_like(score, dtype=torch.bool).scatter_(-1, largest, True)


def wina_scores(
    x: Float[Tensor, "*rows channel"], w: Float[Tensor, "channel output"]
) -> Float[Tensor, "*rows channel"]:
    r"""$|x_j| \lVert W_j \rVert_2$: best where the rows of W are orthogonal.

    Args:
        x: Inputs.
        w: Weights, as in `x @ w`.

    Source:
        WINA, arXiv:2505.19427. Deviation: the norm enters at every product, as in the paper; the
        released code has it at two of them, after a rotation.
    """
    return x.abs() * torch.linalg.vector_norm(w, dim=-1)


@dataclass(frozen=True)
class ChannelThresholds:
    """Below which gate activations are dropped, a threshold for each channel.

    Attributes:
        thresholds: `[channel]`; infinite where the channel says nothing.
        importance: The importance at the threshold, the same for all channels.
        mean_square: Mean square of what each channel's gate is multiplied with.
    """

    thresholds: Tensor
    importance: float
    mean_square: Tensor


def chess_thresholds(
    gate: Float[Tensor, "row channel"], up: Float[Tensor, "row channel"], sparsity: float
) -> ChannelThresholds:
    r"""Thresholds $\sqrt{t / E[u_i^2]}$ at which a share `sparsity` of a gated MLP is dropped.

    An activation stays where its magnitude is above the threshold of its channel.

    Args:
        gate: Activations of the gate, after the nonlinearity.
        up: What they are multiplied with.
        sparsity: Share that is dropped, in [0, 1].

    Source:
        CHESS, arXiv:2409.01366, equation of the channel-wise threshold. Deviation: the quantile is
        exact, where the code averages it over 16 groups of batches.
    """
    mean_square = up.square().mean(dim=0)
    importance = float(_smallest((gate.square() * mean_square).flatten(), sparsity))
    thresholds = torch.where(
        mean_square > 0, (importance / mean_square).sqrt(), torch.full_like(mean_square, torch.inf)
    )
    return ChannelThresholds(thresholds, importance, mean_square)


def cats_threshold(gate: Float[Tensor, "row channel"], sparsity: float) -> float:
    """The one magnitude below which a share `sparsity` of the gate activations lies.

    Source:
        CATS, as the baseline of CHESS, arXiv:2409.01366.
    """
    return float(_smallest(gate.abs().flatten(), sparsity))


def _smallest(values: Float[Tensor, " n"], share: float) -> Tensor:
    """The k-th smallest with k = int(n share); 0 for k = 0, below which nothing lies."""
    k = int(values.numel() * share)
    return values.kthvalue(k).values if k else values.new_zeros(())
