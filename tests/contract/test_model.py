"""Every YAML of conf/model makes a network that keeps the contract."""

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from torch import nn

import observatory
from observatory.core.contracts import HasFastPath
from observatory.core.rng import named_generator
from observatory.fleet.stack import flat_row, layout_of, vmapped, vmapped_record
from observatory.maths.hooks import recording
from observatory.training.compose import compose

NAMES = sorted(
    path.stem for path in (Path(observatory.__file__).parents[1] / "conf" / "model").glob("*.yaml")
)
SIZES = {"batch": 6, "pos": 3, "head": None, "d_model": None, "d_mlp": None}
P = 7


def network_of(name: str) -> nn.Module:
    config = compose("train", [f"model={name}"])
    small = {"n_layers": 2, "n_heads": 2, "d_model": 8, "d_mlp": 12}
    return instantiate({**config["model"], **small}, d_vocab=P, n_classes=P, n_operands=2)


@pytest.fixture(params=NAMES)
def network(request: pytest.FixtureRequest) -> nn.Module:
    network = network_of(request.param).double()
    network.initialise(named_generator(0, "init"))
    return network


@pytest.fixture
def inputs() -> torch.Tensor:
    return torch.randint(P, (6, 2), generator=named_generator(1, "data"))


def test_initialisation_is_fixed_by_the_seed_and_covers_every_weight(network: nn.Module) -> None:
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


def test_hooks_have_the_shapes_that_their_names_promise(
    network: nn.Module, inputs: torch.Tensor
) -> None:
    sizes = {"batch": 6, "pos": 3, "head": 2, "d_model": 8, "d_mlp": 12}
    with recording(network) as recorded:
        logits = network(inputs)
        seen = recorded()
    assert logits.shape == (6, P)
    assert seen.keys() == network.hooks().keys()
    for name, axes in network.hooks().items():
        assert seen[name].shape == tuple(sizes[axis] for axis in axes.split()), name


def test_recording_leaves_nothing_behind(network: nn.Module, inputs: torch.Tensor) -> None:
    before = torch.get_rng_state()
    with recording(network):
        network(inputs)
    assert torch.equal(before, torch.get_rng_state())
    assert not [m for m in network.modules() if getattr(m, "last", None) is not None]
    assert not [m for m in network.modules() if m._forward_hooks]


def test_every_weight_is_declared_and_reads_what_fits_it(
    network: nn.Module, inputs: torch.Tensor
) -> None:
    named, declared = dict(network.named_parameters()), network.weights()
    assert named.keys() == declared.keys()
    with recording(network) as recorded:
        network(inputs)
        seen = recorded()
    for name, weight in declared.items():
        if weight.role in ("hidden", "readout"):
            assert named[name].ndim == 2, name
        if weight.reads is not None:
            assert seen[weight.reads].shape[-1] == named[name].shape[0], name
    assert {"readout"} < {weight.role for weight in declared.values()}


def test_the_fast_path_is_the_vmapped_forward(network: nn.Module) -> None:
    if not isinstance(network, HasFastPath) or (fast := network.fast_path()) is None:
        return
    layout = layout_of(network)
    flat = torch.stack(
        [torch.randn(sum(layout.sizes), generator=named_generator(s, "x")) for s in (0, 1)]
    ).double()
    inputs = torch.randint(P, (2, 9, 2), generator=named_generator(2, "data"))
    params = layout.views(flat)
    assert (fast(params, inputs) - vmapped(network)(params, inputs)).abs().max() < 1e-11
    ours, whole = fast.record(params, inputs[0]), vmapped_record(network)(params, inputs[0])
    assert {"logits"} < ours.keys() <= whole.keys()
    for name, activation in ours.items():
        assert (activation - whole[name]).abs().max() < 1e-11, name
