"""A replica of a fleet follows the same network trained alone with torch's own AdamW."""

import copy
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from observatory.core.contracts import Optimizer
from observatory.core.rng import named_generator
from observatory.fleet.fleet import Fleet
from observatory.fleet.given import GivenRows
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.replicas import Dataset
from observatory.fleet.settings import EvaluationSettings, FleetSettings
from observatory.losses.cross_entropy import CrossEntropy
from observatory.optimizers.adamw import AdamW
from observatory.optimizers.lion import Lion
from observatory.tasks.modular import Modular
from tests.plain_lion import PlainLion
from tests.small_networks import NONLINEARITIES, components, network_of

# Also because the compiler cannot read the checks that the tests put around every function.
pytestmark = pytest.mark.usefixtures("without_checks_of_calls")
BETAS, EPS = (0.9, 0.98), 1e-8
ADAMW = AdamW(beta1=BETAS[0], beta2=BETAS[1], eps=EPS)
WEIGHT_DECAYS = [0.0, 0.1, 1.0, 3.0, 0.3]
RATES = [1e-3, 5e-4, 1e-3, 7e-4, 3e-4]  # higher ones amplify rounding chaotically
LOOK_EVERY = 5
P = 11


def network(preset: str, n_layers: int) -> nn.Module:
    """A preset's network, with settings behind its name: "mlp activation=elu"."""
    name, *more = preset.split()
    wide = {"n_heads": 4, "d_model": 16, "d_mlp": 32, "d_hidden": 32}
    given = dict(setting.split("=", 1) for setting in more)
    return network_of(name, p=P, n_operands=2, n_layers=n_layers, **wide, **given)


def fleet_of(
    n_layers: int,
    size: int,
    batch_size: int | None,
    path: str,
    dtype: str,
    decay: str = "all",
    slowdown: float = 1.0,
    preset: str = "transformer",
    compile: str = "off",
    matmul: str = "full",
    optimizer: Optimizer = ADAMW,
    replicas: int = len(WEIGHT_DECAYS),
) -> Fleet:
    dataset = Dataset.of(Modular(p=P, operation="add", random_labels=False), 0.6)
    rows = np.arange(replicas)
    decays, rates = np.array(WEIGHT_DECAYS)[rows], np.array(RATES)[rows] * slowdown
    table = ReplicaTable.without_arms(rows, 100 + rows, decays, rates)
    settings = FleetSettings(
        size=size,
        batch_size=batch_size,
        dtype=dtype,
        loss_dtype=dtype,
        matmul=matmul,
        path=path,
        compile=compile,
        graphs="off",
        decay=decay,
        device="cpu",
        probe_examples=16,
        probe_buffer=0,
        study_seed=0,
    )
    evaluation = EvaluationSettings(every=25, subset=None, full=None, chunk=1000)
    return Fleet(
        network(preset, n_layers), dataset, CrossEntropy(), optimizer, table, settings, evaluation
    )


def many(n: int, batch_size: int | None, dtype: str = "float32", **settings: Any) -> Fleet:
    """A fleet in which `n` replicas have a slot each."""
    fleet = fleet_of(1, n, batch_size, "fast", dtype, **settings)
    rows = np.arange(n), np.arange(100, 100 + n), np.resize(WEIGHT_DECAYS, n), np.resize(RATES, n)
    return with_table(fleet, ReplicaTable.without_arms(*rows))


def with_table(fleet: Fleet, table: ReplicaTable) -> Fleet:
    """The fleet with other replicas, before the first has a slot."""
    fleet.table, fleet.given = table, GivenRows.of(table)
    return fleet


def train_through_queue(fleet: Fleet, steps: int, stagger: int) -> dict[int, list[float]]:
    """Train every replica for `steps` steps; slots are refilled every `stagger` steps."""
    curves: dict[int, list[float]] = {}
    fleet.fill()
    while not fleet.finished:
        for _ in range(stagger):
            active = [
                s
                for s in fleet.active()
                if fleet.ages[s] % LOOK_EVERY == 0 and fleet.ages[s] < steps
            ]
            losses = fleet.evaluate(active, full=True)["train_loss"].tolist() if active else []
            for slot, loss in zip(active, losses, strict=True):
                curves.setdefault(fleet.replica_of(slot), []).append(loss)
            fleet.advance(1)
        for slot in fleet.active():
            if fleet.ages[slot] >= steps:
                fleet.vacate(slot)
        fleet.fill()
    return curves


