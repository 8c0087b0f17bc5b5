import dataclasses

import pytest
import torch
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.layout import Weight
from observatory.core.rng import named_generator
from observatory.core.view import FleetView
from observatory.losses.li2 import Li2 as Li2Loss
from observatory.maths.examples import all_tuples
from observatory.probes.li2 import Li2, alignment, centred_sums, gradient_norm, gram_ratio, residual

M, K = 7, 12


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def view_of(w_in: Tensor, w_out: Tensor) -> FleetView:
    """Li2 networks of the square on all pairs, every pair in train."""
    pairs = all_tuples(M, 2)
    before = w_in[:, pairs[:, 0]] + w_in[:, M + pairs[:, 1]]
    everyone = torch.ones(len(w_in), len(pairs), dtype=torch.bool)
    return FleetView(
        replica=torch.arange(len(w_in)),
        step=torch.zeros(len(w_in), dtype=torch.int64),
        params={"W_in": w_in, "W_out": w_out},
        weights={"W_in": Weight("hidden"), "W_out": Weight("readout", reads="final")},
        inputs=pairs,
        labels=(pairs.sum(dim=1) % M).expand(len(w_in), -1),
        in_train=everyone,
        activations={
            "logits": before.square() @ w_out,
            "blocks.0.mlp_pre": before,
            "blocks.0.mlp_post": before.square(),
            "final": before.square(),
        },
        loss_dtype="float64",
    )


def probe() -> Li2:
    return Li2(centre="classes", gram_units=K)


def columns(view: FleetView) -> dict[str, list[float | None]]:
    return {
        name: [
            value if defined else None
            for value, defined in zip(entry.values.tolist(), entry.defined.tolist(), strict=True)
        ]
        for name, entry in probe().measure(view).items()  # type: ignore[union-attr]
    }


@pytest.mark.parametrize("centre", ["classes", "samples"])
@pytest.mark.parametrize("seed", [0, 1])
def test_gradient_is_that_of_the_loss(centre: str, seed: int):
    n = 30
    hidden, readout = draws(n, K, seed=seed).requires_grad_(), draws(K, M, seed=seed + 9)
    labels = torch.randint(M, (n,), generator=torch.Generator().manual_seed(seed))
    loss = Li2Loss(centre=centre, scale=0.5)
    each = loss.each((hidden @ readout)[None], labels[None], None)
    each.sum().backward()  # half the squared norm of all centred residuals
    assert hidden.grad is not None
    left = residual(hidden.detach(), readout, labels, centre)
    torch.testing.assert_close(left @ readout.T, -hidden.grad, rtol=1e-10, atol=1e-12)
    norm = float(hidden.grad.norm())
    assert gradient_norm(left, readout) == pytest.approx(norm, rel=1e-12)


@pytest.mark.parametrize("seed", [0, 1])
def test_alignment_is_the_cosine_of_the_whole_matrices(seed: int):
    n = 40
    hidden, readout = draws(n, K, seed=seed), draws(K, M, seed=seed + 9)
    labels = torch.randint(M - 1, (n,), generator=torch.Generator().manual_seed(seed))  # one absent
    left = residual(hidden, readout, labels, "classes")
    y = torch.nn.functional.one_hot(labels, M).double()
    y, f, gradient = y - y.mean(dim=0), hidden - hidden.mean(dim=0), left @ readout.T
    direction = y @ y.T @ f
    expected = float((gradient * direction).sum() / (gradient.norm() * direction.norm()))
    assert alignment(left, readout, hidden, labels) == pytest.approx(expected, rel=1e-10)
    torch.testing.assert_close(centred_sums(hidden, labels, M), y.T @ f)
    assert alignment(left, 0 * readout, hidden, labels) is None


def test_gram_ratio_is_over_pairs_of_units():
    hidden = draws(50, 6)
    centred = hidden - hidden.mean(dim=0)
    sizes = [[abs(float(centred[:, i] @ centred[:, j])) for j in range(6)] for i in range(6)]
    off = [sizes[i][j] for i in range(6) for j in range(6) if i != j]
    expected = (sum(off) / len(off)) / (sum(sizes[i][i] for i in range(6)) / 6)
    assert gram_ratio(hidden) == pytest.approx(expected, rel=1e-12)
    assert gram_ratio(torch.ones(5, 3).double()) is None


def test_dead_units_are_counted_and_left_out():
    w_in = draws(1, 2 * M, K)
    whole = columns(view_of(w_in, draws(1, K, M)))
    w_in[:, :, 4:] = 0
    some = columns(view_of(w_in, draws(1, K, M)))
    assert whole["dead_count"] == [0]
    assert some["dead_count"] == [K - 4]
    assert some["energy_max"][0] is not None
    assert some["purity_mean"][0] is not None
    nothing = columns(view_of(0 * w_in, draws(1, K, M)))
    missing = ["align", "align_shuffled", "energy_mean", "energy_max", "gram_ratio", "purity_mean"]
    assert [name for name, told in nothing.items() if told == [None]] == missing
    assert nothing["coverage"] == [0]


def test_frequencies_are_counted_once():
    angle = 2 * torch.pi * torch.arange(M, dtype=torch.float64) / M
    waves = torch.stack([(k * angle + 0.3 * k).cos() for k in (1, 1, 3, 3, 3)], dim=1)
    w_in = torch.cat([waves, -waves]).float()[None]
    told = columns(view_of(w_in, draws(1, 5, M).float()))
    assert told["coverage"] == [2]
    assert told["purity_mean"][0] == pytest.approx(1, abs=1e-6)  # float32 weights


def test_another_activation_has_no_energy():
    view = view_of(draws(2, 2 * M, K), draws(2, K, M))
    relu = {**view.activations, "blocks.0.mlp_post": view.activations["blocks.0.mlp_pre"].relu()}
    told = columns(dataclasses.replace(view, activations=relu))
    assert told["energy_mean"] == told["energy_max"] == [None, None]
    assert None not in told["align"]


def test_only_examples_in_train_count():
    view = view_of(draws(2, 2 * M, K), draws(2, K, M))
    split = torch.rand(2, M * M, generator=named_generator(0, "split")) < 0.5
    kept = dataclasses.replace(view, in_train=split)
    changed = {**view.activations}
    changed["blocks.0.mlp_post"] = view.activations["blocks.0.mlp_post"].clone()
    changed["blocks.0.mlp_post"][~split] = 1e9
    changed["blocks.0.mlp_pre"] = changed["blocks.0.mlp_post"].sqrt()
    ours, theirs = columns(kept), columns(dataclasses.replace(kept, activations=changed))
    assert ours["align"] == theirs["align"]
    nobody = columns(dataclasses.replace(view, in_train=torch.zeros_like(split)))
    assert nobody["gradient_norm"] == nobody["align"] == nobody["energy_max"] == [None, None]


def test_other_networks_are_refused():
    view = view_of(draws(1, 2 * M, K), draws(1, K, M))
    more = {**view.params, "W_E": draws(1, M, 3)}
    with pytest.raises(ConfigError, match=r"`probe\.li2` needs the Li2 network"):
        probe().measure(dataclasses.replace(view, params=more))
    with pytest.raises(ConfigError, match="`centre` must be one of"):
        Li2(centre="replicas", gram_units=4)
    with pytest.raises(ConfigError, match="`gram_units` must be at least 2"):
        Li2(centre="classes", gram_units=1)
