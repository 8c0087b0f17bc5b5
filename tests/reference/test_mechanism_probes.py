"""Probes of memorising, weights, gradients, trajectories and curvature against slow plain twins."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from observatory.core.layout import Params, Weight
from observatory.core.view import EveryExample, FleetView
from observatory.fleet.evaluate import evaluate
from observatory.fleet.every_example import FleetExamples
from observatory.fleet.replicas import Dataset
from observatory.losses.li2 import Li2
from observatory.maths.examples import all_tuples
from observatory.maths.matrices import matrix_names
from observatory.probes.correlation_traps import (
    HARM,
    TrapHarm,
    correlation_traps,
    random_part,
    trap_part,
)
from observatory.probes.curvature import (
    Commutator,
    Losses,
    commutator,
    hessian_product,
    hutchinson,
    lanczos,
)
from observatory.probes.entry_statistics import entry_statistics
from observatory.probes.gradient import train_gradient
from observatory.probes.kernel_drift import kernel_cosine, kernels, label_alignment
from observatory.probes.learning_coefficient import Chains, learning_coefficient, sample
from observatory.probes.references import predictions
from observatory.probes.tail_exponent import tail_exponent
from observatory.probes.trajectory import Segment, angle, barrier, cka, on_segment, sketch
from observatory.tasks.modular import Modular
from tests.made_examples import made_examples
from tests.small_networks import network_of


def normal(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def latin(p: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Unseen pairs, train pairs, and both answers, of addition modulo p, 60 % in train."""
    pairs = all_tuples(p, 2)
    order = torch.randperm(p * p, generator=torch.Generator().manual_seed(seed))
    train, val = order[: round(0.6 * p * p)], order[round(0.6 * p * p) :]
    answers = pairs.sum(dim=1) % p
    return pairs[val], pairs[train], answers[val], answers[train]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neighbours_on_the_inputs_are_never_right_on_a_latin_square(seed: int) -> None:
    val, train, right, labels = latin(31, seed)
    waves = [torch.stack([torch.cos(2 * math.pi * x.sum(dim=1) / 31),
                          torch.sin(2 * math.pi * x.sum(dim=1) / 31)], dim=1)
             for x in (val, train)]  # fmt: skip
    found = predictions(val, train, (waves[0], waves[1]), labels, 31, 2.0)
    share = {name: float((guess == right).double().mean()) for name, guess in found.items()}
    assert share["input_nn"] == share["input_kernel"] == 0
    assert 0 < share["majority"] < 0.05
    assert share["final_nn"] == 1  # what adds has its neighbours at the right answer


def test_votes_are_those_of_a_loop() -> None:
    val, train, _, labels = latin(5, 3)
    finals = normal(len(val), 4, seed=1), normal(len(train), 4, seed=2)
    found = predictions(val, train, finals, labels, 5, 2.0)
    for i in range(len(val)):
        sums = {name: [0.0] * 5 for name in ("input_nn", "input_kernel", "final_kernel")}
        shared = [float((val[i] == t).sum()) / 2 for t in train]
        for j, s in enumerate(shared):
            c = float(finals[0][i] @ finals[1][j] / finals[0][i].norm() / finals[1][j].norm())
            sums["input_nn"][labels[j]] += s == max(shared)
            sums["input_kernel"][labels[j]] += (2 - 2 * s) ** -1 if s > 0 else 0
            sums["final_kernel"][labels[j]] += (2 - 2 * c) ** -1
        for name, of_class in sums.items():
            assert int(found[name][i]) == of_class.index(max(of_class)), name


def test_expected_traps_are_those_of_200_shuffles() -> None:
    plain = normal(64, 64, seed=4)
    shifted, giants = plain + 3 * 64**-0.5, plain.clone()
    giants.view(-1)[:3] = 3 * 8.0
    stack = torch.stack([plain, shifted, giants])
    expected = entry_statistics(stack)["expected_traps"].values
    assert expected.tolist() == [0, 1, 3]
    counted = correlation_traps(stack, 200, 0, 10)["margin"].values
    torch.testing.assert_close(counted, expected, rtol=0, atol=0.25)
    small = correlation_traps(0.1 * stack, 200, 0, 10)["margin"].values
    torch.testing.assert_close(small, counted)  # a count does not see the scale of the weights
    assert not correlation_traps(stack[:, :, :9], 1, 0, 10)["margin"].defined.any()


