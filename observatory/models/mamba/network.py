"""Mamba: a residual stack of selective state-space blocks, answered at the last operand.

After Gu & Dao, arXiv:2312.00752 (the block: section 3.4 and figure 3; the scan: algorithm 2).
Every channel of the inner width carries d_state numbers h through time, with coefficients that
depend on the token:

  letter    here      shape                       the paper's
  u         mixer_in  batch pos d_model           the block's input, after its LayerNorm
  x, z      W_in u    batch pos d_inner, twice    main branch and gate
  x         conv_post batch pos d_inner           x after the causal depthwise convolution and SiLU
  Delta     dt        batch pos d_inner           step size, softplus(dt_low W_dt + b_dt)
            dt_low    batch pos dt_rank           what it is computed from, s_Delta(x)
  B, C      B, C      batch pos d_state           input and output maps, from x like dt_low, by W_x
  A         -e^A_log  d_inner d_state             diagonal of the state matrix of each channel
  D         D         d_inner                     skip of each channel
  h         ssm_state batch pos d_inner d_state   the state
  y SiLU(z) gated     batch pos d_inner           the output of the scan, gated: what W_out reads

Weights map rows, `x @ W`. Discretisation as in the authors' code and not as in the paper's equation
4: exp(Delta A) for A, but simply Delta B for B. LayerNorm in place of the authors' RMSNorm.
"""

import math
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.core.contracts import FastPath
from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint, block_hooks
from observatory.models.mamba.pair_forward import PairForward

BLOCK_HOOKS = {
    "resid_pre": "batch pos d_model",
    "mixer_in": "batch pos d_model",
    "conv_post": "batch pos d_inner",
    "dt_low": "batch pos dt_rank",
    "ssm_state": "batch pos d_inner d_state",
    "gated": "batch pos d_inner",
    "resid_post": "batch pos d_model",
}
READS = {"W_in": "mixer_in", "W_x": "conv_post", "W_dt": "dt_low", "W_out": "gated"}


@final
class Block(nn.Module):
    """LayerNorm, convolution, selective scan and gate, added to the residual stream."""

    def __init__(
        self, *, d_model: int, d_inner: int, d_state: int, d_conv: int, dt_rank: int
    ) -> None:
        super().__init__()
        self.d_inner, self.sizes = d_inner, [dt_rank, d_state, d_state]
        self.ln = nn.LayerNorm(d_model)
        self.W_in = nn.Parameter(torch.empty(d_model, 2 * d_inner))
        self.conv = nn.Parameter(torch.empty(d_inner, d_conv))
        self.b_conv = nn.Parameter(torch.empty(d_inner))
        self.W_x = nn.Parameter(torch.empty(d_inner, sum(self.sizes)))
        self.W_dt = nn.Parameter(torch.empty(dt_rank, d_inner))
        self.b_dt = nn.Parameter(torch.empty(d_inner))
        self.A_log = nn.Parameter(torch.empty(d_inner, d_state))
        self.D = nn.Parameter(torch.empty(d_inner))
        self.W_out = nn.Parameter(torch.empty(d_inner, d_model))
        self.resid_pre, self.mixer_in, self.conv_post = HookPoint(), HookPoint(), HookPoint()
        self.dt_low, self.ssm_state = HookPoint(), HookPoint()
        self.gated, self.resid_post = HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """One residual block."""
        stream = self.resid_pre(x)
        x, z = (self.mixer_in(self.ln(stream)) @ self.W_in).chunk(2, dim=-1)
        x = self.conv_post(F.silu(self._convolve(x)))
        dt_low, B, C = (x @ self.W_x).split(self.sizes, dim=-1)
        dt = F.softplus(self.dt_low(dt_low) @ self.W_dt + self.b_dt)
        y = self._scan(x, dt, B, C) + self.D * x
        return self.resid_post(stream + self.gated(y * F.silu(z)) @ self.W_out)

    def _convolve(self, x: Tensor) -> Tensor:
        """Every channel's own filter, whose last tap meets the present position."""
        n_pos, taps = x.shape[1], self.conv.shape[1]
        padded = F.pad(x, (0, 0, taps - 1, 0))
        terms = [self.conv[:, tap] * padded[:, tap : tap + n_pos] for tap in range(taps)]
        return sum(terms, self.b_conv)

    def _scan(self, x: Tensor, dt: Tensor, B: Tensor, C: Tensor) -> Tensor:
        """Position by position from h = 0, h <- exp(dt A) h + dt B x and y = C h."""
        A = -self.A_log.exp()
        h = x.new_zeros(len(x), self.d_inner, self.sizes[1])
        states, outputs = [], []
        for t in range(x.shape[1]):
            kept = (dt[:, t, :, None] * A).exp() * h
            h = kept + (dt[:, t] * x[:, t]).unsqueeze(2) * B[:, t].unsqueeze(1)
            states.append(h)
            outputs.append((h @ C[:, t].unsqueeze(2)).squeeze(2))
        self.ssm_state(torch.stack(states, dim=1))
        return torch.stack(outputs, dim=1)


