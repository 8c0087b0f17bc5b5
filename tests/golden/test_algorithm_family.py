r"""A hand-built clock and a hand-built pizza that add modulo M, and how they are told apart.

Both embed t as (cos wt, sin wt), w = 2 pi K / M. The clock's square units are (x + y)^2 and
(x - y)^2 of one coordinate of either operand, whose difference is 4 xy: its logits are
cos w(a + b - c). The pizza's ReLU units are the two halves of |u_j (E_a + E_b)|,
u_j = (cos f_j, sin f_j), f_j = pi j / M, j < M; read out with cos(2 f_j - wc) they give a
multiple of |cos(w(a - b) / 2)| cos w(a + b - c), arXiv:2306.17844. 1e-9: float64 sums of a few
thousand terms.
"""

import dataclasses
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call

from observatory.core.contracts import Masked, Measurement
from observatory.core.layout import Params
from observatory.core.view import FleetView
from observatory.fleet.stack import layout_of
from observatory.maths.answer_logits import centred
from observatory.maths.groups import cyclic_table
from observatory.maths.irreps import isotypic
from observatory.maths.pairs.families import FAMILIES, circularity, distance_irrelevance
from observatory.probes.output_spectrum import (
    AlgorithmFamily,
    embedded_operands,
    operand_gradients,
)
from observatory.tasks.modular import Modular
from tests.hand_built import look_at
from tests.small_networks import network_of

M, K = 13, 3
ALL = AlgorithmFamily(most_triples=M**3, components=4, seed=0)
TURNS = 2 * math.pi * K / M * torch.arange(M, dtype=torch.float64)
CIRCLE = torch.stack([TURNS.cos(), TURNS.sin()], dim=1)

stored_as = pytest.mark.parametrize(
    ("dtype", "least"), [(torch.float64, 1e-9), (torch.float32, 1e-6)], ids=["float64", "float32"]
)


def hand_built(w_in: Tensor, w_out: Tensor, activation: str) -> FleetView:
    network = network_of(
        "mlp", p=M, n_operands=2, n_layers=1, d_model=2, d_mlp=len(w_out), activation=activation,
        bias=False,
    ).double()  # fmt: skip
    own = {"W_E": CIRCLE, "blocks.0.W_in": w_in, "W_U": w_out}
    params = {name: own[name][None] for name in layout_of(network).names}
    return look_at(network, params, Modular(p=M, operation="add", random_labels=False))


def clock(sizes: Tensor | None = None) -> FleetView:
    one = torch.eye(2, dtype=torch.float64)
    pairs = [(i, j) for i in (0, 1) for j in (0, 1)]
    columns = [torch.cat([one[i], sign * one[j]]) for i, j in pairs for sign in (1, -1)]
    product = [TURNS.cos(), TURNS.sin(), TURNS.sin(), -TURNS.cos()]
    w_out = torch.stack([sign * row / 4 for row in product for sign in (1, -1)])
    return hand_built(
        torch.stack(columns, dim=1), w_out if sizes is None else w_out * sizes, "square"
    )


def pizza() -> FleetView:
    phases = math.pi / M * torch.arange(M, dtype=torch.float64)
    ways = torch.stack([phases.cos(), phases.sin()])
    w_out = (2 * phases[:, None] - TURNS).cos()
    return hand_built(torch.cat([ways, -ways], dim=1).repeat(2, 1), w_out.repeat(2, 1) / M, "relu")


def number(measured: Measurement, name: str, replica: int = 0) -> float | None:
    entry: Any = measured[name]
    assert isinstance(entry, Masked)
    return float(entry.values[replica]) if entry.defined[replica] else None


def numbers(measured: Measurement, replica: int = 0) -> dict[str, float | None]:
    return {name: number(measured, name, replica) for name in measured}