def test_the_part_that_makes_a_trap() -> None:
    giant = torch.zeros(12, 30).double()
    giant[2, 3] = -5.0
    rng = torch.Generator().manual_seed(0)
    for weight in (giant, giant.mT):
        part, sizes = trap_part(weight, rng)
        torch.testing.assert_close(part, weight)
        assert sizes.tolist() == pytest.approx([5.0])
        random = random_part(weight, sizes, rng)
        assert random.shape == weight.shape
        assert torch.linalg.matrix_norm(random, 2) == pytest.approx(5.0)
        assert torch.linalg.matrix_rank(random) == 1
    shifted = normal(1, 40, 64, seed=19)[0] + 0.5
    assert float(trap_part(shifted, rng)[0].mean()) == pytest.approx(0.5, abs=0.03)


def test_harm_is_that_of_single_examples() -> None:
    weight = 0.3 * normal(2, 12, 20, seed=20)
    weight[0, 0, 4] = 9.0
    everything = made_examples({"A": weight}, (), 7, 0)
    probe = TrapHarm(shuffles=2, seed=3, least_side=10, most_examples=99)
    view = view_of({"A": weight}, everything, A=Weight("hidden"))
    found: dict[str, Any] = dict(probe.measure(view))
    assert found["traps"].values.tolist() == [[1.0], [0.0]]
    assert found["loss_change"].defined.tolist() == [[True], [False]]
    rng, sums = torch.Generator().manual_seed(3), dict.fromkeys(HARM, 0.0)
    for _ in range(2):
        part, sizes = trap_part(weight[0], rng)
        random_part(weight[0], sizes, rng)
        val = [i for i in range(49) if not everything.in_train[0, i]]
        for i in range(49):
            label, p, loss = int(everything.labels[0, i]), [], []
            for at in (weight[:1], weight[:1] - part):
                z = everything.logits({"A": at}, everything.inputs[None, i : i + 1])[0, 0].tolist()
                total = sum(math.exp(each) for each in z)
                p.append([math.exp(each) / total for each in z])
                loss.append(-math.log(p[-1][label]))
            right = [each.index(max(each)) == label for each in p]
            middle = [(a + b) / 2 for a, b in zip(*p, strict=True)]
            apart = [sum(a * math.log(a / m) for a, m in zip(q, middle, strict=True)) for q in p]
            sums["divergence"] += sum(apart) / 2 / 49 / 2
            if i in val:
                sums["loss_change"] += (loss[1] - loss[0]) / len(val) / 2
                sums["acc_change"] += (right[1] - right[0]) / len(val) / 2
    for name, value in sums.items():
        assert float(found[name].values[0, 0]) == pytest.approx(value, abs=1e-10)
        assert float(found[f"random_{name}"].values[0, 0]) != pytest.approx(value, abs=1e-10)


def test_harm_is_null_where_nothing_can_be_said() -> None:
    weight = 0.3 * normal(2, 12, 20, seed=20)
    weight[0, 0, 4], weight[1] = 9.0, 0.1
    everything = made_examples({"A": weight}, (), 7, 0)
    everything.in_train[:] = True
    probe = TrapHarm(shuffles=1, seed=3, least_side=10, most_examples=9)
    found: dict[str, Any] = dict(
        probe.measure(view_of({"A": weight}, everything, A=Weight("hidden")))
    )
    defined = {name for name, entry in found.items() if entry.defined[0, 0]}
    assert defined == {"traps", "divergence", "random_divergence"}  # there is no val example
    assert not any(entry.defined[1, 0] for entry in found.values())  # all entries are alike
    for statistic in (correlation_traps(weight, 1, 0, 10), entry_statistics(weight)):
        assert all(entry.defined.tolist() == [True, False] for entry in statistic.values())


