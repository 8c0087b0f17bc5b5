"""A decoder-only transformer on short token sequences, answered at the last position.

Letters: E token embedding, pos learned positions, Q K V O attention, in/out (and gate) the MLP, U
unembedding.
A weight `W_X` maps rows: `x @ W_X`; heads lie side by side in the columns of W_Q, W_K, W_V and in
the rows of W_O (TransformerLens' `[head, d_model, d_head]` with the heads flattened).
"""

import itertools
import math
from typing import Literal, final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from observatory.core.contracts import FastPath
from observatory.core.errors import ConfigError
from observatory.core.layout import Index, Weight
from observatory.core.settings import NotNegative, Size, check_arguments
from observatory.maths.hooks import HookPoint, block_hooks
from observatory.models.transformer.block import BLOCK_HOOKS, Block, made_norm
from observatory.models.transformer.pair_forward import PairForward
from observatory.models.transformer.patterns import AttentionRule
from observatory.nonlinearities.contract import initialise_nonlinearities, is_trained

_Norm = Literal["pre", "post", "none", "pre_rms", "post_rms"]
_Positions = Literal["learned", "rotary", "none"]


READS = {
    "Q": "attn_in",
    "K": "attn_in",
    "V": "attn_in",
    "O": "attn_z",
    "gate": "mlp_in",
    "in": "mlp_in",
    "out": "mlp_post",
}
"""The activation that each kind of matrix multiplies."""


def _check_heads(d_model: int, n_heads: int, rotary: bool, attention: str) -> None:
    """Refuse heads that do not divide the stream, cannot be rotated, or have no angle between."""
    if d_model % n_heads:
        raise ConfigError(
            f"`d_model` must be a multiple of `n_heads`, got {d_model} and {n_heads}. "
            "Every head gets d_model / n_heads channels."
        )
    if rotary and d_model // n_heads % 2:
        raise ConfigError(
            "`d_model` / `n_heads` must be even with rotary positions, got "
            f"{d_model} / {n_heads}. A head is rotated in planes of two channels."
        )
    if attention != "softmax" and d_model == n_heads:
        raise ConfigError(
            f"`d_model` / `n_heads` must be at least 2 with {attention} attention, got 1: scores "
            "are scaled by ln(d_head), which is 0. Take fewer heads."
        )


