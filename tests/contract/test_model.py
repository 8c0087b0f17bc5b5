"""Every YAML of conf/model makes a network that keeps the contract."""

import re
from dataclasses import dataclass
from typing import Any

import pytest
import torch

from observatory.core.contracts import HasFastPath
from observatory.core.errors import ConfigError
from observatory.core.rng import named_generator
from observatory.fleet.stack import flat_row, layout_of, vmapped, vmapped_record
from observatory.maths.hooks import recording
from tests.small_networks import PRESETS, network_of, sizes_of

P, BATCH = 7, 6  # no other size equals them
WORDS = {
    *("batch", "pos", "head", "d_in", "d_model", "d_head", "d_mlp", "d_hidden"),
    *("d_inner", "d_state", "dt_rank", "d_vocab"),
    *("d_features", "d_in_features", "d_extended", "d_in_extended"),
}


@dataclass(frozen=True)
class Case:
    network: Any
    sizes: dict[str, int]


@pytest.fixture(params=PRESETS)
def case(request: pytest.FixtureRequest) -> Case:
    network = network_of(request.param, p=P, n_operands=2).double()
    network.initialise(named_generator(0, "init"))
    return Case(network, sizes_of(request.param))


@pytest.fixture
def network(case: Case) -> Any:
    return case.network


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randint(P, (BATCH, 2), generator=named_generator(1, "data"))


@pytest.mark.slow
def test_initialisation_is_fixed_by_the_seed_and_covers_every_weight(network: Any) -> None:
    rows = []
    for seed in (0, 0, 1):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.fill_(torch.nan)
        network.initialise(named_generator(seed, "init"))
        rows.append(flat_row(network))
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2])
    assert rows[0].isfinite().all()


def test_hooks_have_the_shapes_that_their_names_promise(case: Case, inputs: torch.Tensor) -> None:
    network = case.network
    with recording(network) as recorded:
        logits = network(inputs)
        seen = recorded()
    assert logits.shape == (BATCH, P)
    assert seen.keys() == network.hooks().keys()
    # A word means one size throughout a network: the setting of that name, where there is one.
    sizes = {"batch": BATCH, "d_vocab": P, **case.sizes}
    if "n_heads" in sizes:
        sizes["head"] = sizes["n_heads"]
    for name, axes in network.hooks().items():
        words = axes.split()
        assert set(words) <= WORDS, name
        assert words[0] == "batch", name
        assert seen[name].ndim == len(words), name
        for word, size in zip(words, seen[name].shape, strict=True):
            assert sizes.setdefault(word, size) == size, f"{word} of {name}"
    assert sizes.get("pos", 2) in (2, 3)  # with or without a token at which the answer is read


def test_every_block_and_what_the_readout_reads_are_hooked(case: Case) -> None:
    names = set(case.network.hooks())
    assert "final" in names
    blocks = {re.fullmatch(r"blocks\.(\d+)\.[a-z_]+", name) for name in names - {"final"}}
    assert None not in blocks
    numbers = {int(match[1]) for match in blocks if match}
    assert numbers == set(range(case.sizes.get("n_layers", 1)))


def test_recording_leaves_nothing_behind(network: Any, inputs: torch.Tensor) -> None:
    before = torch.get_rng_state()
    with recording(network):
        network(inputs)
    assert torch.equal(before, torch.get_rng_state())
    assert not [m for m in network.modules() if getattr(m, "last", None) is not None]
    assert not [m for m in network.modules() if m._forward_hooks]


def test_every_weight_is_declared_and_reads_what_fits_it(
    network: Any, inputs: torch.Tensor
) -> None:
    named, declared = dict(network.named_parameters()), network.weights()
    assert named.keys() == declared.keys()
    with recording(network) as recorded:
        logits = network(inputs)
        seen = recorded()
    for name, weight in declared.items():
        if weight.role in ("hidden", "readout"):
            assert named[name].ndim == 2, name
        if weight.reads is not None:
            assert seen[weight.reads].shape[-1] == named[name].shape[0], name
    roles = [weight.role for weight in declared.values()]
    assert roles.count("readout") == 1
    assert {"embedding", "hidden"} & set(roles)
    readout = next(name for name, weight in declared.items() if weight.role == "readout")
    assert declared[readout].reads == "final"
    # It may have a bias: what is left of the logits is then the same for every example.
    rest = logits - seen["final"] @ named[readout]
    assert (rest - rest[0]).abs().max() < 1e-12


@pytest.mark.parametrize("preset", PRESETS)
def test_three_operands_are_answered_or_refused_with_a_reason(preset: str) -> None:
    refused, network = "", None
    try:
        network = network_of(preset, p=P, n_operands=3)
    except ConfigError as refusal:
        refused = str(refusal)
    if network is None:
        assert "`n_operands`" in refused
        return
    network.initialise(named_generator(0, "init"))
    operands = torch.randint(P, (BATCH, 3), generator=named_generator(1, "data"))
    logits = network(operands)
    assert logits.shape == (BATCH, P)
    for place in range(3):  # none is overlooked
        other = operands.clone()
        other[:, place] = (other[:, place] + 1) % P
        assert not torch.equal(network(other), logits)


def test_many_at_once_are_each_one_alone(network: Any, inputs: torch.Tensor) -> None:
    layout = layout_of(network)
    flat = torch.stack(
        [torch.randn(sum(layout.sizes), generator=named_generator(s, "x")) for s in (0, 1)]
    ).double()
    together = vmapped(network)(layout.views(flat), inputs.expand(2, -1, -1))
    for row, logits in zip(flat, together, strict=True):
        torch.nn.utils.vector_to_parameters(row, network.parameters())
        assert (network(inputs) - logits).abs().max() < 1e-11 * logits.abs().max().clamp(min=1)


def test_the_fast_path_is_the_vmapped_forward(network: Any) -> None:
    fast = network.fast_path() if isinstance(network, HasFastPath) else None
    if fast is None:
        return
    layout = layout_of(network)
    flat = torch.stack(
        [torch.randn(sum(layout.sizes), generator=named_generator(s, "x")) for s in (0, 1)]
    ).double()
    inputs = torch.randint(P, (2, 9, 2), generator=named_generator(2, "data"))
    params = layout.views(flat)
    plain = vmapped(network)(params, inputs)
    assert (fast(params, inputs) - plain).abs().max() < 1e-11 * plain.abs().max().clamp(min=1)
    ours, whole = fast.record(params, inputs[0]), vmapped_record(network)(params, inputs[0])
    assert {"logits"} < ours.keys() <= whole.keys()
    for name, activation in ours.items():
        scale = whole[name].abs().max().clamp(min=1)
        assert (activation - whole[name]).abs().max() < 1e-11 * scale, name
