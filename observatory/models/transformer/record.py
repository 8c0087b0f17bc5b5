"""Every activation of many transformers on shared examples, in few operations; equals vmapping `forward`.

For the short sequences of algorithmic tasks attention is written as broadcast products: at three
positions thousands of 3 x 3 matrix products would cost more than everything else together.
"""

import math
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F

from observatory.core.view import Params


@final
class StackedRecord:
    """Gives "logits" and every hooked activation, each `[replica, batch, ...]`."""

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_vocab: int,
        norm: str,
        causal: bool,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        self.n_layers, self.n_heads, self.d_vocab = n_layers, n_heads, d_vocab
        self.norm, self.causal, self.activation = norm, causal, activation

    def __call__(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """Record one forward of all replicas on the same examples."""
        n_replicas = len(params["W_E"])
        tokens = torch.cat([inputs, inputs.new_full((len(inputs), 1), self.d_vocab)], dim=1)
        batch, n_ctx = tokens.shape
        x = params["W_E"][:, tokens.flatten()] + params["W_pos"].repeat(1, batch, 1)
        recorded: dict[str, Tensor] = {}

        def keep(name: str, value: Tensor) -> Tensor:
            recorded[name] = value.view(n_replicas, batch, n_ctx, -1)
            return value

        for layer in range(self.n_layers):
            prefix = f"blocks.{layer}."
            block = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
            keep(f"{prefix}resid_pre", x)
            h = self._normed(x, block, "ln1") if self.norm == "pre" else x
            mixed, pattern = self._attend(h, block, n_ctx)
            recorded[f"{prefix}attn_pattern"] = pattern
            x = x + _affine(mixed, block, "attn.W_O", "attn.b_O")
            x = keep(
                f"{prefix}resid_mid", self._normed(x, block, "ln1") if self.norm == "post" else x
            )
            h = self._normed(x, block, "ln2") if self.norm == "pre" else x
            hidden = keep(f"{prefix}mlp_pre", _affine(h, block, "mlp.W_in", "mlp.b_in"))
            hidden = keep(f"{prefix}mlp_post", self.activation(hidden))
            x = x + _affine(hidden, block, "mlp.W_out", "mlp.b_out")
            x = keep(
                f"{prefix}resid_post", self._normed(x, block, "ln2") if self.norm == "post" else x
            )
        answer = x.view(n_replicas, batch, n_ctx, -1)[:, :, -1]
        if self.norm == "pre":
            answer = self._normed(answer, params, "ln_final")
        return {"logits": torch.bmm(answer, params["W_U"]), **recorded}

    def _attend(self, h: Tensor, block: Params, n_ctx: int) -> tuple[Tensor, Tensor]:
        """Mixed values `[replica, batch * pos, d_model]` and the pattern of every head."""
        heads = [
            _affine(h, block, f"attn.W_{x}", f"attn.b_{x}").view(
                len(h), -1, n_ctx, self.n_heads, h.shape[2] // self.n_heads
            )
            for x in "QKV"
        ]
        q, k, v = heads
        scores = (q.unsqueeze(3) * k.unsqueeze(2)).sum(dim=-1) / math.sqrt(q.shape[-1])
        if self.causal:  # [replica, batch, query, key, head]
            future = torch.ones(n_ctx, n_ctx, dtype=torch.bool, device=h.device).triu(1)
            scores = scores.masked_fill(future.unsqueeze(-1), -torch.inf)
        weights = scores.softmax(dim=3)
        mixed = (weights.unsqueeze(-1) * v.unsqueeze(2)).sum(dim=3)
        return mixed.reshape(h.shape), weights.permute(0, 1, 4, 2, 3)

    def _normed(self, x: Tensor, block: Params, name: str) -> Tensor:
        gain, shift = block[f"{name}.weight"], block[f"{name}.bias"]
        return torch.addcmul(shift.unsqueeze(1), F.layer_norm(x, x.shape[-1:]), gain.unsqueeze(1))


def _affine(x: Tensor, block: Params, weight: str, bias: str) -> Tensor:
    matrix = block[weight]
    return (
        torch.baddbmm(block[bias].unsqueeze(1), x, matrix)
        if bias in block
        else torch.bmm(x, matrix)
    )
