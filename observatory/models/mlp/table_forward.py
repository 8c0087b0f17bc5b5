"""Many perceptrons at once: the first layer is a table per operand, looked up and added.

An operand has `d_vocab` values only, and its part of the first layer's product depends on nothing
else: embedding times its slice of W_in, `d_vocab` rows instead of one per example. On one-hots
W_in itself is that table.
"""

from typing import final

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from observatory.core.contracts import Inputs, Logits
from observatory.core.layout import Params
from observatory.maths.nonlinearities import Nonlinearity, overwriting
from observatory.maths.row_sums import row_sums


@final
class TableForward:
    """Stacked forward of perceptrons; see the module's text for what it saves."""

    def __init__(
        self,
        *,
        n_layers: int,
        d_vocab: int,
        n_operands: int,
        embeds: bool,
        bias: bool,
        activation: Nonlinearity,
    ) -> None:
        self.n_layers, self.d_vocab, self.n_operands = n_layers, d_vocab, n_operands
        self.embeds, self.bias, self.activation = embeds, bias, activation

    def __call__(self, params: Params, inputs: Inputs) -> Logits:
        """Logits of every replica on its own examples."""
        activation = overwriting(self.activation)
        x = activation(self._first(params, inputs))
        for layer in range(1, self.n_layers):
            x = activation(self._later(params, layer, x))
        return torch.bmm(x, params["W_U"])

    def record(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """Logits and every hooked activation, on examples shared by all replicas."""
        size = len(params["W_U"])
        if self.embeds:
            x = params["W_E"][:, inputs].flatten(start_dim=2)
        else:
            one_hots = F.one_hot(inputs, self.d_vocab).to(params["W_U"].dtype)
            x = one_hots.flatten(start_dim=1).expand(size, -1, -1)
        recorded: dict[str, Tensor] = {}
        for layer in range(self.n_layers):
            recorded[f"blocks.{layer}.mlp_in"] = x
            if layer:
                before = self._later(params, layer, x)
            else:
                before = self._first(params, inputs.expand(size, -1, -1))
            x = self.activation(before)
            recorded[f"blocks.{layer}.mlp_pre"], recorded[f"blocks.{layer}.mlp_post"] = before, x
        return {"logits": torch.bmm(x, params["W_U"]), **recorded, "final": x}

    def _first(self, params: Params, inputs: Tensor) -> Tensor:
        tables = params["blocks.0.W_in"]
        if self.embeds:
            slices = tables.unflatten(1, (self.n_operands, -1))
            tables = (params["W_E"].unsqueeze(1) @ slices).flatten(1, 2)
        if self.bias:  # a share of it in every table is cheaper than all of it in every example
            tables = tables + params["blocks.0.b_in"].unsqueeze(1) / self.n_operands
        operand = self.d_vocab * torch.arange(self.n_operands, device=inputs.device)
        return row_sums(tables, inputs + operand)

    def _later(self, params: Params, layer: int, x: Tensor) -> Tensor:
        matrix = params[f"blocks.{layer}.W_in"]
        if not self.bias:
            return torch.bmm(x, matrix)
        return torch.baddbmm(params[f"blocks.{layer}.b_in"].unsqueeze(1), x, matrix)