@final
class Transformer(nn.Module):
    """One decoder-only transformer: operands, then a query token at which the answer is read.

    Args:
        n_layers: Number of blocks.
        n_heads: Heads per block; divides `d_model`.
        d_model: Width of the residual stream.
        d_mlp: Hidden width of the MLPs.
        activation: "relu", "gelu", "silu", "square", or another one of `nonlinearities.named`.
        gated: Whether the MLPs multiply the activation of one projection with another
            (arXiv:2002.05202), which makes them half as large again.
        positions: "learned" vectors added to the embedding, "rotary" queries and keys, or "none".
        norm: LayerNorm before each sub-layer ("pre", with one more before the unembedding), after
            each residual addition ("post"), or "none"; "pre_rms" and "post_rms" have RMSNorm
            (arXiv:1910.07467) in its place.
        attention: "softmax", or one of the rules of `attention_pattern` on normalised vectors.
        bias: Whether the MLPs carry biases (the unembedding never does).
        attn_bias: Whether attention does.
        causal: Whether a position sees only itself and earlier ones.
        embed_std: Standard deviation of W_E and W_pos at initialisation.
        matrix_std: That of all other matrices; None for 1/sqrt(fan-in), with W_O and W_out divided
            by sqrt(2 n_layers) besides.
        d_vocab: Number of operand symbols; the query token is one more row of W_E.
        n_classes: Number of answers.
        n_operands: Operands per example; the sequence is one longer.

    Raises:
        ConfigError: If a size is below 1, `n_heads` does not divide `d_model`, a head is to be
            rotated and has an odd size, or a name is unknown.
    """

    def __init__(
        self,
        *,
        n_layers: Size,
        n_heads: Size,
        d_model: Size,
        d_mlp: Size,
        activation: str,
        gated: bool,
        positions: _Positions,
        norm: _Norm,
        attention: AttentionRule,
        bias: bool,
        attn_bias: bool,
        causal: bool,
        embed_std: NotNegative,
        matrix_std: NotNegative | None,
        d_vocab: int,
        n_classes: int,
        n_operands: int,
    ) -> None:
        super().__init__()
        check_arguments(
            Transformer, n_layers=n_layers, n_heads=n_heads, d_model=d_model, d_mlp=d_mlp
        )
        check_arguments(
            Transformer, positions=positions, norm=norm, embed_std=embed_std, matrix_std=matrix_std
        )
        check_arguments(Transformer, attention=attention)
        _check_heads(d_model, n_heads, positions == "rotary", attention)
        self.n_layers, self.n_heads, self.norm, self.positions = n_layers, n_heads, norm, positions
        self.gated, self.causal = gated, causal
        self.attn_bias, self.attention = attn_bias, attention
        self.embed_std, self.matrix_std = embed_std, matrix_std
        self.d_vocab, self.n_operands = d_vocab, n_operands
        self.W_E = nn.Parameter(torch.empty(d_vocab + 1, d_model))
        learned = positions == "learned"
        self.W_pos = nn.Parameter(torch.empty(n_operands + 1, d_model)) if learned else None
        self.blocks = nn.ModuleList(
            Block(
                d_model=d_model,
                n_heads=n_heads,
                d_mlp=d_mlp,
                bias=bias,
                attn_bias=attn_bias,
                causal=causal,
                rotary=positions == "rotary",
                activation=activation,
                gated=gated,
                norm=norm,
                attention=attention,
            )
            for _ in range(n_layers)
        )
        before = norm.startswith("pre")
        self.ln_final = made_norm(norm, d_model) if before else nn.Identity()
        self.final = HookPoint()
        self.W_U = nn.Parameter(torch.empty(d_model, n_classes))

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights from `rng`: normal matrices, zero biases, unit norm gains."""
        with torch.no_grad():
            for name, parameter in self.named_parameters():
                kind = name.rsplit(".", 1)[-1]
                if kind in ("W_E", "W_pos"):
                    parameter.normal_(0.0, self.embed_std, generator=rng)
                elif kind.startswith("W_"):
                    parameter.normal_(0.0, self._std(kind, len(parameter)), generator=rng)
                else:
                    parameter.fill_(1.0 if kind == "weight" else 0.0)
        initialise_nonlinearities(self, rng)

    def _std(self, kind: str, fan_in: int) -> float:
        if self.matrix_std is not None:
            return self.matrix_std
        depth = 2 * self.n_layers if kind in ("W_O", "W_out") else 1
        return 1 / math.sqrt(fan_in) / math.sqrt(depth)

    def forward(self, inputs: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch d_vocab"]:
        """Logits of the answer, read at the query token."""
        query = inputs.new_full((len(inputs), 1), self.d_vocab)
        tokens = torch.cat([inputs, query], dim=1)
        x = self.W_E[tokens]
        x = x if self.W_pos is None else x + self.W_pos
        for block in self.blocks:
            x = block(x)
        return self.final(self.ln_final(x)[:, -1]) @ self.W_U

    def hooks(self) -> dict[str, str]:
        """Streams, attention and MLP of every block, and what the unembedding reads: `final`."""
        return {**block_hooks(self.n_layers, BLOCK_HOOKS), "final": "batch d_model"}

    def weights(self) -> dict[str, Weight]:
        """W_E and W_pos embed, W_U reads out, biases and norm gains are pointwise."""
        return {name: _declared(name) for name, _ in self.named_parameters()}

    def parts(self) -> dict[str, dict[str, Index]]:
        """Heads and channels of the residual stream.

        blocks.0.head.1 has columns of W_Q, W_K and W_V and rows of W_O; channel.3, what is written
        into it: columns of W_E, W_pos and every W_O and W_out, entries of their biases.
        """
        width = self.W_E.shape[1] // self.n_heads
        found: dict[str, dict[str, Index]] = {}
        for layer, head in itertools.product(range(self.n_layers), range(self.n_heads)):
            own, path = slice(head * width, (head + 1) * width), f"blocks.{layer}.attn."
            entries: dict[str, Index] = {f"{path}W_{kind}": (slice(None), own) for kind in "QKV"}
            biases: dict[str, Index] = {f"{path}b_{kind}": (own,) for kind in "QKV"}
            found[f"blocks.{layer}.head.{head}"] = {
                **entries, f"{path}W_O": (own, slice(None)), **(biases if self.attn_bias else {})
            }  # fmt: skip
        writing = ("W_E", "W_pos", "W_O", "W_out", "b_O", "b_out")
        writers = [(n, p) for n, p in self.named_parameters() if n.rpartition(".")[2] in writing]
        for channel in range(self.W_E.shape[1]):
            column = slice(channel, channel + 1)
            found[f"channel.{channel}"] = {
                name: (slice(None), column) if weight.ndim == 2 else (column,)
                for name, weight in writers
            }
        return found

    def fast_path(self) -> FastPath | None:
        """`PairForward` for causal pre-LN (or norm-free) networks on pairs; None otherwise.

        None as well where the activation has parameters, or attention is not the softmax.
        """
        first = self.blocks[0]
        assert isinstance(first, Block)
        activation = first.mlp.nonlinearity
        if self.n_operands != 2 or not self.causal or self.norm not in ("pre", "none"):
            return None
        if self.attention != "softmax" or is_trained(activation):
            return None
        return PairForward(
            n_layers=self.n_layers,
            n_heads=self.n_heads,
            d_vocab=self.d_vocab,
            norm=self.norm == "pre",
            rotary=self.positions == "rotary",
            activation=activation,
            gated=self.gated,
        )


def _declared(name: str) -> Weight:
    path, _, kind = name.rpartition(".")
    if kind in ("W_E", "W_pos"):
        return Weight("embedding")
    if kind == "W_U":
        return Weight("readout", reads="final")
    if kind.startswith("W_"):
        return Weight("hidden", reads=f"{path.rpartition('.')[0]}.{READS[kind[2:]]}")
    return Weight("pointwise")