def test_the_clock_and_the_pizza_have_the_logits_of_theory() -> None:
    a, b = torch.cartesian_prod(torch.arange(M), torch.arange(M)).T
    turn = TURNS[(a + b)[:, None] % M - torch.arange(M)]  # negative places count from the end
    found = clock().activations["logits"][0]
    torch.testing.assert_close(found, turn.cos(), rtol=0, atol=1e-12)
    found = pizza().activations["logits"][0]
    slices = (math.pi * K / M * (a - b).double()).cos().abs()[:, None] * turn.cos()
    size = found[0, 0] / slices[0, 0]
    assert float(size) > 0.1
    torch.testing.assert_close(found, size * slices, rtol=0, atol=1e-12)


def stored(view: FleetView, dtype: torch.dtype) -> FleetView:
    return dataclasses.replace(view, params={name: w.to(dtype) for name, w in view.params.items()})


@stored_as
def test_theory_tells_a_clock_from_a_pizza(dtype: torch.dtype, least: float) -> None:
    one, other = (numbers(ALL.measure(stored(view, dtype))) for view in (clock(), pizza()))
    assert one.pop("distance_irrelevance") is None  # all right logits are 1
    shares = {f"{name}_share": 0.0 for name in FAMILIES}
    expected = {"gradient_symmetricity": 0.0, "circularity": 1.0, **shares, "right_share": 1.0}
    assert one == pytest.approx(expected, abs=least)
    slices = [abs(math.cos(math.pi * d / M)) for d in range(M)]
    alone = sum(x * math.cos(2 * math.pi * d / M) for d, x in enumerate(slices)) / M
    right, ends = 2 / (M * math.sin(math.pi / 2 / M)) ** 2, 2 * alone**2
    assert (right, ends) == pytest.approx((8 / math.pi**2, 8 / math.pi**2 / 9), abs=0.01)
    shares |= {"right_share": right, "first_share": ends, "second_share": ends}
    shares |= {"other_share": 1 - right - 2 * ends}
    expected = {"gradient_symmetricity": 1.0, "distance_irrelevance": 0.0, "circularity": 1.0}
    assert other == pytest.approx(expected | shares, abs=least)


@stored_as
def test_a_clock_whose_right_logit_depends_on_the_answer_ignores_the_distance(
    dtype: torch.dtype, least: float
) -> None:
    for size in (1, 1e-4):
        view = clock(1 + size * torch.arange(M, dtype=torch.float64) / M)
        found = number(ALL.measure(stored(view, dtype)), "distance_irrelevance")
        assert found == pytest.approx(1.0, abs=least / size)
    i = torch.arange(M)
    sums, apart = TURNS[(i[:, None] + i) % M].sin(), TURNS[(i[:, None] - i) % M].sin()
    assert distance_irrelevance(3 * sums + 4 * apart) == pytest.approx(0.6, abs=1e-12)


def test_a_circle_of_two_frequencies_is_none() -> None:
    """Components cos and sin of K with a share 1/5 of the power at 2 K: 4/5."""
    both = CIRCLE + 0.5 * torch.stack([(2 * TURNS).cos(), (2 * TURNS).sin()], dim=1)
    parts = isotypic(cyclic_table(M))
    assert circularity(both, parts, 4) == pytest.approx(0.8, abs=1e-12)
    assert circularity(torch.ones(M, 3).double(), parts, 4) is None


@stored_as
@pytest.mark.parametrize("shift", [0, 100])
def test_a_circle_in_more_dimensions_is_one(dtype: torch.dtype, least: float, shift: float) -> None:
    """Rounding errors are components, too, and of rows far from 0 larger ones: none counts."""
    network = network_of("mlp", p=M, n_operands=2, n_layers=1, d_model=32).double()
    drawn = random_params(network, 1, seed=0)
    params = {name: drawn[name] for name in layout_of(network).names}
    params["W_E"] = (CIRCLE @ params["W_E"][:, :2]) + shift
    view = look_at(network, params, Modular(p=M, operation="add", random_labels=False))
    few = AlgorithmFamily(most_triples=1, components=4, seed=0)
    found = number(few.measure(stored(view, dtype)), "circularity")
    assert found == pytest.approx(1.0, abs=least)


