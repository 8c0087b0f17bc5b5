"""The surrogate-gradient NTK of networks of signs: plain loops, and the limit of wide networks."""

import itertools
import math
import statistics
from typing import Any

import pytest
import torch

from observatory.core.layout import Params
from observatory.core.view import FleetView
from observatory.fleet.every_example import FleetExamples
from observatory.fleet.replicas import Dataset
from observatory.losses.cross_entropy import CrossEntropy
from observatory.models.mlp.network import Mlp
from observatory.nonlinearities.elementwise import sign, steep_signs
from observatory.nonlinearities.wide_kernels import (
    ERF,
    HALF_ERF,
    SIGN,
    THRESHOLD,
    Kernel,
    SmoothStep,
    wide_kernels,
)
from observatory.probes.kernel_drift import (
    KernelDrift,
    SurrogateKernel,
    kernels,
    surrogate_kernels,
)
from observatory.tasks.modular import Modular

P = 7
V = torch.tensor([1.0, -1, 1, 1, -1, 1, -1], dtype=torch.float64)
PAIRS = torch.tensor([[0, 0], [0, 1], [2, 1], [3, 5], [2, 6]])


def examples_of(
    activation: str, d_mlp: int, *, seed: int, n_layers: int = 1, d_model: int | None = None
) -> FleetExamples:
    """A perceptron at its start, on addition modulo 7."""
    network = Mlp(
        n_layers=n_layers, d_model=d_model, d_mlp=d_mlp, activation=activation, bias=True,
        start="normal", embed_std=1.0, d_vocab=P, n_classes=P, n_operands=2,
    ).double()  # fmt: skip
    dataset = Dataset.of(Modular(p=P, operation="add", random_labels=False), 0.6)
    return FleetExamples(
        [0], network=network, recorders=(), dataset=dataset, loss=CrossEntropy(), seeds={0: seed},
        device=torch.device("cpu"),
    )  # fmt: skip


def slow_rows(params: Params, steepness: float | None) -> list[list[float]]:
    """Gradients of one hidden layer of signs by loops over units; None: the surrogate slope."""
    w_e, w_in, b_in, w_u = (params[n][0].tolist() for n in
                            ("W_E", "blocks.0.W_in", "blocks.0.b_in", "W_U"))  # fmt: skip
    rows = []
    for a, b in PAIRS.tolist():
        x, units = w_e[a] + w_e[b], range(len(b_in))
        z = [b_in[k] + sum(x[i] * w_in[i][k] for i in range(len(x))) for k in units]
        m = 1.0 if steepness is None else steepness / math.sqrt(sum(t * t for t in z) / len(z))
        slope = [2 * m / math.sqrt(math.pi) * math.exp(-((m * t) ** 2)) for t in z]
        d = [slope[k] * sum(float(V[c]) * w_u[k][c] for c in range(P)) for k in units]
        back = [sum(w_in[i][k] * d[k] for k in units) for i in range(len(x))]
        table = [[0.0] * len(w_e[0]) for _ in w_e]
        for place, token in enumerate((a, b)):
            for i in range(len(w_e[0])):
                table[token][i] += back[place * len(w_e[0]) + i]
        row = [entry for each in table for entry in each]
        row += [x[i] * d[k] for i in range(len(x)) for k in units] + d
        rows.append(row + [math.copysign(1, z[k]) * float(V[c]) for k in units for c in range(P)])
    return rows


def test_it_is_that_of_loops_over_units() -> None:
    everything = examples_of("sign", 6, seed=3, d_model=2)
    params = everything.start
    steep, plain = slow_rows(params, 4.0), slow_rows(params, None)
    for left, found in (
        (steep, surrogate_kernels(everything, params, PAIRS, V, 4.0)),
        (plain, kernels(everything, params, PAIRS, V)),
    ):
        slow = [[sum(s * t for s, t in zip(i, j, strict=True)) for j in plain] for i in left]
        whole = torch.stack(list(found.values())).sum(dim=0)
        torch.testing.assert_close(
            whole, torch.tensor(slow, dtype=torch.float64), rtol=1e-10, atol=1e-10
        )


def over_growth(found: dict[str, Kernel], sizes: dict[str, int]) -> Kernel:
    """Each summand over what it grows with: width, or the length of one-hot operands."""
    return torch.stack([found[name] / (P * size) for name, size in sizes.items()]).sum(dim=0)


