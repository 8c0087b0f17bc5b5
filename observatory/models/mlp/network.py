"""A multilayer perceptron on concatenated operands.

Letters: E the embedding, one table for all operands; in a hidden layer's matrix; U the readout. A
weight `W_X` maps rows: `x @ W_X`.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from observatory.core.contracts import FastPath
from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint
from observatory.maths.operands import flat_operands, operand_table
from observatory.models.mlp.starts import Start, draw_log_normal
from observatory.models.mlp.table_forward import TableForward
from observatory.nonlinearities.contract import initialise_nonlinearities, is_trained
from observatory.nonlinearities.named import nonlinearity


@final
class Block(nn.Module):
    """One hidden layer."""

    def __init__(self, d_in: int, d_mlp: int, activation: str, bias: bool) -> None:
        super().__init__()
        self.W_in = nn.Parameter(torch.empty(d_in, d_mlp))
        self.b_in = nn.Parameter(torch.empty(d_mlp)) if bias else None
        self.nonlinearity = nonlinearity(activation, d_mlp)
        self.mlp_in, self.mlp_pre, self.mlp_post = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch _"]) -> Float[Tensor, "batch d_mlp"]:
        """activation(x W_in + b_in)."""
        before = self.mlp_in(x) @ self.W_in
        before = self.mlp_pre(before if self.b_in is None else before + self.b_in)
        return self.mlp_post(self.nonlinearity(before))


@final
class Mlp(nn.Module):
    """One multilayer perceptron: operands embedded, concatenated, hidden layers, a readout.

    Args:
        n_layers: Number of hidden layers.
        d_model: Width of the embedding of one operand; None feeds the operands as one-hots.
        d_mlp: Width of every hidden layer.
        activation: "relu", "gelu", "silu", "square", or another one of `nonlinearities.named`.
        bias: Whether hidden layers carry a bias (the readout never does).
        start: How weights are drawn: "normal"; "log_normal", sizes of a log-normal law with random
            signs; or "dale", the same with one sign for all weights of a unit that sends, a row of
            W_in or W_U.
        embed_std: Standard deviation of W_E at initialisation; other matrices start with
            1/sqrt(fan-in), biases at zero.
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example.

    Raises:
        ConfigError: If a size is below 1, or the activation is unknown.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        d_model: Size | None,
        d_mlp: Size,
        activation: str,
        bias: bool,
        start: Start,
        embed_std: NotNegative,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(Mlp, n_layers=n_layers, d_model=d_model, d_mlp=d_mlp, embed_std=embed_std)
        check_arguments(Mlp, start=start)
        if start != "normal" and embed_std == 0:
            raise ConfigError(
                f"`embed_std` must be above 0 with the {start} start, got 0: sizes have logarithms."
            )
        self.n_layers, self.bias, self.start = n_layers, bias, start
        self.embed_std, self.d_vocab, self.n_operands = embed_std, d_vocab, n_operands
        self.W_E, d_in = operand_table(d_vocab, d_model, n_operands)
        self.blocks = nn.ModuleList(
            Block(d_mlp if layer else d_in, d_mlp, activation, bias) for layer in range(n_layers)
        )
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_mlp, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`: matrices as `start` says, zero biases."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                kind = name.rpartition(".")[2]
                if kind not in ("W_E", "W_in", "W_U"):
                    parameter.zero_()
                    continue
                std = self.embed_std if kind == "W_E" else 1 / math.sqrt(parameter.shape[0])
                if self.start == "normal":
                    parameter.normal_(0.0, std, generator=rng)
                else:
                    by_row = self.start == "dale" and kind != "W_E"
                    draw_log_normal(parameter, std, rng, by_row=by_row)
        initialise_nonlinearities(self, rng)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer."""
        x = flat_operands(inputs, self.W_E, self.d_vocab, self.W_U.dtype)
        for block in self.blocks:
            x = block(x)
        return self.final(x) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """Every layer before its matrix, after it and after the activation; `final` is the last."""
        names: dict[str, str] = {}
        for layer in range(self.n_layers):
            names[f"blocks.{layer}.mlp_in"] = "batch d_mlp" if layer else "batch d_in"
            names[f"blocks.{layer}.mlp_pre"] = names[f"blocks.{layer}.mlp_post"] = "batch d_mlp"
        return {**names, "final": "batch d_mlp"}

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_U reads out, every W_in is hidden (on one-hots too), biases pointwise."""
        return {name: _declared(name) for name, _ in self.named_parameters()}

    def fast_path(self) -> FastPath | None:
        """`TableForward`; None where the activation has parameters."""
        first = self.blocks[0]
        assert isinstance(first, Block)
        if is_trained(first.nonlinearity):
            return None
        return TableForward(
            n_layers=self.n_layers,
            d_vocab=self.d_vocab,
            n_operands=self.n_operands,
            embeds=self.W_E is not None,
            bias=self.bias,
            activation=first.nonlinearity,
        )


def _declared(name: str) -> Weight:
    path, _, kind = name.rpartition(".")
    match kind:
        case "W_E":
            return Weight("embedding")
        case "W_U":
            return Weight("readout", reads="final")
        case "W_in":
            return Weight("hidden", reads=f"{path}.mlp_in")
        case _:
            return Weight("pointwise")