def alone(
    fleet: Fleet, row: int, steps: int, dtype: torch.dtype, decay: str = "all"
) -> list[float]:
    """The loop that everybody writes: one module, torch.optim.AdamW, its own batches."""
    seed = int(fleet.table.seed[row])
    network = copy.deepcopy(fleet.network).to(dtype)
    network.initialise(named_generator(seed, "init"))
    split = fleet.dataset.draw(seed)
    inputs, labels = fleet.dataset.inputs, split.labels
    chosen = (
        {n for n, _ in network.named_parameters()}
        if decay == "all"
        else {n for n, weight in network.weights().items() if weight.role != "pointwise"}
    )
    named = dict(network.named_parameters())
    groups: Any = [
        {
            "params": [named[n] for n in named if n in chosen],
            "weight_decay": float(fleet.table.weight_decay[row]),
        },
        {"params": [named[n] for n in named if n not in chosen], "weight_decay": 0.0},
    ]
    lr = float(fleet.table.lr[row])
    optimizer = (
        PlainLion(groups, lr=lr, betas=BETAS, weight_decay=0.0)
        if isinstance(fleet.optimizer, Lion)
        else torch.optim.AdamW(groups, lr=lr, betas=BETAS, eps=EPS)
    )
    shuffle = named_generator(seed, "batch")
    losses, waiting = [], list[Tensor]()
    for step in range(steps):
        if step % LOOK_EVERY == 0:
            with torch.no_grad():
                losses.append(
                    float(F.cross_entropy(network(inputs[split.train]), labels[split.train]))
                )
        if fleet.batches.full:
            batch = split.train
        else:
            if not waiting:
                order = split.train[torch.randperm(len(split.train), generator=shuffle)]
                waiting = list(order.split(fleet.batches.batch_size))
            batch = waiting.pop(0)
        optimizer.zero_grad()
        F.cross_entropy(network(inputs[batch]), labels[batch]).backward()
        optimizer.step()
    return losses


@cache
def expected_of(preset: str, n_layers: int, batch_size: int | None, row: int) -> list[float]:
    """A single network, trained once for both ways of training a stack."""
    fleet = fleet_of(n_layers, 2, batch_size, "fast", "float64", preset=preset)
    return alone(fleet, row, 200, torch.float64)


SLOW = pytest.mark.slow
VARIANTS = [
    *(f"mlp activation={name}" for name in NONLINEARITIES),
    *(f"transformer activation={name}" for name in ("ash", "crrelu", "evonorm_s0", "elu")),
    *(f"transformer attention={rule}" for rule in ("qk_norm", "lssa", "lssar_3")),
    *(f"transformer norm={norm}" for norm in ("post", "pre_rms", "post_rms")),
    *("mlp start=dale", "mlp start=log_normal", "kan functions=mixed"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "batch_size", "preset", "n_layers"),
    [
        *(("fast", batch, "transformer", n) for n in (1, 2) for batch in (None, 32)),
        *(("fast", 32, preset, 2) for preset in components() if preset != "transformer"),
        *(
            pytest.param("fast", None, preset, 2, marks=SLOW)
            for preset in components()
            if preset != "transformer"
        ),
        *(pytest.param("generic", None, preset, 2, marks=SLOW) for preset in components()),
    ],
)
def test_float64_follows_the_single_network_for_200_steps(
    path: str, batch_size: int | None, preset: str, n_layers: int
) -> None:
    # 5 replicas through 2 slots; of other models 3, the last of them beside an empty slot.
    replicas = 5 if preset == "transformer" else 3
    fleet = fleet_of(n_layers, 2, batch_size, path, "float64", preset=preset, replicas=replicas)
    curves = train_through_queue(fleet, 200, 70)
    assert sorted(curves) == list(range(replicas))
    for row in range(replicas):
        expected = expected_of(preset, n_layers, batch_size, row)
        assert np.abs(np.array(curves[row]) - np.array(expected)).max() < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("settings", VARIANTS)
def test_float64_follows_the_single_network_with_other_settings(settings: str) -> None:
    fleet = fleet_of(2, 2, 32, "fast", "float64", preset=settings, replicas=2)
    curves = train_through_queue(fleet, 200, 70)
    for row in range(2):
        expected = expected_of(settings, 2, 32, row)
        assert np.abs(np.array(curves[row]) - np.array(expected)).max() < 1e-6


