"""Patterns of every way to attend that torch offers; what is no attention is not taken for one."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

import observatory as ob
from observatory.watch.reading.patterns import Pattern
from tests.unit.watch.contexts import ByQueriesAndKeys, quiet_torch
from tests.unit.watch.networks import (
    READ,
    D,
    Lstm,
    Router,
    T,
    batch,
    expected,
    fused,
    network,
    summed,
)

pytestmark = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


def worst(snap: Any, references: list[Tensor]) -> float:
    patterns = [snap.patterns[f"blocks.{i}.attn_pattern"] for i in range(len(references))]
    return max(
        float((mine - theirs).abs().max())
        for mine, theirs in zip(patterns, references, strict=True)
    )


@pytest.mark.slow
@pytest.mark.parametrize("way", READ)
def test_patterns_are_those_of_queries_and_keys(way: str) -> None:
    kernel, how = READ[way]
    snap = ob.probe(network(kernel), batch())
    assert [(f.path, f.how, f.layer) for f in snap.found] == [
        ("0.attn", how, 0),
        ("1.attn", how, 1),
    ]
    assert worst(snap, expected(network(fused), batch())) < 1e-6


@pytest.mark.parametrize("way", ["sdpa", "softmax, matmul", "flex_attention"])
def test_the_largest_logit_is_that_of_the_scores(way: str) -> None:
    kernel, _ = READ[way]
    model: Any = network(kernel)
    row = ob.probe(model, batch()).tables["attention_heads"].values["max_logit"]
    with torch.no_grad():
        q, k = model[0].attn.queries(batch()), model[0].attn.keys(batch())
    causal = torch.ones(T, T).tril() == 1
    z = (q @ k.mT / (D // 2) ** 0.5).masked_fill(~causal, -torch.inf)
    assert row.values[0, 0].tolist() == pytest.approx(z.amax(dim=(0, 2, 3)).tolist(), rel=1e-5)  # pyright: ignore


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_encoder_of_torch_with_padding(train: bool, first: bool) -> None:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(D, 2, 32, dropout=0.3, batch_first=True, norm_first=first)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).train(train)
    padding = torch.zeros(3, T) == 1
    padding[1, 4:] = True
    given = {"src": batch(), "src_key_padding_mask": padding}
    snap = ob.probe(model, given)
    attention: Any = model.eval().layers[0].self_attn
    x = model.layers[0].norm1(batch()) if first else batch()  # pyright: ignore
    with torch.no_grad():
        _, weights = attention(x, x, x, key_padding_mask=padding, average_attn_weights=False)
    difference = (snap.patterns["blocks.0.attn_pattern"] - weights).abs()
    assert float(difference.max()) < 1e-6
    assert float(snap.patterns["blocks.1.attn_pattern"][1, :, :, 4:].max()) == 0


def test_multi_head_attention_of_torch() -> None:
    torch.manual_seed(0)
    model = nn.MultiheadAttention(D, 2, batch_first=True).eval()
    snap = ob.probe(model, (batch(), batch(), batch()))
    with torch.no_grad():
        _, weights = model(batch(), batch(), batch(), average_attn_weights=False)
    assert torch.equal(snap.patterns["blocks.0.attn_pattern"], weights)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.parametrize("wrapped", ["model", "in place", "blocks"])
def test_a_compiled_model_is_read_as_it_is(wrapped: str) -> None:
    model: Any = network(fused)
    references = expected(model, batch())
    if wrapped == "model":
        compiled = torch.compile(model, backend="aot_eager")
    else:
        compiled = model
        for each in [model] if wrapped == "in place" else model[:2]:
            each.compile(backend="aot_eager")
    before = compiled(batch())
    snap = ob.probe(compiled, batch())
    assert worst(snap, references) < 1e-6
    assert torch.equal(compiled(batch()), before)
    assert not torch_module._has_any_global_hook()


@pytest.mark.parametrize(
    "model",
    [Lstm(), Router(), nn.Sequential(nn.Conv1d(T, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3))],
    ids=["LSTM", "soft experts and tables", "CNN"],
)
def test_none_is_found_where_there_is_none(model: nn.Module) -> None:
    snap = ob.probe(model, batch())
    assert snap.found == ()
    assert snap.patterns == {}
    assert "attention" not in snap.tables
    assert "weight_norm" in snap.tables


def test_a_sum_in_place_of_a_product_is_refused_with_the_adapter_to_write() -> None:
    model = network(summed)
    with pytest.raises(ob.AttentionNotFoundError) as refused:
        ob.probe(model, batch())
    message = str(refused.value)
    assert "softmax of shape [3, 2, 6, 6] in `0.attn`" in message
    assert "matches = SelfAttention" in message
    snap = ob.probe(model, batch(), adapters=[ByQueriesAndKeys()])
    assert [f.how for f in snap.found] == ["adapter", "adapter"]
    assert worst(snap, expected(network(fused), batch())) < 1e-6


def test_a_scripted_module_is_refused_and_read_with_an_adapter() -> None:
    model: Any = network(fused)
    references = expected(model, batch())
    with quiet_torch():
        traced = torch.jit.trace(network(fused).eval(), batch())  # pyright: ignore
    with pytest.raises(ob.AttentionNotFoundError, match="scaled_dot_product"):
        ob.probe(traced, batch())

    class Whole:
        matches = type(traced)

        def pattern(self, module: Any, args: tuple[Any, ...], output: Any) -> Pattern:
            q, k = model[0].attn.queries(args[0]), model[0].attn.keys(args[0])
            return ob.softmax_scores(q, k, causal=True)

    snap = ob.probe(traced, batch(), adapters=[Whole()])
    assert float((next(iter(snap.patterns.values())) - references[0]).abs().max()) < 1e-6


def test_attention_can_be_left_out() -> None:
    snap = ob.probe(network(summed), batch(), attention=False)
    assert "massive_activations" in snap.tables
    assert "attention" not in snap.tables
