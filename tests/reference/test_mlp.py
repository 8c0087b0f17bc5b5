"""The fast paths of the perceptrons against vmapping the plain modules, in float64."""

import pytest
import torch
from torch import nn

from observatory.core.rng import named_generator
from observatory.fleet.stack import layout_of, vmapped, vmapped_record
from observatory.models.li2.blockwise import BLOCK
from observatory.models.li2.network import Li2
from observatory.models.mlp.network import Mlp

P, CLASSES = 7, 5  # no size equals another


def assert_same(module: nn.Module, n_operands: int, n_examples: int, seed: int) -> None:
    """Forward, gradient and recording, to rounding."""
    layout, fast = layout_of(module), module.fast_path()  # type: ignore[operator]
    rng = named_generator(seed, "weights")
    flat = 0.3 * torch.randn(3, sum(layout.sizes), generator=rng, dtype=torch.float64)
    inputs = torch.randint(P, (3, n_examples, n_operands), generator=rng)
    pull = torch.randn(3, n_examples, CLASSES, generator=rng, dtype=torch.float64)
    logits, gradients = [], []
    for forward in (fast, vmapped(module)):
        leaf = flat.clone().requires_grad_()
        logits.append(forward(layout.views(leaf), inputs))
        gradients.append(torch.autograd.grad((logits[-1] * pull).sum(), leaf)[0])
    for ours, plain in (logits, gradients):
        assert (ours - plain).abs().max() < 1e-12 * plain.abs().max().clamp(min=1)
    params = layout.views(flat)
    ours, whole = fast.record(params, inputs[0]), vmapped_record(module)(params, inputs[0])
    assert ours.keys() == whole.keys()
    for name, activation in ours.items():
        assert (activation - whole[name]).abs().max() < 1e-12 * whole[name].abs().max(), name


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("d_model", [6, None])
@pytest.mark.parametrize(
    ("n_layers", "activation", "n_operands"),
    [
        (1, "relu", 2),
        (2, "gelu", 2),
        (3, "relu", 3),
        (2, "square", 1),
        (1, "silu", 2),
        (2, "formula:x*cos(x)", 2),
    ],
)
def test_the_tables_of_the_mlp(
    n_layers: int, activation: str, n_operands: int, d_model: int | None, bias: bool, seed: int
) -> None:
    module = Mlp(
        n_layers=n_layers, d_model=d_model, d_mlp=11, activation=activation, bias=bias,
        start="normal", embed_std=0.02, d_vocab=P, n_classes=CLASSES, n_operands=n_operands,
    ).double()  # fmt: skip
    assert_same(module, n_operands, 10, seed)


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_examples", [10, 2 * BLOCK, 2 * BLOCK + 1])
@pytest.mark.parametrize(
    ("activation", "n_operands"), [("square", 2), ("square", 1), ("relu", 2), ("relu", 3)]
)
def test_the_blocks_of_li2(activation: str, n_operands: int, n_examples: int, seed: int) -> None:
    module = Li2(
        d_mlp=11, activation=activation, zero_readout=False, d_vocab=P, n_classes=CLASSES,
        n_operands=n_operands,
    ).double()  # fmt: skip
    assert_same(module, n_operands, n_examples, seed)
