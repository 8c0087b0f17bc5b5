"""Operands mixed by a kernel that a small network of positions makes, times themselves.

Letters: E token embedding, Z the normed stream, K the kernel, O what mixes channels, U the readout.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Positive, Size, check_arguments
from observatory.maths.hooks import HookPoint, block_hooks

_SHAPE = 6
"""Shape of the gamma law of the filters' frequencies: the sum of so many exponential numbers."""


@final
class SlowNetwork(nn.Module):
    """From the distance of two positions to a number per channel, by products of sines.

    h = sin(U2 c + b2) (sin(U1 c + b1) L + b); K = h W_K / sqrt(n_pos), c the distance over
    n_pos - 1.
    """

    def __init__(self, d_filter: int, d_model: int) -> None:
        super().__init__()
        self.U1, self.U2, self.b1, self.b2, self.b = (
            nn.Parameter(torch.empty(d_filter)) for _ in range(5)
        )
        self.W_L = nn.Parameter(torch.empty(d_filter, d_filter))
        self.W_K = nn.Parameter(torch.empty(d_filter, d_model))

    def initialise(self, rng: torch.Generator, omega: float) -> None:
        """Frequencies 2 pi omega g n, g of a gamma law and n normal; phases uniform."""
        with torch.no_grad():
            for frequency, phase in ((self.U1, self.b1), (self.U2, self.b2)):
                waits = torch.empty(_SHAPE, len(frequency)).exponential_(generator=rng)
                frequency.normal_(generator=rng)
                frequency.mul_(2 * math.pi * omega * waits.sum(dim=0).to(frequency))
                phase.uniform_(-math.pi, math.pi, generator=rng)
            for matrix in (self.W_L, self.W_K):
                matrix.normal_(0.0, 1 / math.sqrt(len(matrix)), generator=rng)
            self.b.zero_()

    def forward(self, n_pos: int) -> Float[Tensor, "pos pos d_model"]:
        """The kernel of every pair of positions, the one that receives first."""
        place = torch.arange(n_pos, dtype=self.W_K.dtype, device=self.W_K.device)
        distance = (place.unsqueeze(1) - place).unsqueeze(2) / max(n_pos - 1, 1)
        first = torch.sin(distance * self.U1 + self.b1)
        hidden = torch.sin(distance * self.U2 + self.b2) * (first @ self.W_L + self.b)
        return hidden @ self.W_K / math.sqrt(n_pos)


@final
class Block(nn.Module):
    """Z times its mixture over positions, gated by itself, mixed over channels."""

    def __init__(self, d_model: int, d_filter: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.ln = nn.LayerNorm(d_model)
        self.slow = SlowNetwork(d_filter, d_model)
        self.gate = nn.Parameter(torch.empty(d_model))
        self.W_O = nn.Parameter(torch.empty(d_model, d_model))
        self.resid_pre, self.mix_in = HookPoint(), HookPoint()
        self.mixed, self.resid_post = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """gated(Z * (K Z)) W_O, added to the stream where it is residual."""
        x = self.resid_pre(x)
        z = self.mix_in(self.ln(x))
        product = self.mixed(gated(z * mixture(self.slow(x.shape[1]), z), self.gate))
        out = product @ self.W_O
        return self.resid_post(x + out if self.residual else out)


def mixture(
    kernel: Float[Tensor, "pos pos d_model"], z: Float[Tensor, "batch pos d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """Sum over positions s of K_c[t, s] Z[s, c], channel by channel."""
    return (kernel * z.unsqueeze(1)).sum(dim=2)


def gated(
    z: Float[Tensor, "batch pos d_model"], gate: Float[Tensor, " d_model"]
) -> Float[Tensor, "batch pos d_model"]:
    """Every entry times sigmoid(z^2 gate), the gate a number per channel."""
    return z * torch.sigmoid(z * z * gate)


@final
class HyperZzw(nn.Module):
    """A network without attention: operands, kernels of positions times activations, a readout.

    The product of Z with its mixture is bilinear in the operands, which is what a group operation
    asks for: a positive control. The answer is read at the last operand.

    Args:
        n_layers: Number of blocks.
        d_model: Width of the stream.
        d_filter: Width of the slow network.
        residual: Whether blocks add to the stream; the paper's do not.
        omega: Scale of the filters' frequencies at initialisation, positive.
        embed_std: Standard deviation of W_E at initialisation; other matrices start with
            1/sqrt(fan-in), gates and biases at zero.
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example.

    Raises:
        ConfigError: If a size is below 1, or `omega` is not positive.

    Source:
        arXiv:2401.17948. Deviations: its one-dimensional form is ours, in which every position
        sees all others and the gate is that of the product; LayerNorm in place of
        statistics of the batch; no local branch, no loss between kernels, no optimizer of its own.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        d_model: Size,
        d_filter: Size,
        residual: bool,
        omega: Positive,
        embed_std: NotNegative,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(
            HyperZzw, n_layers=n_layers, d_model=d_model, d_filter=d_filter, residual=residual,
            omega=omega, embed_std=embed_std,
        )  # fmt: skip
        self.n_layers, self.omega, self.embed_std = n_layers, omega, embed_std
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))
        self.blocks = nn.ModuleList(Block(d_model, d_filter, residual) for _ in range(n_layers))
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_model, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`, those of the slow networks last."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                kind = name.rpartition(".")[2]
                if kind == "W_E":
                    parameter.normal_(0.0, self.embed_std, generator=rng)
                elif kind in ("W_O", "W_U"):
                    parameter.normal_(0.0, 1 / math.sqrt(len(parameter)), generator=rng)
                elif ".slow." not in name:
                    parameter.fill_(1.0 if kind == "weight" else 0.0)
        for module in self.modules():
            if isinstance(module, SlowNetwork):
                module.initialise(rng, self.omega)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer, read at the last operand."""
        x = self.W_E[inputs]
        for block in self.blocks:
            x = block(x)
        return self.final(x[:, -1]) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """The stream before and after every block, what is mixed, and the product."""
        kinds = ["resid_pre", "mix_in", "mixed", "resid_post"]
        streams: dict[str, str] = dict.fromkeys(kinds, "batch pos d_model")
        return {**block_hooks(self.n_layers, streams), "final": "batch d_model"}

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_U reads out; matrices of the slow network read no activation."""
        return {name: _declared(name) for name, _ in self.named_parameters()}


def _declared(name: str) -> Weight:
    path, _, kind = name.rpartition(".")
    match kind:
        case "W_E":
            return Weight("embedding")
        case "W_U":
            return Weight("readout", reads="final")
        case "W_O":
            return Weight("hidden", reads=f"{path}.mixed")
        case "W_L" | "W_K":
            return Weight("hidden")
        case _:
            return Weight("pointwise")
