"""Products with a parameter: found by identity, run again from their rows and matrices."""

from collections.abc import Callable, Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from observatory.watch.low_precision.operands import Operands, operands_of
from observatory.watch.low_precision.products import Product, Site, visiting

W = nn.Parameter(torch.randn(4, 6))
STACK = nn.Parameter(torch.randn(3, 4, 6))
X = torch.randn(2, 5, 4)
HEADS = torch.randn(2, 3, 5, 4)


class Seen:
    """Keeps what it visits, and runs it from its parts."""

    def __init__(self) -> None:
        self.products: list[Product] = []
        self.worst = 0.0

    def __call__(self, product: Product) -> Tensor:
        self.products.append(product)
        plain, cut = product.run(), product.run(product.parts())
        assert plain.shape == cut.shape
        self.worst = max(self.worst, float((plain - cut).abs().max()))
        return plain


def seen(model: nn.Module, *args: object, **kwargs: object) -> Seen:
    visitor = Seen()
    with torch.no_grad(), visiting(dict(model.named_parameters()), visitor):
        model.eval()(*args, **kwargs)
    return visitor


CALLS: dict[str, tuple[Callable[[], Tensor], Tensor, int]] = {
    "x @ W": (lambda: X @ W, X @ W, 1),
    "vector @ W": (lambda: X[0, 0] @ W, X[0, 0] @ W, 1),
    "W.T @ x": (lambda: W.T @ X.mT, (X @ W).mT, 1),
    "linear": (lambda: F.linear(X, W.T), X @ W, 1),
    "linear by name": (lambda: F.linear(input=X, weight=W.T), X @ W, 1),
    "addmm": (lambda: torch.addmm(torch.zeros(6), X[0], W), X[0] @ W, 1),
    "bmm": (lambda: torch.bmm(HEADS[0], STACK), HEADS[0] @ STACK, 3),
    "x @ heads": (lambda: HEADS @ STACK, HEADS @ STACK, 3),
    "one x @ heads": (lambda: X[:, None] @ STACK, X[:, None] @ STACK, 1),
    "einsum, heads out": (
        lambda: torch.einsum("bpk, hko -> bpho", X, STACK),
        (X[:, None] @ STACK).transpose(1, 2),
        1,
    ),
    "einsum, heads summed": (
        lambda: torch.einsum("bhpk,hko->bpo", HEADS, STACK),
        (HEADS @ STACK).sum(1),
        1,
    ),
    "einsum, heads kept": (
        lambda: torch.einsum("hko,bhpk->bhpo", STACK, HEADS),
        HEADS @ STACK,
        3,
    ),
}


def of_call(run: Callable[[], Tensor]) -> tuple[Tensor, list[Product]]:
    visitor = Seen()
    with torch.no_grad(), visiting({"W": W, "stack": STACK}, visitor):
        output = run()
    assert visitor.worst < 1e-5
    return output, visitor.products


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_rows_times_matrices(name: str) -> None:
    run, wanted, n_parts = CALLS[name]
    output, products = of_call(run)
    torch.testing.assert_close(output, wanted)
    (product,) = products
    parts = product.parts()
    assert len(parts) == n_parts
    result = torch.cat([(part.x @ part.w).flatten() for part in parts])
    if name == "einsum, heads summed":
        assert parts[0].x.shape == (10, 12)
    torch.testing.assert_close(result.sort().values, output.flatten().sort().values)


def test_what_is_no_product_of_one_parameter_is_left_alone() -> None:
    assert not of_call(lambda: X @ torch.ones(4, 2))[1]
    assert not of_call(lambda: W.T @ W)[1]
    assert not of_call(lambda: F.embedding(torch.tensor([1, 2]), W))[1]
    assert not of_call(lambda: torch.einsum("ko->o", W))[1]
    assert not of_call(lambda: torch.einsum("...k,ko->...o", X, W))[1]


def test_experts_have_rows_and_a_matrix_each() -> None:
    x, ends = torch.randn(7, 4), torch.tensor([2, 2, 5], dtype=torch.int32)
    found = operands_of(_grouped_mm, (x, STACK, ends), {}, lambda each: each is STACK)
    assert isinstance(found, Operands)
    assert [len(part.x) for part in found.parts()] == [2, 0, 3]
    torch.testing.assert_close(found.run(found.parts()), _grouped_mm(x, STACK, ends))


def test_experts_by_the_public_function_are_the_same() -> None:
    x, ends = torch.randn(7, 4), torch.tensor([2, 2, 5], dtype=torch.int32)
    found = operands_of(grouped_mm, (x, STACK), {"offs": ends}, lambda each: each is STACK)
    assert isinstance(found, Operands)
    assert [len(part.x) for part in found.parts()] == [2, 0, 3]
    torch.testing.assert_close(found.run(found.parts()), _grouped_mm(x, STACK, ends))


