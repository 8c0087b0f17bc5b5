"""Many Li2 networks at once, a few hundred examples at a time.

Two thousand hidden units of two thousand examples fill 16 MB, and what is done to them between the
matrix products is elementwise: written out over the whole batch, it waits for memory. In blocks
that stay in the cache, and with the hidden layer computed anew for the gradient instead of kept,
a step takes a third of the time. The product with one-hots is a look-up of rows.
"""

from typing import Any, final

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from observatory.core.contracts import Inputs, Logits
from observatory.core.layout import Params
from observatory.maths.nonlinearities import Nonlinearity
from observatory.maths.row_sums import row_sums

BLOCK = 256  # examples; 2 MB of 2048 float32 units, flat between 128 and 512


@final
class Blockwise:
    """Stacked forward of Li2 networks; see the module's text."""

    def __init__(self, d_vocab: int, n_operands: int, activation: Nonlinearity) -> None:
        self.activation, self.d_vocab = activation, d_vocab
        self.operand = d_vocab * torch.arange(n_operands)

    def __call__(self, params: Params, inputs: Inputs) -> Logits:
        """Logits of every replica on its own examples."""
        w_in, w_out, rows = params["W_in"], params["W_out"], self._rows(inputs)
        if w_in.is_cuda:  # whose kernels want the whole batch, and sum gradients in fixed order
            return torch.bmm(self.activation(row_sums(w_in, rows)), w_out)
        logits = _Blockwise.apply(w_in, w_out, rows, self.activation is F.relu)
        assert isinstance(logits, Tensor)
        return logits

    def record(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """Logits, input and hidden layer, on examples shared by all replicas."""
        w_in = params["W_in"]
        rows = self._rows(inputs.expand(len(w_in), -1, -1))
        onehots = F.one_hot(inputs, self.d_vocab).to(w_in.dtype).flatten(start_dim=1)
        before = row_sums(w_in, rows)
        hidden = self.activation(before)
        return {
            "logits": torch.bmm(hidden, params["W_out"]),
            "blocks.0.onehots": onehots.expand(len(w_in), -1, -1),
            "blocks.0.mlp_pre": before,
            "blocks.0.mlp_post": hidden,
            "final": hidden,
        }

    def _rows(self, inputs: Tensor) -> Tensor:
        return inputs + self.operand.to(inputs.device)


class _Blockwise(torch.autograd.Function):
    """sigma(sum of rows of w_in) w_out, for sigma the ReLU or the square."""

    @staticmethod
    def forward(ctx: Any, w_in: Tensor, w_out: Tensor, rows: Tensor, relu: bool) -> Tensor:
        ctx.save_for_backward(w_in, w_out, rows)
        ctx.relu = relu
        logits = w_out.new_empty(*rows.shape[:2], w_out.shape[2])
        for r in range(len(rows)):
            blocks = zip(rows[r].split(BLOCK), logits[r].split(BLOCK), strict=True)
            for chosen, out in blocks:
                before = F.embedding_bag(chosen, w_in[r], mode="sum")
                torch.mm(_overwrite(before, relu), w_out[r], out=out)
        return logits

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:
        w_in, w_out, rows = ctx.saved_tensors
        to_in, to_out = torch.zeros_like(w_in), torch.zeros_like(w_out.transpose(1, 2))
        for r in range(len(rows)):
            back = w_out[r].T if ctx.relu else 2 * w_out[r].T  # the square's slope is 2 x
            blocks = zip(rows[r].split(BLOCK), gradients[0][r].split(BLOCK), strict=True)
            for chosen, gradient in blocks:
                before = F.embedding_bag(chosen, w_in[r], mode="sum")
                pulled = gradient @ back
                pulled.mul_(before > 0 if ctx.relu else before)
                for row in chosen.unbind(dim=1):
                    to_in[r].index_add_(0, row, pulled)
                to_out[r].addmm_(gradient.T, _overwrite(before, ctx.relu))
        return to_in, to_out.transpose(1, 2), None, None


def _overwrite(before: Tensor, relu: bool) -> Tensor:
    return before.relu_() if relu else before.square_()
