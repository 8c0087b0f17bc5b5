"""The two-layer network of Li2: sigma(X W_in) W_out on concatenated one-hots (arXiv:2509.21519)."""

import math
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.core.contracts import FastPath
from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.settings import Size, check_arguments
from observatory.maths.hooks import HookPoint
from observatory.maths.nonlinearities import ACTIVATIONS
from observatory.models.li2.blockwise import Blockwise


@final
class Block(nn.Module):
    """The hidden layer's activations by name; its weights belong to the network."""

    def __init__(self, activation: str) -> None:
        super().__init__()
        self.activation = activation
        self.onehots, self.mlp_pre, self.mlp_post = HookPoint(), HookPoint(), HookPoint()

    def forward(self, before: Float[Tensor, "batch d_mlp"]) -> Float[Tensor, "batch d_mlp"]:
        """The elementwise activation."""
        return self.mlp_post(ACTIVATIONS[self.activation](self.mlp_pre(before)))


@final
class Li2(nn.Module):
    """One two-layer network without biases.

    Args:
        d_mlp: Number of hidden units, K in the paper.
        activation: "square" or "relu".
        zero_readout: Whether W_out starts at zero, the paper's V(0) = 0; otherwise it starts
            uniform within 1/sqrt(fan-in), as W_in does, whose fan-in is that of the concatenated
            one-hots (the released code has a layer per operand, and so a wider start).
        d_vocab: Number of operand symbols, M in the paper.
        n_classes: Number of answers.
        n_operands: Operands per example; two for the square.

    Raises:
        ConfigError: If `d_mlp` is below 1, the activation is unknown, or the square is asked to
            answer more than two operands.
    """

    def __init__(
        self,
        *,
        d_mlp: Size,
        activation: Literal["relu", "square"],
        zero_readout: bool,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(Li2, d_mlp=d_mlp, activation=activation)
        if activation == "square" and n_operands > 2:
            raise ConfigError(
                f"`n_operands` must be at most 2 with the square activation, got {n_operands}: "
                "a sum of squares of sums is a sum of functions of pairs of operands and cannot "
                "answer what depends on three at once. Set model.activation=relu, or choose a task "
                "on pairs."
            )
        self.activation, self.zero_readout = activation, zero_readout
        self.d_vocab, self.n_operands = d_vocab, n_operands
        self.W_in = nn.Parameter(torch.empty(n_operands * d_vocab, d_mlp))
        self.blocks = nn.ModuleList([Block(activation)])
        self.final = HookPoint()
        self.W_out = nn.Parameter(torch.empty(d_mlp, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw both matrices from `rng`, uniform; W_out zero where that is set."""
        with torch.no_grad():
            for matrix in (self.W_in, self.W_out):
                bound = 1 / math.sqrt(len(matrix))
                matrix.uniform_(-bound, bound, generator=rng)
            if self.zero_readout:
                self.W_out.zero_()

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer."""
        onehots = F.one_hot(inputs, self.d_vocab).to(self.W_in.dtype).flatten(start_dim=1)
        [block] = self.blocks
        assert isinstance(block, Block)
        return self.final(block(block.onehots(onehots) @ self.W_in)) @ self.W_out

    def hooks(self) -> dict[str, str]:
        """The input, the hidden layer before and after the activation; `final` is the latter."""
        names = ("blocks.0.mlp_pre", "blocks.0.mlp_post", "final")
        return {"blocks.0.onehots": "batch d_in", **dict.fromkeys(names, "batch d_mlp")}

    def weights(self) -> dict[str, Weight]:
        """W_in is hidden, as the paper's Muon has it; W_out reads out."""
        return {
            "W_in": Weight("hidden", reads="blocks.0.onehots"),
            "W_out": Weight("readout", reads="final"),
        }

    def fast_path(self) -> FastPath:
        """`Blockwise`, whatever the settings."""
        return Blockwise(self.d_vocab, self.n_operands, ACTIVATIONS[self.activation])