def test_entry_statistics_are_those_of_a_loop() -> None:
    weight = normal(1, 5, 3, seed=5)
    entries = weight.flatten().tolist()
    mean = sum(entries) / 15
    variance = sum((x - mean) ** 2 for x in entries) / 15
    found = {name: float(entry.values) for name, entry in entry_statistics(weight).items()}
    assert found["mean_ratio"] == pytest.approx(abs(mean) * 15**0.25 / variance**0.5, rel=1e-10)
    fourth = sum((x - mean) ** 4 for x in entries) / 15
    assert found["kurtosis"] == pytest.approx(fourth / variance**2, rel=1e-10)
    logs = -sum(abs(x) * math.log(abs(x)) for x in entries)
    assert found["abs_entropy"] == pytest.approx(logs, rel=1e-10)


def test_tail_exponent_is_that_of_a_loop_and_of_a_planted_law() -> None:
    values = normal(1, 20, seed=6).abs().sort(dim=1).values
    best = (math.inf, 0.0, 0)
    row = values[0].tolist()
    for j in range(19):
        tail = row[j:]
        alpha = 1 + len(tail) / sum(math.log(x / row[j]) for x in tail)
        ks = max(
            max(abs(i / len(tail) - m), abs((i + 1) / len(tail) - m))
            for i, m in ((i, 1 - (x / row[j]) ** (1 - alpha)) for i, x in enumerate(tail))
        )
        best = min(best, (ks, alpha, len(tail)))
    found = tail_exponent(values, 2)
    assert float(found["ks"].values) == pytest.approx(best[0], rel=1e-10)
    assert float(found["alpha"].values) == pytest.approx(best[1], rel=1e-10)
    uniform = torch.rand(1, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(7))
    planted = ((1 - uniform) ** (-1 / 1.5)).sort(dim=1).values  # alpha 2.5
    assert float(tail_exponent(planted, 10)["alpha"].values) == pytest.approx(2.5, abs=0.25)
    assert not tail_exponent(values[:, :5], 10)["alpha"].defined.any()


def test_angle_cka_and_sketch() -> None:
    one, other = normal(2, 40, seed=8), normal(2, 40, seed=9)
    slow = torch.rad2deg(torch.acos((one * other).sum(1) / one.norm(dim=1) / other.norm(dim=1)))
    torch.testing.assert_close(angle(one, other).values, slow, rtol=1e-10, atol=1e-10)
    x = normal(1, 30, 6, seed=10)
    turned = 3 * x @ torch.linalg.qr(normal(6, 6, seed=11)).Q + 2
    torch.testing.assert_close(cka(x, turned).values, torch.ones(1).double())
    rows = normal(3, 5000, seed=12)
    made = sketch(rows, 64, 0)
    torch.testing.assert_close(sketch(rows[:1], 64, 0), made[:1])
    ratio = made.square().sum(dim=1) / rows.square().sum(dim=1)
    assert ((ratio - 1).abs() < 4 * (2 / 64) ** 0.5).all()


def test_the_rolling_gram_of_updates_follows_from_sketches() -> None:
    """20 updates whose second eigenvalue is 5 times the third; 0.74 to 1.1 is 3 standard errors."""
    sizes = torch.tensor([30.0, 10.0, *(10 / 5**0.5 * 0.9**k for k in range(18))]).double()
    found = []
    for seed in range(20):
        ways = torch.linalg.qr(normal(3000, 20, seed=seed)).Q
        updates = (torch.linalg.qr(normal(20, 20, seed=99 + seed)).Q * sizes) @ ways.T
        second, third = torch.linalg.svdvals(sketch(updates, 64, seed))[1:3].square().tolist()
        found.append(second / third / 5)
    assert 0.74 < sum(found) / 20 < 1.1


def quadratic(matrices: Tensor) -> Losses:
    return lambda rows: (rows * (matrices @ rows[:, :, None])[:, :, 0]).sum(dim=1) / 2


