"""A Kolmogorov-Arnold network: a learned function of one number on every edge, sums at the nodes.

Letters: E the embedding, one table for all operands; in a layer's matrix; U the last one, which
gives the logits. G intervals of the grid, k the order of the splines.
"""

import math
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint
from observatory.maths.operands import flat_operands, operand_table
from observatory.maths.splines import b_splines
from observatory.models.kan.families import FAMILIES, N_CHEBYSHEV, chebyshev, mexican_hats

NOISE = 0.1
"""Standard deviation of a spline at the start, before the fan-in is divided out."""


@final
class Block(nn.Module):
    """What a layer's matrix multiplies: silu of every input, and its functions on the edges."""

    def __init__(self, grid: int, order: int, low: float, high: float, mixed: bool = False) -> None:
        super().__init__()
        self.grid, self.order, self.low, self.high = grid, order, low, high
        self.rho = nn.Parameter(torch.empty(len(FAMILIES))) if mixed else None
        self.mlp_in, self.edge_functions = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch _"]) -> Float[Tensor, "batch _"]:
        """silu(x_i) of every input i, then B_j(x_i), the index j running fastest.

        Mixed, the families follow each other, each times its share.
        """
        x = self.mlp_in(x)
        made = [b_splines(x, self.grid, self.order, self.low, self.high)]
        if self.rho is not None:
            made += [chebyshev(x), mexican_hats(x, self.grid, self.low, self.high)]
            shares = self.rho.softmax(dim=0)
            made = [share * each for share, each in zip(shares, made, strict=True)]
        flat = [each.flatten(start_dim=1) for each in made]
        return self.edge_functions(torch.cat([F.silu(x), *flat], dim=1))


@final
class Kan(nn.Module):
    """Operands embedded or one-hot, concatenated, then layers of splines down to the logits.

    Output o of a layer is the sum over inputs i of w_io silu(x_i) + sum over j of c_ijo B_j(x_i).
    In its efficient form this is one product: all functions of the inputs times one matrix, whose
    rows are first the w, then the c. A network of one layer is a sum of a function of each operand,
    and so it cannot solve a group operation: the mean margin on the whole table is 0.

    Args:
        n_layers: Number of layers of edges; the last one gives the logits.
        functions: "spline"; or "mixed" (S-KAN): splines, Chebyshev polynomials of tanh x and
            Mexican hats, each family times its share, the softmax of `rho`, a vector per layer that
            is trained from 0 on. silu stays outside, as it would in each of them.
        d_model: Width of the embedding of one operand; None feeds the operands as one-hots.
        d_mlp: Width of the layers between.
        grid: G, intervals of the grid.
        order: k, degree of the splines; a spline has G + k coefficients.
        grid_low: First point of the grid. Beyond its ends only silu is left.
        grid_high: Last one, above the first.
        embed_std: Standard deviation of W_E at initialisation. In a matrix the w start uniform
            within 1/sqrt(fan-in), the c normal with 0.1/sqrt(G fan-in).
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example.

    Raises:
        ConfigError: If a size is below 1, or the grid has no length.

    Source:
        arXiv:2404.19756; the efficient form is common. Deviations: no scale besides the
        coefficients of each spline (their product would decay twice), no grid that follows the
        samples, which would make the function of an example depend on others. "mixed" is ours
        after arXiv:2408.08338, whose mixing and selection are in no source that we could read.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        functions: Literal["spline", "mixed"],
        d_model: Size | None,
        d_mlp: Size,
        grid: Size,
        order: Size,
        grid_low: float,
        grid_high: float,
        embed_std: NotNegative,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(
            Kan, n_layers=n_layers, functions=functions, d_model=d_model, d_mlp=d_mlp, grid=grid,
            order=order, grid_low=grid_low, grid_high=grid_high, embed_std=embed_std,
        )  # fmt: skip
        if grid_low >= grid_high:
            raise ConfigError(
                f"`grid_low` must be below `grid_high`, got {grid_low} and {grid_high}."
            )
        self.n_layers, self.embed_std = n_layers, embed_std
        mixed = functions == "mixed"
        more = N_CHEBYSHEV + grid + 1 if mixed else 0
        self.d_vocab, self.grid, self.per_edge = d_vocab, grid, grid + order + 1 + more
        self.W_E, d_in = operand_table(d_vocab, d_model, n_operands)
        self.blocks = nn.ModuleList(
            Block(grid, order, grid_low, grid_high, mixed) for _ in range(n_layers)
        )
        widths = [d_in, *[d_mlp] * (n_layers - 1), n_classes]
        self.W_in = nn.ParameterList(
            torch.empty(widths[i] * self.per_edge, widths[i + 1]) for i in range(n_layers - 1)
        )
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(widths[-2] * self.per_edge, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`: W_E, then of each matrix the rows of silu and of splines."""
        with torch.no_grad():
            if self.W_E is not None:
                self.W_E.normal_(0.0, self.embed_std, generator=rng)
            for matrix in (*self.W_in, self.W_U):
                fan_in = len(matrix) // self.per_edge
                bound = 1 / math.sqrt(fan_in)
                matrix[:fan_in].uniform_(-bound, bound, generator=rng)
                matrix[fan_in:].normal_(0.0, NOISE / math.sqrt(self.grid * fan_in), generator=rng)
            for name, parameter in self.named_parameters():
                if name.endswith(".rho"):
                    parameter.zero_()

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer."""
        x = flat_operands(inputs, self.W_E, self.d_vocab, self.W_U.dtype)
        for block, matrix in zip(self.blocks, self.W_in, strict=False):  # all but the last
            x = block(x) @ matrix
        return self.final(self.blocks[-1](x)) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """What enters every layer, and the functions of it; `final` are the last layer's."""
        names: dict[str, str] = {}
        for layer in range(self.n_layers):
            names[f"blocks.{layer}.mlp_in"] = "batch d_mlp" if layer else "batch d_in"
            width = "d_features" if layer else "d_in_features"
            names[f"blocks.{layer}.edge_functions"] = f"batch {width}"
        return {**names, "final": names[f"blocks.{self.n_layers - 1}.edge_functions"]}

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_U reads out, every W_in is hidden; pointwise are the rho, if any."""
        hidden = {
            f"W_in.{layer}": Weight("hidden", reads=f"blocks.{layer}.edge_functions")
            for layer in range(self.n_layers - 1)
        }
        embedding = {} if self.W_E is None else {"W_E": Weight("embedding")}
        rho = {n: Weight("pointwise") for n, _ in self.named_parameters() if n.endswith(".rho")}
        return {**embedding, "W_U": Weight("readout", reads="final"), **hidden, **rho}