def test_a_network_of_zeros_has_no_number() -> None:
    """Beside one that has them all."""
    network, params, task = added("mlp", 5, 2)
    for weight in params.values():
        weight[0] = 0
    measured = ALL.measure(look_at(network, params, task))
    assert set(numbers(measured, 0).values()) == {None}
    assert all(math.isfinite(value or math.nan) for value in numbers(measured, 1).values())


def random_params(network: Any, replicas: int, seed: int) -> Params:
    rng = torch.Generator().manual_seed(seed)
    return {name: torch.randn(replicas, *weight.shape, generator=rng, dtype=torch.float64) / 2
            for name, weight in network.named_parameters()}  # fmt: skip


def added(preset: str, n: int, replicas: int) -> tuple[Any, Params, Modular]:
    network = network_of(preset, p=n, n_operands=2, n_layers=1).double()
    params = random_params(network, replicas, seed=n)
    task = Modular(p=n, operation="add", random_labels=False)
    return network, {name: params[name] for name in layout_of(network).names}, task


def test_what_does_not_matter_changes_nothing() -> None:
    """Other names t -> u t + s of the residues, a shift of all logits, another order of units."""
    n, u, s = 7, 3, 2
    every = AlgorithmFamily(most_triples=n**3, components=4, seed=0)
    network, params, task = added("mlp", n, 1)
    before = numbers(every.measure(look_at(network, params, task)))
    tokens, order = torch.arange(n), torch.randperm(12)
    embedded, read = torch.empty_like(params["W_E"]), torch.empty_like(params["W_U"])
    embedded[:, (u * tokens + s) % n] = params["W_E"]
    read[:, :, (u * tokens + 2 * s) % n] = params["W_U"]
    shifted = params["W_U"] + torch.linspace(-3, 3, 12).double()[None, :, None]
    for changed in (
        {"W_E": embedded, "W_U": read},
        {"W_U": shifted},
        {"blocks.0.W_in": params["blocks.0.W_in"][:, :, order],
         "blocks.0.b_in": params["blocks.0.b_in"][:, order], "W_U": params["W_U"][:, order]},
    ):  # fmt: skip
        view = look_at(network, {**params, **changed}, task)
        assert numbers(every.measure(view)) == pytest.approx(before, abs=1e-10)
    assert before["gradient_symmetricity"] != pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("preset", ["transformer", "lstm", "kan"])
def test_derivatives_are_those_by_the_rows_of_the_table(preset: str) -> None:
    network, params, task = added(preset, 5, 1)
    view = look_at(network, params, task)
    name, everything = embedded_operands(view.activations), view.everything
    assert name is not None
    assert everything is not None
    inputs, classes = torch.tensor([[1, 3], [4, 0], [2, 1]]), torch.tensor([2, 0, 4])
    found = operand_gradients(everything, params, name, inputs, classes)
    for pair, c, gradients in zip(inputs, classes, found, strict=True):
        leaf = params["W_E"][0].clone().requires_grad_()
        own = {key: stack[0] for key, stack in params.items()} | {"W_E": leaf}
        (centred(functional_call(network, own, (pair[None],)))[0, c]).backward()
        assert leaf.grad is not None
        torch.testing.assert_close(gradients, leaf.grad[pair], rtol=1e-10, atol=1e-10)


def test_replicas_at_once_are_each_alone() -> None:
    probe = AlgorithmFamily(most_triples=50, components=4, seed=0)
    network, params, task = added("transformer", 5, 3)
    params["W_U"][1, 0, 0] = torch.nan
    together = probe.measure(look_at(network, params, task))
    for r in (0, 2):
        alone = look_at(network, {name: stack[r : r + 1] for name, stack in params.items()}, task)
        expected = numbers(probe.measure(alone))
        assert numbers(together, r) == pytest.approx(expected, abs=1e-10)
    spoilt = numbers(together, 1)
    assert math.isfinite(spoilt.pop("circularity") or 0)  # of the embedding alone
    assert all(value is not None and math.isnan(value) for value in spoilt.values())