@final
class Mamba(nn.Module):
    """One Mamba: operands in, the answer read at the last.

    Args:
        n_layers: Number of blocks.
        d_model: Width of the residual stream.
        expand: Inner width in units of `d_model`.
        d_state: State numbers per channel.
        d_conv: Taps of the convolution.
        dt_rank: Rank of the step sizes; null for d_model / 16, rounded up.
        embed_std: Standard deviation of W_E at initialisation. The matrices and filters start
            uniform within 1/sqrt(fan-in), W_out divided by sqrt(n_layers); A = -1, ..., -d_state
            in every channel; D = 1.
        dt_min: Step sizes start log-uniform from here (b_dt is the inverse softplus) ...
        dt_max: ... to here ...
        dt_init_floor: ... and are raised to this.
        d_vocab: Number of operand symbols.
        n_classes: Number of answers.
        n_operands: Operands per example, the length of the sequence.

    Raises:
        ConfigError: If a size is below 1 or the bounds of the step sizes are not positive in order.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        d_model: Size,
        expand: Size,
        d_state: Size,
        d_conv: Size,
        dt_rank: Size | None,
        embed_std: NotNegative,
        dt_min: float,
        dt_max: float,
        dt_init_floor: float,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(Mamba, n_layers=n_layers, d_model=d_model, expand=expand, d_state=d_state)
        check_arguments(Mamba, d_conv=d_conv, dt_rank=dt_rank, embed_std=embed_std)
        dt_rank = math.ceil(d_model / 16) if dt_rank is None else dt_rank
        if not 0 < dt_min <= dt_max or dt_init_floor <= 0:
            raise ConfigError(
                "`dt_min`, `dt_max` and `dt_init_floor` must be positive with dt_min <= dt_max, "
                f"got {dt_min}, {dt_max} and {dt_init_floor}. They are step sizes."
            )
        self.n_layers, self.n_operands = n_layers, n_operands
        self.embed_std, self.dt_rank, self.d_state = embed_std, dt_rank, d_state
        self.d_conv = d_conv
        self.dt_min, self.dt_max, self.dt_init_floor = dt_min, dt_max, dt_init_floor
        self.W_E = nn.Parameter(torch.empty(d_vocab, d_model))
        self.blocks = nn.ModuleList(
            Block(
                d_model=d_model,
                d_inner=expand * d_model,
                d_state=d_state,
                d_conv=d_conv,
                dt_rank=dt_rank,
            )
            for _ in range(n_layers)
        )
        self.ln_final = nn.LayerNorm(d_model)
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_model, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`, in the blocks as the authors' code has it."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                kind = name.rsplit(".", 1)[-1]
                if kind == "W_E":
                    parameter.normal_(0.0, self.embed_std, generator=rng)
                elif kind == "A_log":
                    parameter.copy_(torch.arange(1, self.d_state + 1).log().expand_as(parameter))
                elif kind == "b_dt":
                    parameter.uniform_(math.log(self.dt_min), math.log(self.dt_max), generator=rng)
                    parameter.exp_().clamp_(min=self.dt_init_floor)
                    parameter.add_(torch.log(-torch.expm1(-parameter)))  # softplus undone
                elif kind in ("weight", "D"):
                    parameter.fill_(1.0)
                elif kind == "bias":
                    parameter.fill_(0.0)
                else:
                    # A channel's filter sees nothing but its taps.
                    bound = 1 / math.sqrt(self.d_conv if "conv" in kind else len(parameter))
                    if kind == "W_out":
                        bound /= math.sqrt(self.n_layers)
                    parameter.uniform_(-bound, bound, generator=rng)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer, read at the last operand."""
        x = self.W_E[inputs]
        for block in self.blocks:
            x = block(x)
        return self.final(self.ln_final(x)[:, -1]) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """Streams, states and what the matrices of every block read; what W_U reads: `final`."""
        return {**block_hooks(self.n_layers, BLOCK_HOOKS), "final": "batch d_model"}

    def weights(self) -> dict[str, Weight]:
        """W_E embeds, W_U reads out; filters, A_log, D, biases and norm gains are pointwise."""
        return {name: _declared(name) for name, _ in self.named_parameters()}

    def fast_path(self) -> FastPath | None:
        """`PairForward` on pairs where the convolution has a tap for each; None otherwise."""
        if self.n_operands != 2 or self.d_conv < 2:
            return None
        return PairForward(n_layers=self.n_layers, dt_rank=self.dt_rank)


def _declared(name: str) -> Weight:
    path, _, kind = name.rpartition(".")
    if kind == "W_E":
        return Weight("embedding")
    if kind == "W_U":
        return Weight("readout", reads="final")
    if kind in READS:
        return Weight("hidden", reads=f"{path}.{READS[kind]}")
    return Weight("pointwise")
