"""Weight decay of every entry of the rows, and how it acts."""

import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.contracts import Hyper


def kept(hyper: Hyper) -> Float[Tensor, "replica param"]:
    """Decoupled decay: the share 1 - lr w of every weight that one step keeps, 1 if undecayed."""
    rate = (hyper.lr * hyper.weight_decay).unsqueeze(1)
    return torch.addcmul(hyper.decays.new_ones(()), rate, hyper.decays, value=-1)


def with_penalty(
    flat: Float[Tensor, "replica param"], grads: Float[Tensor, "replica param"], hyper: Hyper
) -> Float[Tensor, "replica param"]:
    """Coupled decay: new gradients, those of the loss + w/2 times the squares of the weights."""
    return (hyper.weight_decay.unsqueeze(1) * hyper.decays).mul_(flat).add_(grads)