def test_eigenvalues_and_trace_of_a_quadratic_loss() -> None:
    root = normal(2, 12, 12, seed=13)
    matrices = root + root.mT
    product = hessian_product(quadratic(matrices), normal(2, 12, seed=14))
    values, residual = lanczos(product, normal(2, 12, seed=15), 12)
    torch.testing.assert_close(values, torch.linalg.eigvalsh(matrices), rtol=1e-10, atol=1e-10)
    assert (residual < 1e-8).all()
    flat = hessian_product(
        quadratic(torch.eye(12).double().expand(2, -1, -1)), normal(2, 12, seed=1)
    )
    torch.testing.assert_close(
        lanczos(flat, normal(2, 12, seed=2), 5)[0], torch.ones(2, 5).double()
    )
    rng = torch.Generator().manual_seed(0)
    trace, se = hutchinson(product, normal(2, 12, seed=3), 400, rng)
    exact = matrices.diagonal(dim1=1, dim2=2).sum(dim=1)
    assert ((trace - exact).abs() < 4 * se).all()


def test_the_commutator_of_quadratic_losses() -> None:
    r"""$\theta_{AB} - \theta_{BA} = \eta^2 (B A - A B) \theta$, whatever eta."""
    roots, at = normal(2, 6, 6, seed=21), normal(1, 6, seed=22)
    a, b = (root @ root.T for root in roots)
    for lr in (1e-3, 0.5):
        found = commutator(lambda rows: rows @ a, lambda rows: rows @ b, at, lr)
        exact = ((b @ a - a @ b) @ at[0]).norm() / (at[0] @ a).norm() / (at[0] @ b).norm()
        assert float(found.values) == pytest.approx(float(exact), rel=1e-9)
        same = commutator(lambda rows: rows @ a, lambda rows: rows @ a, at, lr)
        assert float(same.values) == pytest.approx(0, abs=1e-9)
    assert not commutator(lambda rows: rows @ a, lambda rows: 0 * rows, at, 0.1).defined


