"""The fast path against vmapping the plain module: forward, gradient and recording, in float64."""

import pytest
import torch

from observatory.core.rng import named_generator
from observatory.fleet.stack import layout_of, vmapped, vmapped_record
from observatory.maths.nonlinearities import ACTIVATIONS
from observatory.models.transformer.network import Transformer
from observatory.models.transformer.pair_forward import PairForward

P = 7  # no size equals another


def network(**settings: object) -> Transformer:
    usual = {
        "n_layers": 1, "n_heads": 2, "d_model": 12, "d_mlp": 20, "activation": "relu",
        "gated": False, "positions": "learned", "norm": "pre", "attention": "softmax",
        "bias": True, "attn_bias": True, "causal": True, "embed_std": 0.02, "matrix_std": None,
        "d_vocab": P, "n_classes": 5, "n_operands": 2,
    }  # fmt: skip
    return Transformer(**{**usual, **settings}).double()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("norm", ["pre", "none"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(
    ("n_layers", "activation"),
    [(1, "relu"), (2, "gelu"), (3, "relu"), (1, "square"), (2, "silu"), (2, "elu"), (1, "sign")],
)
def test_forward_gradient_and_recording(
    n_layers: int, norm: str, bias: bool, activation: str, seed: int
) -> None:
    module = network(n_layers=n_layers, norm=norm, bias=bias, attn_bias=bias, activation=activation)
    assert_same(module, n_layers, seed)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("positions", ["learned", "rotary", "none"])
@pytest.mark.parametrize("gated", [True, False])
@pytest.mark.parametrize(
    ("norm", "bias", "attn_bias", "activation"),
    [("pre", True, True, "relu"), ("none", True, False, "relu"), ("pre", False, True, "silu")],
)
def test_positions_gates_and_biases_in_part(
    n_layers: int, positions: str, gated: bool, norm: str, bias: bool, attn_bias: bool,
    activation: str,
) -> None:  # fmt: skip
    module = network(
        n_layers=n_layers, positions=positions, gated=gated, norm=norm, bias=bias,
        attn_bias=attn_bias, activation=activation,
    )  # fmt: skip
    assert_same(module, n_layers, 0)


def assert_same(module: Transformer, n_layers: int, seed: int) -> None:
    layout, fast = layout_of(module), module.fast_path()
    assert isinstance(fast, PairForward)
    rng = named_generator(seed, "weights")
    flat = 0.3 * torch.randn(3, sum(layout.sizes), generator=rng, dtype=torch.float64)
    inputs = torch.randint(P, (3, 10, 2), generator=rng)
    pull = torch.randn(3, 10, 5, generator=rng, dtype=torch.float64)
    logits, gradients = [], []
    for forward in (fast, vmapped(module)):
        leaf = flat.clone().requires_grad_()
        logits.append(forward(layout.views(leaf), inputs))
        gradients.append(torch.autograd.grad((logits[-1] * pull).sum(), leaf)[0])
    assert (logits[0] - logits[1]).abs().max() < 1e-12 * logits[1].abs().max().clamp(min=1)
    assert (gradients[0] - gradients[1]).abs().max() < 1e-12 * gradients[1].abs().max().clamp(min=1)
    params = layout.views(flat)
    ours, whole = fast.record(params, inputs[0]), vmapped_record(module)(params, inputs[0])
    assert len(ours) == 2 + 2 * n_layers
    less = fast.record_for(params, inputs[0], {"logits", "attn_pattern"})
    assert less.keys() == {name for name in ours if not name.endswith("resid_post")}
    for name, activation_of in less.items():
        assert (activation_of - ours[name]).abs().max() < 1e-13 * ours[name].abs().max(), name
    more = fast.record_for(params, inputs[0], {"mlp_post"})
    assert {name.rsplit(".", 1)[-1] for name in more} == fast.recordable
    for name, activation_of in ours.items():
        assert torch.equal(activation_of, more[name]), name
    for name, activation_of in more.items():
        scale = whole[name].abs().max().clamp(min=1)
        assert (activation_of - whole[name]).abs().max() < 1e-12 * scale, name


@pytest.mark.parametrize(
    "settings",
    [
        {"norm": "post"},
        {"causal": False},
        {"n_operands": 3},
        {"activation": "crrelu"},
        {"attention": "lssa"},
        {"norm": "pre_rms"},
    ],
    ids=str,
)
def test_settings_that_the_savings_do_not_cover_have_no_fast_path(settings: dict) -> None:
    assert network(**settings).fast_path() is None


def test_every_activation_is_tested() -> None:
    assert set(ACTIVATIONS) == {"relu", "gelu", "square", "silu"}
