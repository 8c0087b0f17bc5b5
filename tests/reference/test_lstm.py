"""The LSTM against `nn.LSTM`, and its fast path against vmapping it: float64, with gradients."""

import pytest
import torch
from torch import Tensor, nn

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.fleet.stack import layout_of, vmapped, vmapped_record
from observatory.models.lstm.network import Lstm

P = 7  # no size equals another
CLOSE = 1e-12  # relative to the larger of 1 and the largest entry: roundings of short sums


def network(n_layers: int, n_operands: int) -> Lstm:
    return Lstm(
        n_layers=n_layers, d_model=6, d_hidden=10, embed_std=0.5, d_vocab=P, n_classes=5,
        n_operands=n_operands,
    ).double()  # fmt: skip


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float(((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)).detach())


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_operands", [2, 3, 5])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_the_network_is_torchs(n_layers: int, n_operands: int, seed: int) -> None:
    rng = named_generator(seed, "weights")
    ours = network(n_layers, n_operands)
    ours.initialise(rng)
    theirs = nn.LSTM(6, 10, n_layers, batch_first=True).double()
    for layer, block in enumerate(ours.blocks):
        for name, parameter in block.named_parameters():
            kind = {"W": "weight", "b": "bias"}[name[0]]
            twin = getattr(theirs, f"{kind}{name[1:]}_l{layer}")
            twin.data = parameter.detach().T.contiguous() if kind == "weight" else parameter.data
    inputs = torch.randint(P, (9, n_operands), generator=rng)
    pull = torch.randn(9, 5, generator=rng, dtype=torch.float64)
    embedded = ours.W_E.detach()[inputs].requires_grad_()
    expected = theirs(embedded)[0][:, -1] @ ours.W_U.detach()
    (expected * pull).sum().backward()
    logits = ours(inputs)
    (logits * pull).sum().backward()
    assert distance(logits, expected) < CLOSE
    assert embedded.grad is not None
    summed = torch.zeros(P, 6, dtype=torch.float64).index_add(
        0, inputs.flatten(), embedded.grad.flatten(0, 1)
    )
    assert ours.W_E.grad is not None
    assert distance(ours.W_E.grad, summed) < CLOSE
    for layer, block in enumerate(ours.blocks):
        for name, parameter in block.named_parameters():
            kind = {"W": "weight", "b": "bias"}[name[0]]
            twin = getattr(theirs, f"{kind}{name[1:]}_l{layer}").grad
            assert parameter.grad is not None
            assert distance(parameter.grad, twin.T if kind == "weight" else twin) < CLOSE, name


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("n_operands", [2, 3, 5])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_the_fast_path_is_the_vmapped_network(n_layers: int, n_operands: int, seed: int) -> None:
    module = network(n_layers, n_operands)
    layout, fast = layout_of(module), module.fast_path()
    assert fast is not None
    rng = named_generator(seed, "weights")
    flat = 0.7 * torch.randn(3, sum(layout.sizes), generator=rng, dtype=torch.float64)
    inputs = torch.randint(P, (3, 9, n_operands), generator=rng)
    pull = torch.randn(3, 9, 5, generator=rng, dtype=torch.float64)
    logits, gradients = [], []
    for forward in (fast, vmapped(module)):
        leaf = flat.clone().requires_grad_()
        logits.append(forward(layout.views(leaf), inputs))
        gradients.append(torch.autograd.grad((logits[-1] * pull).sum(), leaf)[0])
    assert distance(*logits) < CLOSE
    assert distance(*gradients) < CLOSE
    params = layout.views(flat)
    ours, whole = fast.record(params, inputs[0]), vmapped_record(module)(params, inputs[0])
    assert len(ours) == 2 + 2 * n_layers
    for name, activation in ours.items():
        assert distance(activation, whole[name]) < CLOSE, name


def test_one_operand_has_no_fast_path_and_no_size_may_be_zero() -> None:
    assert network(1, 1).fast_path() is None
    with pytest.raises(ConfigError, match="`n_layers` must be a whole number of at least 1, got 0"):
        network(0, 2)
