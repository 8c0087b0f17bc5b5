"""Networks that attend in every way that torch offers, each with the pattern it should have had."""

import math
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

D, H, T = 16, 2, 6
Kernel = Callable[[Tensor, Tensor, Tensor], Tensor]


def causal() -> Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril()


def scores(q: Tensor, k: Tensor) -> Tensor:
    return (q @ k.mT / math.sqrt(q.shape[-1])).masked_fill(~causal(), -torch.inf)


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def matmul_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return functional.dropout(scores(q, k).softmax(dim=-1), 0.5, training=False) @ v


def einsum_softmax(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    z = torch.einsum("bhqd,bhkd->bhqk", q, k) / math.sqrt(q.shape[-1])
    p = torch.softmax(z.masked_fill(~causal(), -torch.inf), dim=-1)
    return torch.einsum("bhqk,bhkd->bhqd", p, v)


def turned_einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    z = torch.einsum("b h q d, b h k d -> b k q h", q, k) / math.sqrt(q.shape[-1])
    p = z.masked_fill(~causal().T[None, :, :, None], -torch.inf).softmax(dim=1)
    return torch.einsum("bkqh,bhkd->bhqd", p, v)


def merged_bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    p = scores(q, k).flatten(0, 1).softmax(dim=-1)
    return torch.bmm(p, v.flatten(0, 1)).unflatten(0, q.shape[:2])


def by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    z = scores(q, k).exp()
    return (z / z.sum(dim=-1, keepdim=True)) @ v


def flex(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    mask = create_block_mask(lambda b, h, i, j: i >= j, None, None, T, T, device="cpu")
    return flex_attention(q, k, v, block_mask=mask)  # pyright: ignore


def summed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """No product that could be seen: softmax, times values, sum."""
    return (scores(q, k).softmax(dim=-1)[..., None] * v[:, :, None]).sum(dim=-2)


@final
class SelfAttention(nn.Module):
    """Attention with any kernel; `queries` and `keys` as an adapter would ask for them."""

    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.kernel = kernel
        self.qkv, self.out = nn.Linear(D, 3 * D), nn.Linear(D, D)

    def parts(self, x: Tensor) -> list[Tensor]:
        return [
            part.unflatten(-1, (H, -1)).transpose(1, 2) for part in self.qkv(x).chunk(3, dim=-1)
        ]

    def queries(self, x: Tensor) -> Tensor:
        return self.parts(x)[0]

    def keys(self, x: Tensor) -> Tensor:
        return self.parts(x)[1]

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.parts(x)
        return self.out(self.kernel(q, k, v).transpose(1, 2).flatten(2))


@final
class Block(nn.Module):
    def __init__(self, kernel: Kernel) -> None:
        super().__init__()
        self.attn, self.mlp = (
            SelfAttention(kernel),
            nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D)),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


def network(kernel: Kernel, n_layers: int = 2) -> nn.Module:
    """Two blocks and a readout; the same weights for every kernel."""
    torch.manual_seed(0)
    return nn.Sequential(*[Block(kernel) for _ in range(n_layers)], nn.Linear(D, 5))


def batch() -> Tensor:
    return torch.randn(3, T, D, generator=torch.Generator().manual_seed(1))


def expected(model: Any, x: Tensor) -> list[Tensor]:
    """The patterns of both blocks, worked out from their queries and keys."""
    found: list[Tensor] = []
    with torch.no_grad():
        for block in model[:2]:
            found.append(scores(block.attn.queries(x), block.attn.keys(x)).softmax(dim=-1))
            x = block(x)
    return found


READ: dict[str, tuple[Kernel, str]] = {
    "sdpa": (fused, "sdpa"),
    "softmax, matmul": (matmul_softmax, "softmax"),
    "softmax, einsum": (einsum_softmax, "softmax"),
    "softmax over another axis, einsum": (turned_einsum, "softmax"),
    "softmax, bmm of merged heads": (merged_bmm, "softmax"),
    "exp and sum by hand, matmul": (by_hand, "rows"),
    "flex_attention": (flex, "flex"),
}


@final
class Router(nn.Module):
    """Softmaxes that are no attention: soft experts, a soft embedding, a softmax as output."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.table = nn.Linear(D, 4), nn.Parameter(torch.randn(7, D))
        self.experts = nn.ModuleList(nn.Linear(D, D) for _ in range(4))
        self.to_table, self.readout = nn.Linear(D, 7), nn.Linear(D, 9)

    def forward(self, x: Tensor) -> Tensor:
        outputs = torch.stack([expert(x) for expert in self.experts], dim=2)
        weights = self.gate(x).softmax(dim=-1)
        x = torch.einsum("bte,bted->btd", weights, outputs)
        x = x + (weights[:, :, None] @ outputs)[:, :, 0]
        x = x + self.to_table(x).softmax(dim=-1) @ self.table
        return self.readout(x).softmax(dim=-1)


@final
class Lstm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(D, D, batch_first=True), nn.Linear(D, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.lstm(x)[0])
