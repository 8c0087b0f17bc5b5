"""Many transformers at once on pairs (a, b, query): the same function with the needless work left out.

Exact savings for a causal network read at the query token (position 2):
  - position 0 sees only itself: its stream depends on a alone, d_vocab rows in every layer;
  - in the first layer position 1 depends on b alone and position 2 is one row, so queries, keys,
    values and scores are tables that are looked up per example;
  - in the last layer only position 2 needs a query, an output and an MLP;
  - LayerNorm gains and biases are folded into the weights that follow.
Letters: s0, s1, s2 the residual streams at the three positions. Shapes: a table is
`[replica, d_vocab, d_model]`, a per-example stream `[replica, batch, d_model]`.
"""

import math
from collections.abc import Callable
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from observatory.core.view import Params


def look_up(
    table: Float[Tensor, "replica d_vocab d_model"], rows: Int[Tensor, "replica batch"]
) -> Tensor:
    """Row `rows[r, i]` of replica r's table; `rows` counts through the flattened (replica, row) axis."""
    return F.embedding(rows, table.flatten(0, 1))


def mix(
    scores: list[Tensor], values: list[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """Softmax over a short list of scores, then the weighted sum of the values, head by head.

    Args:
        scores: One `[replica, batch, head]` per key position; a batch of 1 stands for all examples.
        values: One `[replica, batch, d_model]` per key position, likewise.

    Returns:
        The mixed values `[replica, batch, d_model]` and the attention weights, shaped like `scores`.
    """
    top = scores[0].detach()
    for score in scores[1:]:
        top = torch.maximum(top, score.detach())
    powers = [(score - top).exp() for score in scores]
    total = sum(powers[1:], powers[0])
    weights = [power / total for power in powers]
    n_heads = total.shape[-1]
    mixed: Tensor | None = None
    for weight, value in zip(weights, values, strict=True):
        term = weight.unsqueeze(-1) * value.unflatten(-1, (n_heads, -1))
        mixed = term if mixed is None else mixed + term
    assert mixed is not None
    return mixed.flatten(-2), weights


def pattern(rows: list[list[Tensor]]) -> Float[Tensor, "replica batch head pos pos"]:
    """The attention pattern from the weights of queries 1 and 2; query 0 sees only itself."""
    one, two = rows
    zero = torch.zeros_like(two[0])
    entries = [zero + 1, zero, zero, *one, zero, *two]
    return torch.stack(entries, dim=-1).unflatten(-1, (3, 3))


@final
class PairForward:
    """Stacked forward of causal transformers on pairs; see the module's text for what it saves."""

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_vocab: int,
        norm: bool,
        bias: bool,
        activation: Callable[[Tensor], Tensor],
    ) -> None:
        self.n_layers, self.n_heads, self.d_vocab = n_layers, n_heads, d_vocab
        self.norm, self.bias, self.activation = norm, bias, activation

    def __call__(
        self, params: Params, inputs: Int[Tensor, "replica batch pos"]
    ) -> Float[Tensor, "replica batch d_vocab"]:
        """Logits of every replica on its own pairs."""
        return self._run(params, inputs, None)

    def record(self, params: Params, inputs: Int[Tensor, "batch pos"]) -> dict[str, Tensor]:
        """Logits, and pattern and residual stream after every block, on pairs shared by all replicas."""
        recorded: dict[str, Tensor] = {}
        shared = inputs.expand(len(params["W_E"]), -1, -1)
        return {"logits": self._run(params, shared, recorded), **recorded}

    def _run(self, params: Params, inputs: Tensor, recorded: dict[str, Tensor] | None) -> Tensor:
        p = self.d_vocab
        offset = p * torch.arange(inputs.shape[0], device=inputs.device).unsqueeze(1)
        rows_a, rows_b = inputs[..., 0] + offset, inputs[..., 1] + offset
        embed, position = params["W_E"], params["W_pos"]
        s0 = embed[:, :p] + position[:, 0:1]
        s1 = embed[:, :p] + position[:, 1:2]
        s2 = embed[:, p:] + position[:, 2:3]
        for layer in range(self.n_layers):
            block = _Block(self, params, layer)
            last = layer == self.n_layers - 1 and recorded is None
            if layer == 0:
                s0, s1, s2 = block.first(s0, s1, s2, rows_a, rows_b, last)
            else:
                s0, s1, s2 = block.later(s0, s1, s2, rows_a, last)
            if recorded is not None:
                recorded[f"blocks.{layer}.attn_pattern"] = pattern(block.weights)
                stream = torch.stack([look_up(s0, rows_a), s1, s2], dim=2)
                recorded[f"blocks.{layer}.resid_post"] = stream
        return self.project(s2, params, "ln_final", "W_U", None)

    def standardise(self, x: Tensor) -> Tensor:
        """LayerNorm without gain and bias, or nothing where the network has no norm."""
        return F.layer_norm(x, x.shape[-1:]) if self.norm else x

    def fold(
        self, params: Params, norm: str, weight: str, bias: str | None
    ) -> tuple[Tensor, Tensor | None]:
        """The matrix and row that apply a norm's gain and bias together with the weight after it."""
        matrix = params[weight]
        row = params[bias].unsqueeze(1) if bias is not None and self.bias else None
        if not self.norm:
            return matrix, row
        gain, shift = params[f"{norm}.weight"], params[f"{norm}.bias"]
        shifted = shift.unsqueeze(1) @ matrix
        return gain.unsqueeze(2) * matrix, shifted if row is None else row + shifted

    def project(
        self, x: Tensor, params: Params, norm: str, weight: str, bias: str | None
    ) -> Tensor:
        """norm(x) @ weight + bias, with the norm folded in."""
        matrix, row = self.fold(params, norm, weight, bias)
        x = self.standardise(x)
        return torch.bmm(x, matrix) if row is None else torch.baddbmm(row, x, matrix)


@final
class _Block:
    """One block of all replicas, on streams of differing row counts."""

    def __init__(self, net: PairForward, params: Params, layer: int) -> None:
        self.net = net
        self.weights: list[list[Tensor]] = []  # of queries 1 and 2, once a block has run to its end
        prefix = f"blocks.{layer}."
        self.params = {
            name.removeprefix(prefix): value
            for name, value in params.items()
            if name.startswith(prefix)
        }
        folded = [net.fold(self.params, "ln1", f"attn.W_{x}", f"attn.b_{x}") for x in "QKV"]
        (w_q, b_q), (w_k, b_k), (w_v, b_v) = folded
        scale = 1 / math.sqrt(w_q.shape[2] // net.n_heads)
        self.query = (w_q * scale, None if b_q is None else b_q * scale)
        self.key_value = (
            torch.cat([w_k, w_v], dim=2),
            None if b_k is None or b_v is None else torch.cat([b_k, b_v], dim=2),
        )

    def first(
        self, s0: Tensor, s1: Tensor, s2: Tensor, rows_a: Tensor, rows_b: Tensor, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The first block: tables in, per-example streams out."""
        h0, h1, h2 = (self.net.standardise(s) for s in (s0, s1, s2))
        (k0, v0), (k1, v1), (k2, v2) = (self._keys_values(h) for h in (h0, h1, h2))
        q2 = self._queries(h2)
        score20, score21, score22 = (self._dot(q2, k) for k in (k0, k1, k2))
        a = look_up(torch.cat([v0, score20], dim=2), rows_a)
        b = look_up(torch.cat([v1, score21], dim=2), rows_b)
        d_model = s0.shape[2]
        va, score_a = a.split([d_model, self.net.n_heads], dim=2)
        vb, score_b = b.split([d_model, self.net.n_heads], dim=2)
        mixed2, weights2 = mix([score_a, score_b, score22], [va, vb, v2])
        new2 = self._finish(s2, mixed2)
        if last:
            return s0, s1, new2
        q1 = self._queries(h1)
        table = self._dot_all(q1, k0)  # [replica, b, a, head]
        p, n_heads = self.net.d_vocab, self.net.n_heads
        pair = rows_b * p + (rows_a % p)
        score10 = F.embedding(pair, table.reshape(-1, n_heads))
        b1 = look_up(torch.cat([self._dot(q1, k1), s1], dim=2), rows_b)
        score11, s1b = b1.split([n_heads, d_model], dim=2)
        mixed1, weights1 = mix([score10, score11], [va, vb])
        new1 = self._finish(s1b, mixed1)
        self.weights = [weights1, weights2]
        return self._finish(s0, v0), new1, new2

    def later(
        self, s0: Tensor, s1: Tensor, s2: Tensor, rows_a: Tensor, last: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Any other block: position 0 is a table, positions 1 and 2 are per example."""
        h0, h1, h2 = (self.net.standardise(s) for s in (s0, s1, s2))
        (k0, v0), (k1, v1), (k2, v2) = (self._keys_values(h) for h in (h0, h1, h2))
        ka, va = look_up(torch.cat([k0, v0], dim=2), rows_a).chunk(2, dim=2)
        q2 = self._queries(h2)
        scores = [self._dot(q2, k) for k in (ka, k1, k2)]
        mixed2, weights2 = mix(scores, [va, v1, v2])
        new2 = self._finish(s2, mixed2)
        if last:
            return s0, s1, new2
        q1 = self._queries(h1)
        mixed1, weights1 = mix([self._dot(q1, ka), self._dot(q1, k1)], [va, v1])
        new1 = self._finish(s1, mixed1)
        self.weights = [weights1, weights2]
        return self._finish(s0, v0), new1, new2

    def _queries(self, h: Tensor) -> Tensor:
        return _affine(h, *self.query)

    def _keys_values(self, h: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = _affine(h, *self.key_value).chunk(2, dim=2)
        return keys, values

    def _dot(self, queries: Tensor, keys: Tensor) -> Float[Tensor, "replica batch head"]:
        return (queries * keys).unflatten(2, (self.net.n_heads, -1)).sum(dim=-1)

    def _dot_all(self, queries: Tensor, keys: Tensor) -> Tensor:
        q, k = (x.unflatten(2, (self.net.n_heads, -1)).transpose(1, 2) for x in (queries, keys))
        return (q @ k.transpose(-1, -2)).permute(0, 2, 3, 1)

    def _finish(self, stream: Tensor, mixed: Tensor) -> Tensor:
        """Attention output and MLP, added to the stream (one row or one per example)."""
        net, params = self.net, self.params
        stream = stream + params["attn.b_O"].unsqueeze(1) if net.bias else stream
        stream = torch.baddbmm(stream, mixed, params["attn.W_O"])
        hidden = net.activation(net.project(stream, params, "ln2", "mlp.W_in", "mlp.b_in"))
        out = torch.baddbmm(stream, hidden, params["mlp.W_out"])
        return out + params["mlp.b_out"].unsqueeze(1) if net.bias else out


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.bmm(x, weight) if bias is None else torch.baddbmm(bias, x, weight)