def test_float64_follows_the_single_network_under_lion() -> None:
    """On an MLP: some weights of attention have gradients of rounding, whose sign is chance."""
    lion = Lion(beta1=BETAS[0], beta2=BETAS[1])
    fleet = many(2, None, "float64", preset="mlp", optimizer=lion)
    curves = train_through_queue(fleet, 200, 100)
    for row in range(2):
        expected = alone(fleet, row, 200, torch.float64)
        assert np.abs(np.array(curves[row]) - np.array(expected)).max() < 1e-6


@pytest.mark.parametrize("path", ["fast", pytest.param("generic", marks=SLOW)])
@pytest.mark.parametrize("batch_size", [None, 32], ids=["full-batch", "mini-batch"])
def test_float32_follows_the_single_network_for_50_steps(path: str, batch_size: int | None) -> None:
    # At the rates above a rounding difference of 1e-7 grows to 5e-3 within 50 mini-batch steps; at
    # a tenth of them it stays small, and what is compared is the code.
    fleet = fleet_of(2, 4, batch_size, path, "float32", slowdown=0.1)
    curves = train_through_queue(fleet, 50, 50)
    for row in range(5):
        expected = alone(fleet, row, 50, torch.float32)
        assert np.abs(np.array(curves[row]) - np.array(expected)).max() < 1e-4


@pytest.mark.slow
def test_only_declared_weights_decay_under_matrices() -> None:
    fleet = fleet_of(1, 5, None, "fast", "float64", decay="matrices")
    curves = train_through_queue(fleet, 60, 60)
    for row in (2, 3):
        assert (
            np.abs(np.array(curves[row]) - alone(fleet, row, 60, torch.float64, "matrices")).max()
            < 1e-6
        )
        assert (
            np.abs(np.array(curves[row]) - alone(fleet, row, 60, torch.float64, "all")).max() > 1e-6
        )


def test_a_replica_that_goes_non_finite_touches_no_other() -> None:
    healthy, poisoned = (fleet_of(1, 4, 32, "fast", "float32") for _ in range(2))
    for fleet in (healthy, poisoned):
        fleet.fill()
        fleet.advance(5)
    poisoned.flat[2] = torch.nan
    for fleet in (healthy, poisoned):
        fleet.advance(20)
    assert poisoned.diverged_steps() == [None, None, 5, None]
    others = [0, 1, 3]
    assert torch.equal(healthy.flat[others], poisoned.flat[others])
    assert all(poisoned.evaluate(others, full=True)["train_loss"].isfinite())


@pytest.mark.parametrize("preset", [*components()])
def test_bf16_is_autocast_of_the_single_network_and_of_the_step_alone(preset: str) -> None:
    """Measured: at most 4e-8 of the gradient's norm apart, and at least 3e-3 in float32."""
    full, rounded = (
        fleet_of(1, 2, None, "generic", "float32", preset=preset, matmul=matmul)
        for matmul in ("full", "bf16")
    )
    for fleet in (full, rounded):
        fleet.fill()
        fleet.feed.ready(fleet.ages)
    losses, gradient = rounded.loss_and_gradient(rounded.flat, *rounded.feed())
    exact = full.loss_and_gradient(full.flat, *full.feed())[1]
    assert losses.dtype == gradient.dtype == rounded.flat.dtype == torch.float32
    for row in range(2):
        seed = int(rounded.table.seed[row])
        network = copy.deepcopy(rounded.network)
        network.initialise(named_generator(seed, "init"))
        split = rounded.dataset.draw(seed)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(rounded.dataset.inputs[split.train])
        assert logits.dtype == torch.bfloat16
        loss = F.cross_entropy(logits.float(), split.labels[split.train])
        loss.backward()
        single = torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])
        off, off_exact = ((g[row] - single).norm() / single.norm() for g in (gradient, exact))
        assert off < 1e-6 < 1e-3 < off_exact
        assert abs(losses[row] - loss.detach()) < 1e-6
    ours, theirs = (fleet.evaluate([0, 1], full=True) for fleet in (rounded, full))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_slot_does_not_matter() -> None:
    one, two = fleet_of(1, 5, 32, "fast", "float64"), fleet_of(1, 5, 32, "fast", "float64")
    flipped = np.arange(5)[::-1]
    rows = (getattr(one.table, f)[flipped] for f in ("replica", "seed", "weight_decay", "lr"))
    with_table(two, ReplicaTable.without_arms(*rows))
    for fleet in (one, two):
        fleet.fill()
        fleet.advance(30)
    assert torch.allclose(one.flat, two.flat.flip(0), rtol=0, atol=1e-12)


