"""The operands of an example as one row: embedded by one table, or one-hots."""

from collections.abc import Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.core.layout import Weight


def operand_table(
    d_vocab: int, d_model: int | None, n_operands: int
) -> tuple[nn.Parameter | None, int]:
    """The table `[d_vocab, d_model]`, not yet drawn, and the width of a row.

    Args:
        d_vocab: Number of operand symbols.
        d_model: Width of the embedding of one operand; None for one-hots, which need no table.
        n_operands: Operands per example.

    Example:
        >>> operand_table(31, None, 2)
        (None, 62)
    """
    if d_model is None:
        return None, n_operands * d_vocab
    return nn.Parameter(torch.empty(d_vocab, d_model)), n_operands * d_model


def flat_operands(
    inputs: Int[Tensor, "batch pos"], table: Tensor | None, d_vocab: int, dtype: torch.dtype
) -> Float[Tensor, "batch d_in"]:
    """The operands beside each other, by the table or as one-hots of a type.

    Example:
        >>> flat_operands(torch.tensor([[0, 2]]), None, 3, torch.float32)
        tensor([[1., 0., 0., 0., 0., 1.]])
    """
    x = F.one_hot(inputs, d_vocab).to(dtype) if table is None else table[inputs]
    return x.flatten(start_dim=1)


def token_table(
    params: Mapping[str, Tensor], weights: Mapping[str, Weight], n: int
) -> Float[Tensor, "replica element param"] | None:
    """Rows of the operands in the embedding; None of a network that has none, as on one-hots.

    The first embedding with n rows, or n and one for a query token, which is left out.
    """
    for name, stack in params.items():
        if weights[name].role == "embedding" and stack.ndim == 3 and stack.shape[1] in (n, n + 1):
            return stack[:, :n].double()
    return None
