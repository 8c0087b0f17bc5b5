"""From queries and keys to attention patterns: the softmax, and rules on normalised vectors."""

import math
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

AttentionRule = Literal["softmax", "qk_norm", "lssa", "lssar_3", "lssar_15"]
_POWERS = {"lssar_3": 3, "lssar_15": 15}
_OFFSET_FROM = 3
"""First row from which LSSAR subtracts 1, counted from 0."""


def attention_pattern(
    q: Float[Tensor, "*batch pos d_head"],
    k: Float[Tensor, "*batch pos d_head"],
    rule: AttentionRule,
    causal: bool,
) -> Float[Tensor, "*batch pos pos"]:
    """Weights of every query over the keys; each row adds up to 1.

    "softmax" is that of q.k / sqrt(d_head). All others take vectors of length 1 and the scores
    s = ln(d_head) ln(n) q.k, n the keys that the row sees: "qk_norm" has their softmax, "lssa"
    softplus(s) over its sum in the row. "lssar_3" and "lssar_15" sharpen that, a:
    relu(n a - o)^p over its sum, p 3 or 15, o 0 in the first three rows and 1 from the fourth on.
    The size of W_Q and W_K changes no pattern but that of "softmax".

    Args:
        q: Queries.
        k: Keys.
        rule: As above.
        causal: Whether a row sees only itself and earlier ones.

    Source:
        arXiv:2501.13428. Deviations: "qk_norm" is our control, the softmax of the same scores; a
        row in which nothing exceeds o keeps its weights before the sharpening.
    """
    n_ctx = q.shape[-2]
    seen = torch.ones(n_ctx, n_ctx, dtype=torch.bool, device=q.device)
    if causal:
        seen = seen.tril()
    if rule == "softmax":
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
    n = seen.sum(dim=-1, keepdim=True).to(q.dtype)
    cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2)
    scores = math.log(q.shape[-1]) * n.log() * cosines
    if rule == "qk_norm":
        return scores.masked_fill(~seen, -torch.inf).softmax(dim=-1)
    weights = F.softplus(scores) * seen
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights if rule == "lssa" else _sharpened(weights, n, _POWERS[rule])


def _sharpened(weights: Tensor, n: Tensor, power: int) -> Tensor:
    late = torch.arange(len(n), device=n.device).unsqueeze(1) >= _OFFSET_FROM
    sharp = torch.relu(n * weights - late.to(n.dtype)).pow(power)
    total = sharp.sum(dim=-1, keepdim=True)
    return torch.where(total > 0, sharp / total.where(total > 0, 1.0), weights)
