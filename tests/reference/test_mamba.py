"""Mamba against a slow recurrence and its fast path against vmapping it: float64, gradients too."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.fleet.stack import layout_of, vmapped, vmapped_record
from observatory.models.mamba.decayed_sum import decayed_sum
from observatory.models.mamba.network import Mamba

P = 7  # no size equals another
CLOSE = 1e-12  # relative to the larger of 1 and the largest entry: roundings of short sums


def network(n_layers: int = 2, n_operands: int = 2, d_conv: int = 4, **changes: Any) -> Mamba:
    settings = {"d_model": 6, "expand": 2, "d_state": 4, "dt_rank": 3, "embed_std": 0.5}
    bounds = {"dt_min": 0.001, "dt_max": 0.1, "dt_init_floor": 1e-4}
    return Mamba(
        **{**settings, **bounds, **changes}, n_layers=n_layers, d_conv=d_conv,
        d_vocab=P, n_classes=5, n_operands=n_operands,
    ).double()  # fmt: skip


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float(((ours - theirs).abs().max() / theirs.abs().max().clamp(min=1)).detach())


def silu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-x))


def layer_norm(x: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    centred = x - x.mean()
    return centred / ((centred**2).mean() + 1e-5).sqrt() * gain + shift


def slow_block(w: dict[str, Tensor], stream: list[Tensor]) -> list[Tensor]:
    """One example, one channel after another, vectors written out as lists."""
    d_inner, d_state = w["A_log"].shape
    rank, taps, seen = w["W_dt"].shape[0], w["conv"].shape[1], []
    h = [[torch.zeros((), dtype=torch.float64)] * d_state for _ in range(d_inner)]
    after = []
    for t, row in enumerate(stream):
        both = layer_norm(row, w["ln.weight"], w["ln.bias"]) @ w["W_in"]
        seen.append(both[:d_inner])
        x = [
            silu(
                w["b_conv"][c]
                + sum(w["conv"][c, taps - 1 - j] * seen[t - j][c] for j in range(min(taps, t + 1)))
            )
            for c in range(d_inner)
        ]
        projected = torch.stack(x) @ w["W_x"]
        low, B, C = projected[:rank], projected[rank : rank + d_state], projected[rank + d_state :]
        y = []
        for c in range(d_inner):
            dt = torch.log1p(torch.exp(low @ w["W_dt"][:, c] + w["b_dt"][c]))
            h[c] = [
                torch.exp(-dt * torch.exp(w["A_log"][c, n])) * h[c][n] + dt * B[n] * x[c]
                for n in range(d_state)
            ]
            y.append(sum(C[n] * h[c][n] for n in range(d_state)) + w["D"][c] * x[c])
        gated = torch.stack(y) * silu(both[d_inner:])
        after.append(row + gated @ w["W_out"])
    return after


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(("n_layers", "n_operands", "d_conv"), [(1, 2, 4), (2, 3, 2), (1, 5, 3)])
def test_the_network_is_the_recurrence(
    n_layers: int, n_operands: int, d_conv: int, seed: int
) -> None:
    rng = named_generator(seed, "weights")
    module = network(n_layers, n_operands, d_conv)
    module.initialise(rng)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.3 * torch.randn(parameter.shape, generator=rng, dtype=torch.float64)
    inputs = torch.randint(P, (2, n_operands), generator=rng)
    pull = torch.randn(2, 5, generator=rng, dtype=torch.float64)
    w = {n: v.detach().clone().requires_grad_() for n, v in module.named_parameters()}
    expected = []
    for example in inputs:
        stream = [w["W_E"][token] for token in example]
        for layer in range(n_layers):
            block = f"blocks.{layer}."
            named = {n.removeprefix(block): v for n, v in w.items() if n.startswith(block)}
            stream = slow_block(named, stream)
        answer = layer_norm(stream[-1], w["ln_final.weight"], w["ln_final.bias"])
        expected.append(answer @ w["W_U"])
    slow, fast = torch.stack(expected), module(inputs)
    (slow * pull).sum().backward()
    (fast * pull).sum().backward()
    assert distance(fast, slow) < CLOSE
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None
        theirs = w[name].grad
        assert theirs is not None
        assert distance(parameter.grad, theirs) < CLOSE, name


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("d_conv", [2, 4])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_the_fast_path_is_the_vmapped_network(n_layers: int, d_conv: int, seed: int) -> None:
    module = network(n_layers, d_conv=d_conv)
    layout, fast = layout_of(module), module.fast_path()
    assert fast is not None
    rng = named_generator(seed, "weights")
    flat = 0.7 * torch.randn(3, sum(layout.sizes), generator=rng, dtype=torch.float64)
    inputs = torch.randint(P, (3, 9, 2), generator=rng)
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
    assert len(ours) == 2 + n_layers
    for name, activation in ours.items():
        assert distance(activation, whole[name]) < CLOSE, name


def test_the_sum_over_states_and_its_gradient() -> None:
    rng = named_generator(0, "weights")
    shapes = [(2, 5, 3), (2, 3, 4), (2, 5, 4)]
    leaves = [
        torch.randn(shape, generator=rng, dtype=torch.float64).requires_grad_() for shape in shapes
    ]
    dt, A, q = leaves
    expected = ((dt.unsqueeze(3) * A.unsqueeze(1)).exp() * q.unsqueeze(2)).sum(dim=3)
    assert distance(decayed_sum(dt, A, q), expected) < CLOSE
    assert torch.autograd.gradcheck(decayed_sum, leaves)
    (slope,) = torch.autograd.grad(decayed_sum(dt, A, q).square().sum(), dt, create_graph=True)
    with pytest.raises(RuntimeError, match="differentiate twice"):
        slope.sum().backward()


def test_initialisation_is_the_papers() -> None:
    module = network(dt_min=0.01, dt_max=0.05)
    module.initialise(named_generator(0, "init"))
    drawn = {name: v.detach() for name, v in module.blocks[0].named_parameters()}
    assert torch.allclose(drawn["A_log"].exp(), torch.arange(1.0, 5).double().expand(12, 4))
    steps = torch.nn.functional.softplus(drawn["b_dt"])
    assert steps.min() >= 0.01 - 1e-9
    assert steps.max() <= 0.05 + 1e-9
    assert drawn["W_out"].abs().max() <= 1 / math.sqrt(12 * 2)


@pytest.mark.parametrize(("n_operands", "d_conv"), [(3, 4), (1, 4), (2, 1)])
def test_what_the_savings_do_not_cover_has_no_fast_path(n_operands: int, d_conv: int) -> None:
    assert network(n_operands=n_operands, d_conv=d_conv).fast_path() is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"d_state": 0}, "`d_state` must be a whole number of at least 1, got 0"),
        ({"dt_rank": 0}, "`dt_rank` must be a whole number of at least 1 or null, got 0"),
        ({"dt_min": 0.2}, "must be positive with dt_min <= dt_max, got 0.2, 0.1"),
    ],
)
def test_sizes_and_steps_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        network(**changes)
