"""Many transformers at once on pairs (a, b, query): the same function without the needless work.

Exact savings for a causal network read at the query token (position 2):
  - position 0 sees only itself: its stream depends on a alone, d_vocab rows in every layer;
  - in the first layer position 1 depends on b alone and position 2 is one row, so queries, keys,
    values and scores are tables that are looked up per example;
  - in the last layer only position 2 needs an output and an MLP;
  - LayerNorm gains and biases are folded into the weights that follow.

Letters: s0, s1, s2 the residual streams at the three positions, x the three joined along their
rows. Shapes: a table is `[replica, d_vocab, d_model]`, a per-example stream
`[replica, batch, d_model]`.
"""

import math
from collections.abc import Collection
from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from observatory.core.layout import Params
from observatory.maths.hooks import RecordedForward
from observatory.maths.nonlinearities import Nonlinearity, overwriting
from observatory.maths.standardise import standardise
from observatory.maths.tables import gather, look_up
from observatory.models.transformer.rotary import rotated


def dot(queries: Tensor, keys: Tensor, n_heads: int) -> Float[Tensor, "replica batch head"]:
    """Inner products of the rows, head by head; a batch of 1 stands for all examples."""
    products = (queries * keys).unflatten(2, (n_heads, -1))
    return products @ products.new_ones(products.shape[-1])  # faster than a sum over few


def _softmax(scores: list[Tensor]) -> Float[Tensor, "pos replica batch head"]:
    return torch.stack(torch.broadcast_tensors(*scores)).softmax(dim=0)


