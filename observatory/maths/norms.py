"""Norms of stacked parameters, and the groups in which they are reported."""

from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.layout import Params


def parameter_groups(names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Parameters by group: the name without its last part, or the name itself if it has one.

    Args:
        names: Parameter names; groups keep the order of first appearance.

    Example:
        >>> parameter_groups(["W_E", "blocks.0.attn.W_Q", "blocks.0.attn.W_K"])
        {'W_E': ('W_E',), 'blocks.0.attn': ('blocks.0.attn.W_Q', 'blocks.0.attn.W_K')}
    """
    groups: dict[str, tuple[str, ...]] = {}
    for name in names:
        group = name.rpartition(".")[0] or name
        groups[group] = (*groups.get(group, ()), name)
    return groups


def group_norms(params: Params) -> Float[Tensor, "replica group"]:
    r"""L2 norm of every group of `parameter_groups`, $\lVert w_g \rVert_2$, in its order.

    Their root sum of squares is the norm of all weights. Not divided by the number of weights.

    Args:
        params: Stacked parameters, each `[replica, ...]`.

    Returns:
        One norm per replica and group, dimensionless, float64.

    Raises:
        ValueError: If `params` is empty.

    Example:
        >>> group_norms({"W_E": torch.tensor([[3.0, 4.0], [0.0, 1.0]])})
        tensor([[5.],
                [1.]], dtype=torch.float64)
    """
    if not params:
        raise ValueError("`params` must hold at least one tensor, got none.")
    groups = parameter_groups(params)
    squares = torch.stack(
        [
            torch.linalg.vector_norm(params[name].flatten(start_dim=1), dim=1, dtype=torch.float64)
            for names in groups.values()
            for name in names
        ],
        dim=1,
    ).square()
    members = squares.split([len(names) for names in groups.values()], dim=1)
    return torch.stack([group.sum(dim=1) for group in members], dim=1).sqrt()