def test_families_are_those_of_loops() -> None:
    r"""On $a - b$ modulo 5: right answers are at (k, -k), and a + b is the difference; 1e-10."""
    n = 5
    network, params, _ = added("mlp", n, 1)
    task = Modular(p=n, operation="sub", random_labels=False)
    view = look_at(network, params, task)
    measured = AlgorithmFamily(most_triples=n**3, components=4, seed=0).measure(view)
    z = centred(view.activations["logits"][0]).view(n, n, n).tolist()
    cells = [(x, y) for x in range(n) for y in range(n)]
    sums = dict.fromkeys(FAMILIES, 0.0)
    for k, m in cells:
        kind = (
            "constant" if k == m == 0 else "right" if (k + m) % n == 0 else "inverse" if k == m
            else "first" if m == 0 else "second" if k == 0 else "other"
        )  # fmt: skip
        for c in range(n):
            turns = [(z[a][b][c], -2 * math.pi * (k * a + m * b) / n) for a, b in cells]
            sums[kind] += sum(x * math.cos(t) for x, t in turns) ** 2
            sums[kind] += sum(x * math.sin(t) for x, t in turns) ** 2
    for kind, power in sums.items():
        share = power / sum(sums.values())
        assert number(measured, f"{kind}_share") == pytest.approx(share, abs=1e-10)

    def spread(values: list[float]) -> float:
        mean = sum(values) / len(values)
        return (sum((x - mean) ** 2 for x in values) / len(values)) ** 0.5

    right = {(a, b): z[a][b][(a - b) % n] for a, b in cells}
    parted = [spread([x for (a, b), x in right.items() if (a + b) % n == d]) for d in range(n)]
    distance = sum(parted) / n / spread(list(right.values()))
    assert number(measured, "distance_irrelevance") == pytest.approx(distance, abs=1e-10)
    table = params["W_E"][0] - params["W_E"][0].mean(dim=0)
    ways = torch.linalg.eigh(table.T @ table).eigenvectors[:, -4:]
    shares = []
    for component in (table @ ways).T.tolist():
        turned = [(x, 2 * math.pi * t / n) for t, x in enumerate(component)]
        waves = [[sum(x * wave(k * w) for x, w in turned) for wave in (math.cos, math.sin)]
                 for k in range(1, n)]  # fmt: skip
        largest = max(real**2 + imaginary**2 for real, imaginary in waves)
        shares.append(2 / n * largest / sum(x * x for x in component))
    assert number(measured, "circularity") == pytest.approx(sum(shares) / 4, abs=1e-10)
    cosines = []
    for a, b, c in ((a, b, c) for a, b in cells for c in range(n)):
        one, other = (params["W_E"][0, t].clone().requires_grad_() for t in (a, b))
        w_in, b_in, w_out = (params[name][0] for name in ("blocks.0.W_in", "blocks.0.b_in", "W_U"))
        logits = (torch.cat([one, other]) @ w_in + b_in).relu() @ w_out
        (logits[c] - logits.mean()).backward()
        assert one.grad is not None
        assert other.grad is not None
        cosines.append(float(one.grad @ other.grad / one.grad.norm() / other.grad.norm()))
    mean = sum(cosines) / len(cosines)
    assert number(measured, "gradient_symmetricity") == pytest.approx(mean, abs=1e-10)


def test_networks_and_groups_without_it_have_no_number() -> None:
    network = network_of("li2", p=5, n_operands=2).double()
    params = random_params(network, 1, seed=0)
    task = Modular(p=5, operation="add", random_labels=False)
    found = numbers(ALL.measure(look_at(network, params, task)))
    missing = {name for name, value in found.items() if value is None}
    assert missing == {"gradient_symmetricity", "circularity"}
    network, params, task = added("mlp", 4, 1)
    view = look_at(network, params, task)
    i = torch.arange(4)
    everything: Any = view.everything
    everything._square = (i[:, None] ^ i, (i[:, None] ^ i).flatten())  # a group that is not cyclic
    found = numbers(ALL.measure(dataclasses.replace(view, everything=everything)))
    assert {name for name, value in found.items() if value is not None} == {
        "gradient_symmetricity", "circularity"
    }  # fmt: skip
