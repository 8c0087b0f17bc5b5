"""A look at this package's own networks gives the numbers of the fleet's probes.

1e-6 relative: patterns are worked out again in float32, in another order.
"""

from typing import Any

import pytest
import torch
from torch import Tensor

import observatory as ob
from observatory.core.contracts import Masked, Probe
from observatory.core.rng import named_generator
from observatory.core.view import FleetView
from observatory.fleet.stack import vmapped_record
from observatory.maths.matrices import matrix_names
from observatory.probes.attention import Attention
from observatory.probes.lar import Lar
from observatory.probes.logit_scale import LogitScale
from observatory.probes.massive_activations import MassiveActivations
from observatory.probes.representation import Representation
from observatory.probes.softmax_collapse import SoftmaxCollapse
from observatory.probes.weight_norm import WeightNorm
from observatory.probes.weight_spectrum import WeightSpectrum
from tests.small_networks import network_of

P = 7
EVERYWHERE: dict[str, Probe] = {
    "weight_norm": WeightNorm(),
    "weight_spectrum": WeightSpectrum(),
    "logit_scale": LogitScale(),
    "softmax_collapse": SoftmaxCollapse(),
    "representation": Representation(most_examples=512),
}
IN_BLOCKS: dict[str, Probe] = {
    "attention": Attention(),
    "massive_activations": MassiveActivations(streams=["resid_post"]),
}


def fleet_view(network: Any, inputs: Tensor) -> FleetView:
    params = {name: each.detach()[None] for name, each in network.named_parameters()}
    with torch.no_grad():
        activations = vmapped_record(network)(params, inputs)
    n = len(inputs)
    return FleetView(
        replica=torch.zeros(1, dtype=torch.long),
        step=torch.zeros(1, dtype=torch.long),
        params=params,
        weights=network.weights(),
        inputs=inputs,
        labels=torch.zeros(1, n, dtype=torch.long),
        in_train=torch.zeros(1, n) == 0,
        activations=activations,
        loss_dtype="float32",
    )


def same(mine: Any, theirs: Any, places: list[list[int]] | None) -> None:
    """Equal values, defined in the same places; `places` names those to compare on both sides."""
    values, defined = [], []
    for each, at in zip((mine, theirs), places or (slice(None), slice(None)), strict=True):
        entries = each.values if isinstance(each, Masked) else each
        there = each.defined if isinstance(each, Masked) else torch.ones_like(entries) == 1
        entries, there = (entries[:, at], there[:, at]) if entries.ndim > 1 else (entries, there)
        values.append(torch.where(there, entries, 0).double())
        defined.append(there)
    assert torch.equal(*defined)
    torch.testing.assert_close(*values, rtol=1e-6, atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["transformer", "medium", "mlp", "lstm", "mamba"])
def test_one_look_gives_the_numbers_of_the_fleet(preset: str) -> None:
    network: Any = network_of(preset, p=P, n_operands=2)
    network.initialise(named_generator(0, "init"))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
    inputs = torch.randint(P, (20, 2), generator=named_generator(1, "data"))
    snap, view = ob.probe(network, inputs), fleet_view(network, inputs)
    tables, theirs_names = snap.tables, matrix_names(view.params, view.weights)
    both = [name for name in theirs_names if name in snap.matrices]
    assert set(theirs_names) - set(both) <= {"W_pos"}, "added to a stream, it multiplies nothing"
    shared = [[names.index(n) for n in both] for names in (snap.matrices, theirs_names)]
    attends = preset in ("transformer", "medium")
    for name, probe in (EVERYWHERE | (IN_BLOCKS if attends else {})).items():
        measured = probe.measure(view)
        compared = 0
        for column in probe.columns:
            if column.name in ("inter", "intra", "class_ratio"):
                continue  # without labels there are none
            mine, theirs = tables[name].values[column.name], measured[column.name]
            assert (mine is None) == (theirs is None), column.name
            if mine is not None:
                same(mine, theirs, shared if "matrix" in column.dims else None)
                compared += 1
        assert compared, name
    assert ("attention" in tables) == attends
    mine, theirs = tables["lar"].values["lar"], Lar(most_examples=512).measure(view)["lar"]
    same(mine, theirs, shared)
