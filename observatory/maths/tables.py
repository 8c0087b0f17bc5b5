"""Looking up rows of every replica's own tables."""

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


def gather(
    table: Float[Tensor, "replica d_vocab width"], rows: Int[Tensor, "replica batch"]
) -> Float[Tensor, "replica batch width"]:
    """Rows `rows[r]` of replica r's table.

    Args:
        table: One table per replica.
        rows: Counted through the flattened (replica, row) axis.
    """
    flat = table.flatten(0, 1)
    if flat.is_cuda:  # where the gradient of the other would be summed in no fixed order
        return F.embedding(rows, flat)
    # And where this one's is three times as slow.
    return flat.index_select(0, rows.flatten()).view(*rows.shape, -1)


def look_up(
    tables: list[Float[Tensor, "replica d_vocab _"]], rows: Int[Tensor, "replica batch"]
) -> list[Tensor]:
    """`gather` from several tables of any widths at once, `[replica, batch, width]` of each."""
    found = gather(torch.cat(tables, dim=2), rows)
    return list(found.split([table.shape[2] for table in tables], dim=2))