def grouped_mm(x: Tensor, w: Tensor, *, offs: Tensor) -> Tensor:
    return _grouped_mm(x, w, offs)


def _grouped_mm(x: Tensor, w: Tensor, ends: Tensor) -> Tensor:
    begins = [0, *ends[:-1].tolist()]
    spans = zip(begins, ends.tolist(), strict=True)
    return torch.cat([x[begin:end] @ w[i] for i, (begin, end) in enumerate(spans)])


class FeedForward(nn.Module):
    """One of the usual layers, written in one of the usual ways."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.up, self.gate = nn.Linear(8, 12), nn.Linear(8, 12)
        self.both, self.down = nn.Linear(8, 24), nn.Linear(12, 8)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.hidden(x))

    def hidden(self, x: Tensor) -> Tensor:
        if self.kind == "gelu":
            return F.dropout(F.gelu(self.up(x)), 0.1, self.training)
        if self.kind == "written out":
            y = self.up(x)
            return 0.5 * y * (1.0 + torch.tanh(0.8 * (y + 0.04 * torch.pow(y, 3.0))))
        if self.kind == "swish":
            y = self.up(x)
            return y * torch.sigmoid(y)
        if self.kind == "gated":
            return F.silu(self.gate(x)) * self.up(x)
        if self.kind == "gated, bias apart":
            gate = x @ self.gate.weight.T + self.gate.bias
            return F.silu(gate) * (x @ self.up.weight.T + self.up.bias)
        if self.kind == "fused":
            gate, up = self.both(x).chunk(2, dim=-1)
            return up * F.silu(gate)
        assert self.kind == "clamped"
        y = self.both(x)
        gate, up = y[..., ::2].clamp(max=7), y[..., 1::2].clamp(-7, 7)
        return (up + 1) * (gate * torch.sigmoid(gate * 1.7))


@pytest.mark.parametrize(
    ("kind", "gated"),
    [
        ("gelu", False), ("written out", False), ("swish", False), ("gated", True),
        ("gated, bias apart", True), ("fused", True), ("clamped", True),
    ],
)  # fmt: skip
def test_the_activations_of_a_feed_forward_layer_are_known(kind: str, gated: bool) -> None:
    model = nn.Sequential(FeedForward(kind), FeedForward(kind))
    found = seen(model, torch.randn(3, 5, 8))
    assert found.worst < 1e-5
    downs = [p for p in found.products if p.site.name.endswith("down.weight")]
    assert len(downs) == 2
    assert [p.site.name for p in found.products if p.feed_forward] == [p.site.name for p in downs]
    for product in downs:
        pairs = product.gated()
        assert (pairs is not None) == gated
        if pairs is not None:
            ((gate, up),) = pairs
            torch.testing.assert_close(gate * up, product.parts()[0].x)
    assert all(p.gated() is None for p in found.products if p not in downs)


def test_recurrent_and_attending_products_are_no_feed_forward() -> None:
    class Cell(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W_x, self.W_h = nn.Parameter(torch.randn(4, 16)), nn.Parameter(torch.randn(4, 16))

        def forward(self, x: Tensor) -> Tensor:
            h = c = torch.zeros(len(x), 4)
            for t in range(x.shape[1]):
                i, f, g, o = (x[:, t] @ self.W_x + h @ self.W_h).chunk(4, -1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            return h

    found = seen(Cell(), torch.randn(2, 3, 4))
    assert [p.site for p in found.products if p.site.name == "W_h"] == [
        Site("W_h", 0, number) for number in range(3)
    ]
    assert not any(p.feed_forward for p in found.products)


def matrices(model: nn.Module) -> Iterator[str]:
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1 and "emb" not in name and "wpe" not in name:
            yield name


@pytest.mark.slow
def test_transformers_matrices_are_seen() -> None:
    transformers = pytest.importorskip("transformers")
    small = {"vocab_size": 32, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    wide = {**small, "intermediate_size": 24, "num_key_value_heads": 1}
    ids = torch.randint(32, (2, 6))
    models = [
        transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2)
        ),
        transformers.LlamaForCausalLM(transformers.LlamaConfig(**wide)),
        transformers.MixtralForCausalLM(
            transformers.MixtralConfig(**wide, num_local_experts=3, num_experts_per_tok=2)
        ),
    ]
    for model, n_layers_gated in zip(models, (0, 2, 2), strict=True):
        found = seen(model, ids, use_cache=False)
        assert found.worst < 1e-5, type(model)
        assert {p.site.name for p in found.products} >= set(matrices(model)) - {"lm_head.weight"}
        assert len({p.site.name for p in found.products if p.gated()}) == n_layers_gated
        assert len({p.site.name for p in found.products if p.feed_forward}) == 2
