"""OrthoGrad: no step along the weights, before another optimizer sees the gradient."""

from typing import final

import torch
from torch import Tensor

from observatory.core.contracts import Hyper, Optimizer, Rows
from observatory.core.errors import ConfigError
from observatory.core.layout import Layout, Params


def orthogonal_gradients(
    flat: Rows,
    grads: Rows,
    layout: Layout,
    eps: float,
) -> Rows:
    """Gradients without their component along each weight tensor, at their old norms.

    Per replica and weight tensor w with gradient g: h = g - (w.g / (w.w + eps)) w, then
    h |g| / (|h| + eps). Where w is zero, h is g.

    Args:
        flat: Weights.
        grads: Gradients, left as they are.
        layout: Which weight lies where. A weight of a single entry has no direction across itself:
            its gradient is kept.
        eps: Keeps both quotients finite.

    Example:
        >>> row = Layout(("W",), (torch.Size([2]),), ("hidden",))
        >>> w, g = torch.tensor([[2.0, 0.0]]), torch.tensor([[3.0, 4.0]])
        >>> orthogonal_gradients(w, g, row, eps=1e-30)
        tensor([[0., 5.]])
    """
    pieces = list[Tensor]()
    for w, g in zip(flat.split(layout.sizes, 1), grads.split(layout.sizes, 1), strict=True):
        if w.shape[1] == 1:
            pieces.append(g)
            continue
        along = torch.linalg.vecdot(w, g) / (torch.linalg.vecdot(w, w) + eps)
        across = torch.addcmul(g, along.unsqueeze(1), w, value=-1)
        norms = torch.linalg.vector_norm(across, dim=1, keepdim=True) + eps
        pieces.append(across.mul_(torch.linalg.vector_norm(g, dim=1, keepdim=True) / norms))
    return torch.cat(pieces, dim=1)


@final
class OrthoGrad:
    """Gives `inner` the `orthogonal_gradients`, so that a homogeneous network cannot merely grow.

    Args:
        eps: Added to |w|^2 and to the norm of the new gradient, positive.
        inner: Optimizer that makes the step; its state is the only one. Adam's moments do not keep
            the step orthogonal to the weights, nor does decay.

    Source:
        Prieto et al. (2025), arXiv:2501.04697. Deviation: weights of one entry are left out.
    """

    def __init__(self, *, eps: float, inner: Optimizer) -> None:
        if eps <= 0:
            raise ConfigError(f"`eps` must be positive, got {eps}.")
        self.eps, self.inner = eps, inner

    def init(self, flat: Rows) -> Params:
        """The state of `inner`."""
        return self.inner.init(flat)

    def update(self, flat: Rows, grads: Rows, state: Params, hyper: Hyper) -> None:
        """One step, in place on `flat` and `state`."""
        across = orthogonal_gradients(flat, grads, hyper.layout, self.eps)
        self.inner.update(flat, across, state, hyper)