def test_commutators_are_those_of_steps_by_hand() -> None:
    params = {"A": normal(2, 7, 5, seed=17), "C": normal(2, 5, 7, seed=18)}
    everything = made_examples(params, (), 7, 0)
    probe = Commutator(pairs=3, batch=99, lr=0.1, seed=5)
    found: dict[str, Any] = dict(probe.measure(view_of(params, everything)))
    for r in range(2):
        each = []
        for pair in range(3):
            order = torch.randperm(49, generator=torch.Generator().manual_seed(5 + pair)).tolist()
            train = [i for i in order if everything.in_train[r, i]]
            least = int(everything.in_train.sum(dim=1).min())
            batches = train[: least // 2], train[least - least // 2 : least]

            def gradient(at: list[Tensor], batch: list[int], r: int = r) -> list[Tensor]:
                leaves = [each.clone().requires_grad_() for each in at]
                z = everything.logits(
                    dict(zip(params, leaves, strict=True)), everything.inputs[batch][None]
                )
                everything.losses(z, everything.labels[r : r + 1, batch]).mean().backward()
                return [leaf.grad for leaf in leaves if leaf.grad is not None]

            def after(at: list[Tensor], batch: list[int], g: Any = gradient) -> list[Tensor]:
                return [x - 0.1 * y for x, y in zip(at, g(at, batch), strict=True)]

            start = [stack[r : r + 1] for stack in params.values()]
            ab, ba = (after(after(start, batches[i]), batches[1 - i]) for i in (0, 1))
            apart = torch.cat([(x - y).flatten() for x, y in zip(ab, ba, strict=True)]).norm()
            sizes = [0.1 * torch.cat([g.flatten() for g in gradient(start, b)]).norm()
                     for b in batches]  # fmt: skip
            each.append(float(apart / sizes[0] / sizes[1]))
        assert float(found["commutator"].values[r]) == pytest.approx(sorted(each)[1], rel=1e-9)


def test_a_quadratic_loss_sags_below_its_chord() -> None:
    r"""$L(s) - (1 - s) L(0) - s L(1) = -s (1 - s) \Delta^\top H \Delta / 2$."""
    root = normal(1, 6, 6, seed=13)
    one, other = normal(1, 6, seed=14), normal(1, 6, seed=15)
    matrices = torch.stack([root[0] @ root[0].T, -root[0] @ root[0].T])
    for sign, matrix in zip((1, -1), matrices, strict=True):
        losses = quadratic(matrix[None])
        found = on_segment(lambda at, f=losses: f(at["w"]), {"w": one}, {"w": other}, 9)[:, 0]
        s, way = torch.linspace(0, 1, 9).double(), other - one
        sag = s * (1 - s) * losses(way)
        chord = (1 - s) * losses(one) + s * losses(other)
        torch.testing.assert_close(found, chord - sag, rtol=1e-10, atol=1e-10)
        expected = torch.zeros(()).double() if sign == 1 else (-sag).max()
        torch.testing.assert_close(barrier(found), expected, rtol=1e-10, atol=1e-10)
    assert barrier(torch.tensor([1.0, float("nan"), 1.0])).isnan()


def view_of(params: Params, everything: EveryExample, **weights: Weight) -> FleetView:
    """A look at networks on all of their examples."""
    return FleetView(
        replica=torch.arange(2), step=torch.arange(2), params=params, weights=weights,
        inputs=everything.inputs, labels=everything.labels, in_train=everything.in_train,
        activations={}, loss_dtype="float64", everything=everything,
    )  # fmt: skip


def test_the_segment_is_that_of_single_losses() -> None:
    params = {"A": normal(2, 7, 5, seed=17), "C": normal(2, 5, 7, seed=18)}
    everything = made_examples(params, (), 7, 0)
    view = view_of(params, everything)
    found: dict[str, Any] = dict(Segment(points=4, most_examples=99, seed=0).measure(view))
    for r in range(2):
        for point in range(4):
            at = {n: (1 - point / 3) * everything.start[n][r : r + 1] + point / 3 * p[r : r + 1]
                  for n, p in params.items()}  # fmt: skip
            sums = {True: [0.0, 0], False: [0.0, 0]}
            for i in range(49):
                z = everything.logits(at, everything.inputs[None, i : i + 1])
                mine = sums[bool(everything.in_train[r, i])]
                mine[0] += float(everything.losses(z, everything.labels[r : r + 1, i : i + 1]))
                mine[1] += 1
            for which, (total, n) in zip(("train", "val"), sums.values(), strict=True):
                value = float(found[f"{which}_losses"].values[r, point])
                assert value == pytest.approx(total / n, abs=1e-10)


def test_losses_that_are_coupled_are_of_their_split_as_in_the_evaluation() -> None:
    network = network_of("mlp", p=7, n_operands=2, d_model=6, d_mlp=12).double()
    dataset, loss = (
        Dataset.of(Modular(p=7, operation="add", random_labels=False), 0.6),
        Li2(centre="samples", scale=1.0),
    )
    everything = FleetExamples(
        [0, 1], network=network, recorders=(), dataset=dataset, loss=loss, seeds={0: 0, 1: 1},
        device=torch.device("cpu"),
    )  # fmt: skip
    params = {name: each.double() for name, each in everything.start.items()}
    name = "blocks.0.W_in"
    params[name][:, 2, 3] = 9.0
    view = view_of(params, everything, **network.weights())
    inputs = everything.inputs.expand(2, -1, -1)

    def evaluated(at: Params) -> dict[str, Tensor]:
        return evaluate(everything.logits, loss, at, inputs, everything.labels,
                        everything.in_train, torch.float64, 99)  # fmt: skip

    now = evaluated(params)
    segment: dict[str, Any] = dict(Segment(points=3, most_examples=99, seed=0).measure(view))
    for split in ("train", "val"):
        torch.testing.assert_close(segment[f"{split}_losses"].values[:, -1], now[f"{split}_loss"])
    probe = TrapHarm(shuffles=1, seed=0, least_side=10, most_examples=99)
    harm: dict[str, Any] = dict(probe.measure(view))
    at = matrix_names(params, view.weights).index(name)
    part = trap_part(params[name][0], torch.Generator().manual_seed(0))[0]
    cut = {**params, name: params[name].clone()}
    cut[name][0] -= part
    change = evaluated(cut)["val_loss"][0] - now["val_loss"][0]
    torch.testing.assert_close(harm["loss_change"].values[0, at], change)


def chains_of(power: int, d: int) -> dict[str, Any]:
    """Chains on L = sum |w|^power / power around 0, whose coefficient is d / power."""
    settings = Chains(
        chains=8, steps=4000, burn_in=1000, lr=2e-3, localisation=1e-6, batch=1, seed=0
    )
    losses = lambda rows, places: (rows.abs() ** power).sum(dim=1) / power  # noqa: E731
    n_beta = 100.0
    traces = sample(losses, torch.zeros(1, d, dtype=torch.float64), n_beta, settings)
    return dict(learning_coefficient(traces, torch.zeros(1).double(), n_beta, 1.1, 0.5))


@pytest.mark.parametrize(("power", "d"), [(2, 4), (4, 4)])
def test_learning_coefficients_of_known_models(power: int, d: int) -> None:
    """Regular: d / 2. L = w^4: d / 4. Within 3 standard errors and the bias of the step, 5 %.

    Power: a coefficient of the other model, twice or half as large, is 10 standard errors away.
    """
    found = chains_of(power, d)
    error = abs(float(found["unchecked"]) - d / power)
    assert error < 3 * float(found["se"]) + 0.05 * d / power
    assert found["coefficient"].defined.all()


def test_chains_that_have_not_settled_are_refused() -> None:
    steady = normal(1, 4, 100, seed=16)
    rising = steady + torch.linspace(0, 9, 100).double()
    apart = steady + 5 * torch.arange(4).double()[None, :, None]
    for traces, sound in ((steady, True), (rising, False), (apart, False)):
        at_home = torch.full((1,), -9.0).double()
        found: dict[str, Any] = dict(learning_coefficient(traces, at_home, 1.0, 1.1, 0.5))
        assert bool(found["coefficient"].defined) == sound


def test_kernel_golden() -> None:
    """Values: cosines by their definitions, numpy, float64; 1e-12."""
    wide: dict[str, Any] = {"dtype": torch.float64}
    k0 = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.5, 0.3], [0.1, 0.3, 1.0]], **wide)
    k1 = torch.tensor([[3.0, -0.2, 0.4], [-0.2, 2.0, 0.9], [0.4, 0.9, 2.5]], **wide)
    labels = torch.tensor([0, 1, 1])
    assert kernel_cosine(k0, k1) == pytest.approx(0.916661404728773, abs=1e-12)
    assert label_alignment(k0, labels) == pytest.approx(0.8343812395902322, abs=1e-12)
    assert label_alignment(k1, labels) == pytest.approx(0.9039371961826088, abs=1e-12)


