"""CETT: how large the sum of the outputs of a feed-forward layer's weak neurons is.

Neuron i gives $n_i = a_i W_{out}[i]$; those with a small norm can be left out.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

Neurons = Float[Tensor, "row neuron"]
OutputWeights = Float[Tensor, "neuron output"]


def neuron_norms(a: Neurons, w_out: OutputWeights) -> Neurons:
    r"""$\lVert n_i \rVert = |a_i| \lVert W_{out}[i] \rVert$ of every token and neuron."""
    return a.abs() * torch.linalg.vector_norm(w_out, dim=-1)


def strong(a: Neurons, w_out: OutputWeights, threshold: float) -> Bool[Tensor, "row neuron"]:
    """Neurons whose output is above a norm; their share is the activation ratio."""
    return neuron_norms(a, w_out) > threshold


def cett(a: Neurons, w_out: OutputWeights, threshold: float) -> float | None:
    """Norm of the sum of the weak neurons' outputs over that of all, mean over tokens.

    It need not grow with the threshold: outputs are vectors and may cancel.

    Args:
        a: Activations that the output weights read.
        w_out: Output weights, as in `a @ w_out`.
        threshold: Norm up to which a neuron is weak.

    Returns:
        Dimensionless; tokens without any output are left out, None where there is no other.

    Source:
        Sparsing Law, arXiv:2411.02335. Deviation: biases are no neuron, as in the definition.
    """
    whole = torch.linalg.vector_norm((a @ w_out).double(), dim=-1)
    weak = torch.where(strong(a, w_out, threshold), 0.0, a)
    left = torch.linalg.vector_norm((weak @ w_out).double(), dim=-1)
    there = whole > 0
    return float((left[there] / whole[there]).mean()) if bool(there.any()) else None


def threshold_of(a: Neurons, w_out: OutputWeights, target: float) -> float:
    """The norm at which CETT reaches a target, by bisection over all norms that occur.

    Exact where CETT grows with the norm, which it need not do everywhere.

    Args:
        a: Activations.
        w_out: Output weights.
        target: CETT, in [0, 1].

    Returns:
        The largest norm found at which CETT is not above the target; -1 where even the weakest
        neurons are too much, or the layer gives nothing: then none is weak.

    Source:
        Sparsing Law, arXiv:2411.02335. Deviation: the code tries 65 536 equally spaced values.
    """
    norms = neuron_norms(a, w_out).flatten().unique()
    low, high = -1, len(norms)  # the last that is small enough, the first that is known not to be
    while high - low > 1:
        middle = (low + high) // 2
        reached = cett(a, w_out, float(norms[middle]))
        if reached is not None and reached <= target:
            low = middle
        else:
            high = middle
    return float(norms[low]) if low >= 0 else -1.0