@pytest.mark.parametrize(
    ("name", "activation", "surrogate", "n_layers", "d_mlp"),
    [
        ("sign", SIGN, ERF, 1, 8000),
        ("threshold", THRESHOLD, HALF_ERF, 1, 8000),
        ("sign", SIGN, ERF, 2, 800),
    ],
)
def test_wide_networks_have_the_kernel_of_the_limit(
    name: str, activation: SmoothStep, surrogate: SmoothStep, n_layers: int, d_mlp: int
) -> None:
    """With 16 times the width the error is a quarter but for chance; that of J J' stays.

    Means over three starts.
    """
    hots = torch.nn.functional.one_hot(PAIRS, P).double().flatten(1)
    s, limit = wide_kernels(hots @ hots.T / (2 * P), n_layers=n_layers, sigma_w=1.0, sigma_b=0.0,
                            activation=activation, surrogate=surrogate)  # fmt: skip
    hidden, errors = limit - s, dict[int, list[list[float]]]()
    for width, seed in itertools.product((d_mlp // 16, d_mlp), range(3)):
        everything = examples_of(name, width, seed=seed, n_layers=n_layers)
        params = everything.start
        sizes = {f"blocks.{i}.W_in": width if i else 2 * P for i in range(n_layers)}
        found = surrogate_kernels(everything, params, PAIRS, V, 8.0)
        both = kernels(everything, params, PAIRS, V)
        parts = (
            (over_growth(found, sizes), hidden),
            (over_growth(both, sizes), hidden),
            (over_growth(found, {"W_U": width}), s),
        )
        found_errors = [float((mine - wide).norm() / wide.norm()) for mine, wide in parts]
        errors.setdefault(width, []).append(found_errors)
    (narrow, *_), (wide, symmetric, readout) = (
        [statistics.mean(part) for part in zip(*each, strict=True)] for each in errors.values()
    )
    assert wide < min(0.6 * narrow, 0.1 if n_layers == 1 else 0.25)
    assert symmetric > 2 * wide
    assert readout < 0.1


@pytest.mark.parametrize("activation", ["gelu", "sign"])
def test_what_the_probe_writes(activation: str) -> None:
    everything = examples_of(activation, 12, seed=1, d_model=4)
    rng = torch.Generator().manual_seed(5)
    params = {
        name: stack + 0.1 * torch.randn(stack.shape, generator=rng, dtype=torch.float64)
        for name, stack in everything.start.items()
    }
    network = Mlp(n_layers=1, d_model=4, d_mlp=12, activation=activation, bias=True,
                  start="normal", embed_std=1.0, d_vocab=P, n_classes=P, n_operands=2)  # fmt: skip
    view = FleetView(
        replica=torch.arange(1), step=torch.arange(1), params=params, weights=network.weights(),
        inputs=PAIRS, labels=everything.labels[:, :5], in_train=everything.in_train[:, :5],
        activations={}, loss_dtype="float64", everything=everything,
    )  # fmt: skip
    found: dict[str, Any] = dict(
        SurrogateKernel(most_examples=5, steepness=4.0, seed=0).measure(view)
    )
    plain: dict[str, Any] = dict(KernelDrift(most_examples=5, seed=0).measure(view))
    share, cosine = (float(found[n].values) for n in ("antisymmetric_share", "surrogate_cosine"))
    if activation == "gelu":  # what has a slope of its own has the plain kernel
        assert share < 1e-14
        assert cosine == pytest.approx(1)
    else:
        assert 0.01 < share < 1
        assert cosine < 0.999
    for column in ("drift", "drift_hidden", "alignment", "trace"):
        same = float(found[column].values) == pytest.approx(float(plain[column].values))
        assert same == (activation == "gelu"), column


def test_slopes_are_steep_while_it_is_asked_for_and_no_longer() -> None:
    x = torch.tensor([0.3, -0.4], requires_grad=True)
    size = math.sqrt((0.09 + 0.16) / 2)

    def slope() -> float:
        return float(torch.autograd.grad(sign(x).sum(), x)[0][0])

    def refused() -> None:
        with steep_signs(2.0):
            m = 2 / size
            steep = 2 * m / math.sqrt(math.pi) * math.exp(-((0.3 * m) ** 2))
            assert slope() == pytest.approx(steep)
            assert sign(x).tolist() == [1, -1]
            raise KeyError

    with pytest.raises(KeyError):
        refused()
    assert slope() == pytest.approx(2 / math.sqrt(math.pi) * math.exp(-0.09))
