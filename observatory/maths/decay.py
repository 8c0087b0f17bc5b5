"""Weight decay of every entry of the rows, and how it acts."""

import torch

from observatory.core.contracts import Hyper, Rows


def kept(hyper: Hyper) -> Rows:
    """Decoupled decay: the share 1 - lr w of every weight that one step keeps, 1 if undecayed."""
    rate = (hyper.lr * hyper.weight_decay).unsqueeze(1)
    return torch.addcmul(hyper.decays.new_ones(()), rate, hyper.decays, value=-1)


def with_penalty(flat: Rows, grads: Rows, hyper: Hyper) -> Rows:
    """Coupled decay: new gradients, those of the loss + w/2 times the squares of the weights."""
    return (hyper.weight_decay.unsqueeze(1) * hyper.decays).mul_(flat).add_(grads)
