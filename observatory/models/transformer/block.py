"""A block of the transformer: attention and an MLP, each added to the residual stream."""

from typing import final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from observatory.maths.hooks import HookPoint
from observatory.models.transformer.patterns import AttentionRule, attention_pattern
from observatory.models.transformer.rotary import rotated
from observatory.nonlinearities.named import nonlinearity

NORM_EPS = 1e-5


@final
class Attention(nn.Module):
    """Multi-head attention; what it computes on the way passes through the hooks of its block."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        bias: bool,
        causal: bool,
        rotary: bool,
        rule: AttentionRule,
    ) -> None:
        super().__init__()
        self.n_heads, self.causal, self.rotary = n_heads, causal, rotary
        self.rule: AttentionRule = rule
        self.W_Q, self.b_Q = _weights(d_model, d_model, bias)
        self.W_K, self.b_K = _weights(d_model, d_model, bias)
        self.W_V, self.b_V = _weights(d_model, d_model, bias)
        self.W_O, self.b_O = _weights(d_model, d_model, bias)

    def _heads(
        self, x: Float[Tensor, "batch pos d_model"], weight: Tensor, bias: Tensor | None
    ) -> Float[Tensor, "batch head pos d_head"]:
        return _affine(x, weight, bias).unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], pattern_hook: HookPoint, z_hook: HookPoint
    ) -> Tensor:
        """`attention_pattern` times v, the heads concatenated and mixed by W_O."""
        q = self._heads(x, self.W_Q, self.b_Q)
        k = self._heads(x, self.W_K, self.b_K)
        v = self._heads(x, self.W_V, self.b_V)
        if self.rotary:
            positions = torch.arange(x.shape[1], device=x.device)
            q, k = rotated(q, positions), rotated(k, positions)
        pattern = pattern_hook(attention_pattern(q, k, self.rule, self.causal))
        z = z_hook((pattern @ v).transpose(1, 2).flatten(start_dim=2))
        return _affine(z, self.W_O, self.b_O)


@final
class Mlp(nn.Module):
    """Two layers with an elementwise activation between them, and a product where it is gated."""

    def __init__(self, d_model: int, d_mlp: int, bias: bool, activation: str, gated: bool) -> None:
        super().__init__()
        self.gated, self.nonlinearity = gated, nonlinearity(activation, d_mlp)
        if gated:
            self.W_gate, self.b_gate = _weights(d_model, d_mlp, bias)
        self.W_in, self.b_in = _weights(d_model, d_mlp, bias)
        self.W_out, self.b_out = _weights(d_mlp, d_model, bias)

    def forward(
        self, x: Float[Tensor, "batch pos d_model"], pre: HookPoint, post: HookPoint
    ) -> Tensor:
        """activation(x W_in + b_in) W_out + b_out.

        Gated, the activation is that of x W_gate + b_gate, and x W_in + b_in multiplies it.
        """
        activation, linear = self.nonlinearity, _affine(x, self.W_in, self.b_in)
        if self.gated:
            hidden = activation(pre(_affine(x, self.W_gate, self.b_gate))) * linear
        else:
            hidden = activation(pre(linear))
        return _affine(post(hidden), self.W_out, self.b_out)


@final
class Block(nn.Module):
    """Attention and MLP, each added to the residual stream."""

    def __init__(
        self,
        *,
        d_model: int,
        n_heads: int,
        d_mlp: int,
        bias: bool,
        attn_bias: bool,
        causal: bool,
        rotary: bool,
        activation: str,
        gated: bool,
        norm: str,
        attention: AttentionRule,
    ) -> None:
        super().__init__()
        self.norm = norm.removesuffix("_rms")
        self.attn = Attention(d_model, n_heads, attn_bias, causal, rotary, attention)
        self.mlp = Mlp(d_model, d_mlp, bias, activation, gated)
        if norm != "none":
            self.ln1, self.ln2 = made_norm(norm, d_model), made_norm(norm, d_model)
        self.resid_pre, self.resid_mid, self.resid_post = HookPoint(), HookPoint(), HookPoint()
        self.attn_in, self.attn_pattern, self.attn_z = HookPoint(), HookPoint(), HookPoint()
        self.mlp_in, self.mlp_pre, self.mlp_post = HookPoint(), HookPoint(), HookPoint()

    def forward(self, x: Float[Tensor, "batch pos d_model"]) -> Float[Tensor, "batch pos d_model"]:
        """One residual block."""
        x = self.resid_pre(x)
        read = self.attn_in(self.ln1(x) if self.norm == "pre" else x)
        x = x + self.attn(read, self.attn_pattern, self.attn_z)
        x = self.resid_mid(self.ln1(x) if self.norm == "post" else x)
        read = self.mlp_in(self.ln2(x) if self.norm == "pre" else x)
        x = x + self.mlp(read, self.mlp_pre, self.mlp_post)
        return self.resid_post(self.ln2(x) if self.norm == "post" else x)


BLOCK_HOOKS = {
    "resid_pre": "batch pos d_model",
    "attn_in": "batch pos d_model",
    "attn_pattern": "batch head pos pos",
    "attn_z": "batch pos d_model",
    "resid_mid": "batch pos d_model",
    "mlp_in": "batch pos d_model",
    "mlp_pre": "batch pos d_mlp",
    "mlp_post": "batch pos d_mlp",
    "resid_post": "batch pos d_model",
}


def made_norm(norm: str, d_model: int) -> nn.Module:
    """LayerNorm; of a name that ends with "_rms" RMSNorm, which neither centres nor shifts."""
    if norm.endswith("_rms"):
        return nn.RMSNorm(d_model, eps=NORM_EPS)
    return nn.LayerNorm(d_model, eps=NORM_EPS)


def _weights(fan_in: int, fan_out: int, bias: bool) -> tuple[nn.Parameter, nn.Parameter | None]:
    row = nn.Parameter(torch.empty(fan_out)) if bias else None
    return nn.Parameter(torch.empty(fan_in, fan_out)), row


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x @ weight if bias is None else x @ weight + bias