def _mix(scores: list[Tensor], values: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Softmax over a short list of scores, then the weighted sum of the values, head by head.

    Args:
        scores: One `[replica, batch, head]` per key position; a batch of 1 stands for all examples.
        values: One `[replica, batch, d_model]` per key position, likewise.

    Returns:
        The mixed values `[replica, batch, d_model]` and the weights `[pos, replica, batch, head]`.
    """
    weights = _softmax(scores)
    d_head = values[0].shape[2] // weights.shape[3]
    row = weights.new_ones(1, d_head)  # a product with it: each weight, d_head times
    terms = [(w.unsqueeze(3) @ row).flatten(2) * v for w, v in zip(weights, values, strict=True)]
    return sum(terms[1:], terms[0]), weights


def pattern(one: Tensor, two: Tensor) -> Float[Tensor, "replica batch head pos pos"]:
    """The attention pattern from the weights of queries 1 and 2; query 0 sees only itself."""
    zero = torch.zeros_like(two[0])
    entries = torch.stack([zero + 1, zero, zero, *one, zero, *two])
    return entries.unflatten(0, (3, 3)).permute(2, 3, 4, 0, 1)


_CHEAP = frozenset({"logits", "attn_pattern", "final"})
"""Recorded by a pass in which the last block answers at the query alone."""
_INNER = frozenset({"attn_in", "attn_z", "resid_mid", "mlp_in", "mlp_post"})
"""Recorded by a pass that keeps what every block computes on its way."""


@final
class PairForward(RecordedForward):
    """Stacked forward of causal transformers on pairs; see the module's text for what it saves.

    It records every block's pattern and residual stream, and `final`; for those that need them also
    what attention and MLP read and what their output matrices read.
    """

    recordable = _CHEAP | _INNER | {"resid_post"}

    def __init__(
        self,
        *,
        n_layers: int,
        n_heads: int,
        d_vocab: int,
        norm: bool,
        rotary: bool,
        activation: Nonlinearity,
        gated: bool,
    ) -> None:
        self.n_layers, self.n_heads, self.d_vocab = n_layers, n_heads, d_vocab
        self.norm, self.rotary, self.gated = norm, rotary, gated
        # Half of a split tensor cannot be overwritten.
        self.activation = activation if gated else overwriting(activation)

    def record_for(
        self, params: Params, inputs: Int[Tensor, "batch pos"], kinds: Collection[str]
    ) -> dict[str, Tensor]:
        """The activations of these kinds, and others that the same pass has."""
        recorded: dict[str, Tensor] = {}
        shared = inputs.expand(len(params["W_E"]), -1, -1)
        wanted = frozenset(kinds)
        streams, inner = not wanted <= _CHEAP, not wanted.isdisjoint(_INNER)
        logits = self._run(params, shared, recorded, streams=streams, inner=inner)
        return {"logits": logits, **recorded}

    def _run(
        self,
        params: Params,
        inputs: Tensor,
        recorded: dict[str, Tensor] | None,
        *,
        streams: bool = True,
        inner: bool = False,
    ) -> Tensor:
        p, n = self.d_vocab, inputs.shape[1]
        offset = p * torch.arange(inputs.shape[0], device=inputs.device).unsqueeze(1)
        rows_a, rows_b = inputs[..., 0] + offset, inputs[..., 1] + offset
        operands, query = params["W_E"][:, None, :p], params["W_E"][:, p:]
        if "W_pos" in params:
            position = params["W_pos"]
            operands, query = operands + position[:, :2, None], query + position[:, 2:]
        else:
            operands = operands.expand(-1, 2, -1, -1)
        x = torch.cat([operands.flatten(1, 2), query], dim=1)
        for layer in range(self.n_layers):
            last = layer == self.n_layers - 1 and (recorded is None or not streams)
            block = _Block(self, params, layer, {} if inner else None)
            noted = dict[str, Tensor]()
            if inner:
                read = self.normalised(x, block.params, "ln1")
                noted["attn_in"] = self._by_example(read, rows_a, rows_b, first=layer == 0)
            x, weights = block(
                x, rows_a, rows_b, first=layer == 0, last=last, weighs=recorded is not None
            )
            if recorded is None:
                continue
            noted["attn_pattern"] = pattern(*weights)
            joined = {"resid_post": x} if streams else {}
            if block.passed is not None:
                mid = block.passed["resid_mid"]
                joined |= {"mlp_in": self.normalised(mid, block.params, "ln2"), **block.passed}
            noted |= {kind: self._by_example(v, rows_a, rows_b) for kind, v in joined.items()}
            recorded |= {f"blocks.{layer}.{kind}": each for kind, each in noted.items()}
        answer = x[:, -n:]
        if recorded is None:
            return self.project(answer, params, "ln_final", "W_U", None)
        recorded["final"] = self.normalised(answer, params, "ln_final")
        return torch.bmm(recorded["final"], params["W_U"])

    def _by_example(
        self, x: Tensor, rows_a: Tensor, rows_b: Tensor, *, first: bool = False
    ) -> Float[Tensor, "replica batch pos _"]:
        """Joined rows, as `_Block` takes them, as those of the examples."""
        p, n = self.d_vocab, rows_a.shape[1]
        s0, s1, s2 = x.split([p, p, 1] if first else [p, n, n], dim=1)
        if first:
            s1, s2 = gather(s1, rows_b), s2.expand(-1, n, -1)
        return torch.stack([gather(s0, rows_a), s1, s2], dim=2)

    def normalised(self, x: Tensor, params: Params, norm: str) -> Tensor:
        """norm(x), not folded into anything."""
        if not self.norm:
            return x
        gain, shift = params[f"{norm}.weight"], params[f"{norm}.bias"]
        return standardise(x) * gain.unsqueeze(1) + shift.unsqueeze(1)

    def fold(
        self, params: Params, norm: str, weight: str, bias: str | None
    ) -> tuple[Tensor, Tensor | None]:
        """The matrix and row that apply a norm's gain and bias and the weight after it at once."""
        matrix = params[weight]
        row = params[bias].unsqueeze(1) if bias in params else None
        if not self.norm:
            return matrix, row
        gain, shift = params[f"{norm}.weight"].unsqueeze(2), params[f"{norm}.bias"].unsqueeze(1)
        shifted = torch.bmm(shift, matrix) if row is None else torch.baddbmm(row, shift, matrix)
        return gain * matrix, shifted

    def project(
        self, x: Tensor, params: Params, norm: str, weight: str, bias: str | None
    ) -> Tensor:
        """norm(x) @ weight + bias, with the norm folded in."""
        matrix, row = self.fold(params, norm, weight, bias)
        x = standardise(x) if self.norm else x
        return torch.bmm(x, matrix) if row is None else torch.baddbmm(row, x, matrix)


@final
class _Block:
    """One block of all replicas on their joined streams: positions 0, 1 and 2, in this order."""

    def __init__(
        self, net: PairForward, params: Params, layer: int, passed: dict[str, Tensor] | None
    ) -> None:
        self.net = net
        self.passed = passed
        """Activations on its way, joined as its streams are, where they are wanted."""
        prefix = f"blocks.{layer}."
        block = {k.removeprefix(prefix): v for k, v in params.items() if k.startswith(prefix)}
        scale = 1 / math.sqrt(block["attn.W_Q"].shape[2] // net.n_heads)
        for name in ("W", "b"):
            if f"attn.{name}_Q" in block:
                q, k, v = (block[f"attn.{name}_{letter}"] for letter in "QKV")
                block[f"{name}_QKV"] = torch.cat([q * scale, k, v], dim=-1)
            if f"mlp.{name}_gate" in block:
                both = [block[f"mlp.{name}_gate"], block[f"mlp.{name}_in"]]
                block[f"mlp.{name}_in"] = torch.cat(both, dim=-1)
        self.params = block

    def __call__(
        self, x: Tensor, rows_a: Tensor, rows_b: Tensor, *, first: bool, last: bool, weighs: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """The streams after the block, and the attention weights of queries 1 and 2.

        Args:
            x: In the first block two tables and one row, `[replica, 2 d_vocab + 1, d_model]`; later
                one table and two per-example streams, `[replica, d_vocab + 2 batch, d_model]`.
            rows_a: Row of operand a in the flattened tables, `[replica, batch]`.
            rows_b: Row of operand b, likewise.
            first: Whether `x` is made of tables.
            last: Whether only position 2 is wanted: `[replica, batch, d_model]`.
            weighs: Whether the attention weights are wanted all the same.
        """
        p, n = self.net.d_vocab, rows_a.shape[1]
        sizes = [p, p, 1] if first else [p, n, n]
        read = self.net.project(x, self.params, "ln1", "W_QKV", "b_QKV")
        q, k, v = read.chunk(3, dim=2)
        if self.net.rotary:
            q, k = self._rotated(q, sizes), self._rotated(k, sizes)
        (_, q1, q2), (k0, k1, k2), (v0, v1, v2) = (part.split(sizes, dim=1) for part in (q, k, v))
        s0, s1, s2 = x.split(sizes, dim=1)
        heads = self.net.n_heads
        if first:
            score20, score21, score22 = dot(q2, k, heads).split(sizes, dim=1)
            of_a, of_b = [v0, score20], [v1, score21]
            if weighs or not last:
                of_a, of_b = [*of_a, k0], [*of_b, q1, k1, *([] if last else [s1])]
            va, score20, *keys = look_up(of_a, rows_a)
            v1, score21, *others = look_up(of_b, rows_b)
        else:
            va, ka = look_up([v0, k0], rows_a)
            score20, score21, score22 = (dot(q2, key, heads) for key in (ka, k1, k2))
            keys, others = [ka], [q1, k1, s1]
        mixed2, weights2 = _mix([score20, score21, score22], [va, v1, v2])
        if last and not weighs:
            return self._finish(s2, mixed2), []
        (ka,), (q1, k1, *rest) = keys, others
        scores = [dot(q1, ka, heads), dot(q1, k1, heads)]
        if last:
            return self._finish(s2, mixed2), [_softmax(scores), weights2]
        mixed1, weights1 = _mix(scores, [va, v1])
        streams = torch.cat([s0, *rest, s2.expand(-1, n, -1)], dim=1)
        after = self._finish(streams, torch.cat([v0, mixed1, mixed2], dim=1))
        return after, [weights1, weights2]

    def _rotated(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Every head turned as the position says that a row of `x` belongs to."""
        where = torch.arange(3).repeat_interleave(torch.tensor(sizes)).to(x.device)
        heads = x.unflatten(2, (self.net.n_heads, -1)).transpose(1, 2)
        return rotated(heads, where).transpose(1, 2).flatten(2)

    def _finish(self, stream: Tensor, mixed: Tensor) -> Tensor:
        """Attention output and MLP, added to the stream (one row or one per example)."""
        net, params = self.net, self.params
        if "attn.b_O" in params:
            stream = stream + params["attn.b_O"].unsqueeze(1)
        stream = torch.baddbmm(stream, mixed, params["attn.W_O"])
        before = net.project(stream, params, "ln2", "mlp.W_in", "mlp.b_in")
        if net.gated:
            gate, linear = before.chunk(2, dim=2)
            hidden = net.activation(gate) * linear
        else:
            hidden = net.activation(before)
        if self.passed is not None:
            self.passed |= {"attn_z": mixed, "resid_mid": stream, "mlp_post": hidden}
        out = torch.baddbmm(stream, hidden, params["mlp.W_out"])
        return out.add_(params["mlp.b_out"].unsqueeze(1)) if "mlp.b_out" in params else out
