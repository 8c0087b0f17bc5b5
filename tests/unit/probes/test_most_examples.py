"""Probes whose cost grows with the examples look at the first ones only."""

import pytest
import torch

from observatory.core.contracts import Masked
from observatory.core.layout import Weight
from observatory.core.view import FleetView
from observatory.probes.lar import Lar
from observatory.probes.representation import Representation


def view(n: int) -> FleetView:
    """The first `n` examples of one made-up fleet."""
    rng = torch.Generator().manual_seed(0)
    final, weight = torch.randn(2, 12, 4, generator=rng), torch.randn(2, 4, 3, generator=rng)
    labels = torch.randint(3, (2, 12), generator=rng)[:, :n]
    return FleetView(
        replica=torch.arange(2),
        step=torch.zeros(2, dtype=torch.int64),
        params={"W_U": weight},
        weights={"W_U": Weight("readout", reads="final")},
        inputs=torch.zeros(n, 2, dtype=torch.int64),
        labels=labels,
        in_train=torch.ones(2, n, dtype=torch.bool),
        activations={"final": final[:, :n]},
        loss_dtype="float32",
    )


@pytest.mark.parametrize("kind", [Representation, Lar])
def test_later_examples_are_not_looked_at(kind: type[Representation] | type[Lar]):
    some, whole = kind(most_examples=7), kind(most_examples=99)
    few, all_of_few = some.measure(view(12)), whole.measure(view(7))
    differs = False
    for name, entry in few.items():
        same, more = all_of_few[name], whole.measure(view(12))[name]
        assert (entry is None) == (same is None)
        if isinstance(entry, Masked) and isinstance(same, Masked) and isinstance(more, Masked):
            assert torch.equal(entry.values, same.values), name
            differs |= not torch.equal(entry.values, more.values)
    assert differs