@pytest.mark.parametrize("batch_size", [None, 32], ids=["full-batch", "mini-batch"])
def test_a_restored_state_continues_bit_for_bit(batch_size: int | None) -> None:
    straight, broken, resumed = (fleet_of(1, 3, batch_size, "fast", "float32") for _ in range(3))
    for fleet in (straight, broken):
        fleet.fill()
        fleet.advance(7)
        fleet.vacate(1)
        fleet.fill()
        fleet.advance(9)
    resumed.restore(broken.state())
    for fleet in (straight, resumed):
        fleet.advance(20)
    assert torch.equal(straight.flat, resumed.flat)
    assert straight.ages == resumed.ages
    assert straight.slots == resumed.slots


def test_a_checkpoint_of_before_states_were_records_continues_bit_for_bit() -> None:
    """It held whole columns of the stack, empty slots among them."""
    straight, resumed = (fleet_of(1, 3, 32, "fast", "float32") for _ in range(2))
    straight.fill()
    straight.advance(7)
    straight.vacate(1)
    straight.divergence.first[2] = 4
    generators = [generator.get_state() for generator in straight.batches.generators]
    before: dict[str, Any] = {
        "flat": straight.flat.clone(),
        "optimizer": {name: value.clone() for name, value in straight.optimizer_state.items()},
        "first_bad": straight.divergence.first.clone(),
        "batches": {"order": straight.batches.order.clone(), "generators": generators},
        "slots": list(straight.slots),
        "ages": list(straight.ages),
        "looks": [looks.state() for looks in straight.looks],
        "cursor": straight.queue.cursor,
        "tick": straight.tick,
        "replica_steps": straight.replica_steps,
    }
    resumed.restore(before)
    for fleet in (straight, resumed):
        fleet.advance(20)
    assert torch.equal(straight.flat, resumed.flat)
    assert resumed.diverged_steps()[2] == straight.diverged_steps()[2] == 4
    assert (resumed.slots, resumed.ages[0]) == (straight.slots, 27)


@pytest.mark.parametrize("batch_size", [None, 32], ids=["full-batch", "mini-batch"])
def test_a_stack_that_shrinks_changes_no_bit_of_those_who_stay(batch_size: int | None) -> None:
    whole, shrinking = (many(12, batch_size) for _ in range(2))
    leaving = {9: [0, 2, 3, 8, 9], 20: [1, 6, 7]}
    sizes = []
    for fleet in (whole, shrinking):
        fleet.fill()
        for tick in range(40):
            fleet.advance(1)
            for slot in [s for s in fleet.active() if fleet.replica_of(s) in leaving.get(tick, [])]:
                fleet.vacate(slot)
            if fleet is shrinking and fleet.shrink() is not None:
                sizes.append(len(fleet.slots))
    assert sizes == [8, 4]
    assert sorted(map(shrinking.replica_of, shrinking.active())) == [4, 5, 10, 11]
    assert shrinking.slot_steps < whole.slot_steps
    for one in shrinking.active():
        other = whole.slots.index(shrinking.slots[one])
        assert torch.equal(shrinking.flat[one], whole.flat[other])
        assert shrinking.homes[one] == other
    resumed = many(12, batch_size)
    resumed.restore(shrinking.state())
    for fleet in (resumed, shrinking):
        fleet.advance(3)
    assert torch.equal(resumed.flat, shrinking.flat)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # those of the compiler itself
def test_a_compiled_stack_follows_the_plain_one_and_continues_bit_for_bit() -> None:
    plain = many(8, None, "float64", preset="mlp")
    straight, broken, resumed = (
        many(8, None, "float64", preset="mlp", compile="on") for _ in range(3)
    )
    for fleet in (plain, straight, broken):
        fleet.fill()
        fleet.advance(20)
    assert torch.allclose(plain.flat, straight.flat, rtol=0, atol=1e-9)
    assert not torch.equal(plain.flat, straight.flat)  # else nothing was compiled
    resumed.restore(broken.state())
    for fleet in (straight, resumed):
        fleet.advance(5)
        for slot in range(1, 8):
            fleet.vacate(slot)
        fleet.shrink()
        fleet.advance(5)
    assert len(straight.slots) == 4
    assert torch.equal(straight.flat, resumed.flat)
