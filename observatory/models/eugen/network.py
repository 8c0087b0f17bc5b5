"""Perceptrons whose hidden layers are polynomials of random projections (EUGen layers).

Letters: E the embedding; x+ the input with a 1 and, where wanted, its length appended; G_i_j the
j-th of the i projections whose product is the block of order i; out a layer's matrix; U readout.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint
from observatory.maths.operands import flat_operands, operand_table

_NOTHING = 1e-12
"""Added to the squared length: at 0 its root has no slope."""


def extended(x: Float[Tensor, "batch _"], norm: bool) -> Float[Tensor, "batch _"]:
    """[x, 1, |x|], or [x, 1] without the norm.

    Example:
        >>> extended(torch.tensor([[3.0, 4.0]]), True)
        tensor([[3., 4., 1., 5.]])
    """
    parts = [x, torch.ones_like(x[:, :1])]
    if norm:
        parts.append(torch.sqrt(x.square().sum(dim=1, keepdim=True) + _NOTHING))
    return torch.cat(parts, dim=1)


@final
class Block(nn.Module):
    """One EUGen layer."""

    def __init__(self, d_in: int, d_mlp: int, n_features: int, order: int, norm: bool) -> None:
        super().__init__()
        self.n_features, self.order, self.norm = n_features, order, norm
        d_plus = d_in + 1 + norm
        for i in range(1, order + 1):
            for j in range(1, i + 1):
                matrix = nn.Parameter(torch.empty(d_plus, n_features))
                self.register_parameter(f"G_{i}_{j}", matrix)
        self.W_out = nn.Parameter(torch.empty((order + 1) * n_features, d_mlp))
        self.mlp_in, self.extended = HookPoint(), HookPoint()
        self.features, self.mlp_post = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch _"]) -> Float[Tensor, "batch d_mlp"]:
        """[1, G_1_1 x+, (G_2_1 x+) (G_2_2 x+), ...] W_out."""
        plus = self.extended(extended(self.mlp_in(x), self.norm))
        blocks = [torch.ones_like(plus[:, :1]).expand(-1, self.n_features)]
        for i in range(1, self.order + 1):
            factors: list[Tensor] = [plus @ getattr(self, f"G_{i}_{j}") for j in range(1, i + 1)]
            product = factors[0]
            for factor in factors[1:]:
                product = product * factor
            blocks.append(product)
        return self.mlp_post(self.features(torch.cat(blocks, dim=1)) @ self.W_out)


@final
class Eugen(nn.Module):
    """Operands embedded, concatenated, EUGen layers, a readout.

    A network of one layer, order 1 and without the norm is a sum of a function of each operand: it
    cannot solve a group operation, whatever is trained.

    Args:
        n_layers: Number of EUGen layers.
        d_model: Width of the embedding of one operand; None feeds the operands as one-hots.
        d_mlp: Width of what a layer gives.
        n_features: m, features of each order.
        order: k, highest order; a block of order i has i projections, all of them trained.
        norm_feature: Whether the length of the input is one of a layer's inputs.
        embed_std: Standard deviation of W_E at initialisation; other matrices start with
            1/sqrt(fan-in).
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example.

    Raises:
        ConfigError: If a size is below 1.

    Source:
        arXiv:2601.22563. Deviations: independent projections for each factor; normal starts in
        place of orthogonal rows; projections are always trained, since frozen ones would still
        decay; nothing is saved at these sizes, which is not the point here.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        d_model: Size | None,
        d_mlp: Size,
        n_features: Size,
        order: Size,
        norm_feature: bool,
        embed_std: NotNegative,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(
            Eugen, n_layers=n_layers, d_model=d_model, d_mlp=d_mlp, n_features=n_features,
            order=order, norm_feature=norm_feature, embed_std=embed_std,
        )  # fmt: skip
        self.n_layers, self.order, self.embed_std = n_layers, order, embed_std
        self.d_vocab = d_vocab
        self.W_E, d_in = operand_table(d_vocab, d_model, n_operands)
        self.blocks = nn.ModuleList(
            Block(d_mlp if layer else d_in, d_mlp, n_features, order, norm_feature)
            for layer in range(n_layers)
        )
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_mlp, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`, normal."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                std = self.embed_std if name == "W_E" else 1 / math.sqrt(len(parameter))
                parameter.normal_(0.0, std, generator=rng)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer."""
        x = flat_operands(inputs, self.W_E, self.d_vocab, self.W_U.dtype)
        for block in self.blocks:
            x = block(x)
        return self.final(x) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """Every layer's input, the same extended, its features and what it gives."""
        names: dict[str, str] = {}
        for layer in range(self.n_layers):
            path, first = f"blocks.{layer}.", "" if layer else "in_"
            names[f"{path}mlp_in"] = "batch d_mlp" if layer else "batch d_in"
            names[f"{path}extended"] = f"batch d_{first}extended"
            names[f"{path}features"] = "batch d_features"
            names[f"{path}mlp_post"] = "batch d_mlp"
        return {**names, "final": "batch d_mlp"}

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_U reads out; projections and W_out are hidden, none is pointwise."""
        return {name: _declared(name) for name, _ in self.named_parameters()}


def _declared(name: str) -> Weight:
    path, _, kind = name.rpartition(".")
    match kind:
        case "W_E":
            return Weight("embedding")
        case "W_U":
            return Weight("readout", reads="final")
        case "W_out":
            return Weight("hidden", reads=f"{path}.features")
        case _:
            return Weight("hidden", reads=f"{path}.extended")