def test_kernel_and_gradient_are_those_of_single_backwards() -> None:
    params = {"A": normal(1, 7, 5, seed=17), "C": normal(1, 5, 7, seed=18)}
    everything = made_examples(params, (), 7, 0)
    inputs, signs = everything.inputs[:6], torch.tensor([1.0, -1, 1, 1, -1, 1, -1]).double()
    rows = []
    for x in inputs:
        leaves = {name: stack.clone().requires_grad_() for name, stack in params.items()}
        (everything.logits(leaves, x[None, None])[0, 0] @ signs).backward()
        rows.append(
            torch.cat([leaf.grad.flatten() for leaf in leaves.values() if leaf.grad is not None])
        )
    slow = torch.stack([torch.stack([a @ b for a in rows]) for b in rows])
    fast = sum(kernels(everything, params, inputs, signs).values())
    torch.testing.assert_close(fast, slow, rtol=1e-10, atol=1e-10)
    labels = everything.labels[:, :6]
    g, _ = train_gradient(everything, params, inputs[None], labels, torch.float64)
    step = 1e-6
    for name, place in (("A", (0, 2, 3)), ("C", (0, 4, 1))):
        ends = []
        for sign in (1, -1):
            moved = {key: stack.clone() for key, stack in params.items()}
            moved[name][place] += sign * step
            ends.append(everything.losses(everything.logits(moved, inputs[None]), labels).mean())
        assert float(g[name][place]) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, abs=1e-8)
