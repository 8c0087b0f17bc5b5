"""A stack of LSTM layers that reads the operands in turn and answers after the last.

Letters (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000): i f g o the input
gate, forget gate, candidate and output gate, side by side in this order in the columns of W_ih and
W_hh as in `nn.LSTM`; c the cell, h = o tanh(c) the hidden state. A weight maps rows, `x @ W`, so
W_ih and W_hh are the transposes of `nn.LSTM`'s. The cell is written out because `nn.LSTM` cannot
be vmapped.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from observatory.core.contracts import FastPath
from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint
from observatory.models.lstm.recurrent_forward import RecurrentForward


@final
class Block(nn.Module):
    """One LSTM layer over all positions, from zero hidden and cell states."""

    def __init__(self, d_in: int, d_hidden: int) -> None:
        super().__init__()
        self.W_ih = nn.Parameter(torch.empty(d_in, 4 * d_hidden))
        self.W_hh = nn.Parameter(torch.empty(d_hidden, 4 * d_hidden))
        self.b_ih = nn.Parameter(torch.empty(4 * d_hidden))
        self.b_hh = nn.Parameter(torch.empty(4 * d_hidden))
        self.input, self.hidden_prev = HookPoint(), HookPoint()
        self.hidden, self.cell = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch pos _"]) -> Float[Tensor, "batch pos d_hidden"]:
        """Position by position, c <- f c + i g and h <- o tanh(c); returns every h."""
        from_input = self.input(x) @ self.W_ih + self.b_ih + self.b_hh
        hidden = cell = x.new_zeros(len(x), self.W_hh.shape[0])
        hiddens, cells = [hidden], [cell]
        for gates in from_input.unbind(dim=1):
            i, f, g, o = (gates + hidden @ self.W_hh).chunk(4, dim=-1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            hiddens.append(hidden)
            cells.append(cell)
        self.hidden_prev(torch.stack(hiddens[:-1], dim=1))
        self.cell(torch.stack(cells[1:], dim=1))
        return self.hidden(torch.stack(hiddens[1:], dim=1))


@final
class Lstm(nn.Module):
    """One LSTM: operands in, the answer read from the last layer's last hidden state.

    Args:
        n_layers: Number of layers.
        d_model: Width of the embedding.
        d_hidden: Width of the hidden and cell states.
        embed_std: Standard deviation of W_E at initialisation. Everything else starts uniform
            within 1/sqrt(d_hidden), as `nn.LSTM` has it.
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example, the length of the sequence.

    Raises:
        ConfigError: If a size is below 1.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        d_model: Size,
        d_hidden: Size,
        embed_std: NotNegative,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(
            Lstm, n_layers=n_layers, d_model=d_model, d_hidden=d_hidden, embed_std=embed_std
        )
        self.n_layers, self.n_operands, self.embed_std = n_layers, n_operands, embed_std
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))
        self.blocks = nn.ModuleList(
            Block(d_hidden if layer else d_model, d_hidden) for layer in range(n_layers)
        )
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_hidden, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`: a normal embedding, the rest uniform, biases included."""
        bound = 1 / math.sqrt(self.W_U.shape[0])
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                if name == "W_E":
                    parameter.normal_(0.0, self.embed_std, generator=rng)
                else:
                    parameter.uniform_(-bound, bound, generator=rng)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer, read at the last operand."""
        x = self.W_E[inputs]
        for block in self.blocks:
            x = block(x)
        return self.final(x[:, -1]) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """Both states of every layer, what its matrices read, and what W_U reads: `final`."""
        named = {"final": "batch d_hidden"}
        for layer in range(self.n_layers):
            named[f"blocks.{layer}.input"] = f"batch pos {'d_hidden' if layer else 'd_model'}"
            for kind in ("hidden_prev", "hidden", "cell"):
                named[f"blocks.{layer}.{kind}"] = "batch pos d_hidden"
        return named

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_ih and W_hh are hidden, W_U reads out, biases are pointwise."""
        declared = {"W_E": Weight("embedding"), "W_U": Weight("readout", reads="final")}
        for layer in range(self.n_layers):
            path = f"blocks.{layer}"
            declared[f"{path}.W_ih"] = Weight("hidden", reads=f"{path}.input")
            declared[f"{path}.W_hh"] = Weight("hidden", reads=f"{path}.hidden_prev")
            declared[f"{path}.b_ih"] = declared[f"{path}.b_hh"] = Weight("pointwise")
        return declared

    def fast_path(self) -> FastPath | None:
        """`RecurrentForward` for two operands or more; None for one: no recurrence."""
        return RecurrentForward(self.n_layers) if self.n_operands > 1 else None
