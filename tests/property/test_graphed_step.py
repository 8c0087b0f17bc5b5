"""A recorded step gives the bits of one that is made anew, whoever is seated between two steps."""

from typing import Any

import pytest
import torch

from observatory.fleet.fleet import Fleet
from observatory.launch.layout import resolved
from observatory.training.build import build
from tests.composed import composed
from tests.contract.test_optimizer import NAMES
from tests.replayed import replayed

SMALL = ["modulus=7", "fleet.size=8", "fleet.shards=1", "fleet.device=cpu", "probe=[]"]
SEEDS = "+sweep.nuisance.seed=[0,1,2,3,4,5,6,7,8,9]"
MODELS = ["transformer", "mlp", "lstm", "mamba", "li2"]


def fleet_of(*overrides: str, recorded: bool) -> Fleet:
    config = composed("train", SEEDS, *SMALL, *overrides)
    fleet = build(resolved(config)).shard(0, 1)
    if recorded:
        fleet.capture = replayed
        fleet.resize(len(fleet.slots))
    return fleet


def through_a_queue(fleet: Fleet) -> list[dict[str, Any]]:
    """States through seats, replicas that leave, one that diverges and a smaller stack."""
    states: list[dict[str, Any]] = []
    fleet.fill()
    for leaving in ([], [1, 5], [0, 2, 3, 6], []):
        fleet.advance(6)
        states.append(fleet.state())
        for slot in leaving:
            fleet.vacate(slot)
        fleet.fill()
        fleet.shrink()
    fleet.flat[0] = torch.nan
    fleet.advance(2)
    return [*states, fleet.state(), {"diverged": fleet.diverged_steps()}]


def assert_alike(one: Any, other: Any, where: str = "") -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one.nan_to_num(), other.nan_to_num()), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name, value in one.items():
            assert_alike(value, other[name], f"{where}.{name}")
    elif isinstance(one, list):
        for i, (a, b) in enumerate(zip(one, other, strict=True)):
            assert_alike(a, b, f"{where}[{i}]")
    else:
        assert one == other, where


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [f"model={m}" for m in MODELS]
    + ["model=mlp batch_size=8", "model=mlp batch_size=8 fleet.loss_dtype=float64"]
    + [f"model=mlp optimizer={o}" for o in NAMES if o != "adamw"],
)
def test_a_replayed_step_changes_no_bit(chosen: str) -> None:
    plain, recorded = (fleet_of(*chosen.split(), recorded=r) for r in (False, True))
    assert_alike(through_a_queue(plain), through_a_queue(recorded))


@pytest.mark.parametrize("batch_size", ["null", "8"])
def test_a_state_of_a_recorded_fleet_continues_bit_for_bit(batch_size: str) -> None:
    overrides = ("model=mlp", f"batch_size={batch_size}")
    whole, cut, after = (fleet_of(*overrides, recorded=r) for r in (False, True, True))
    for fleet in (whole, cut, after):
        fleet.fill()
    whole.advance(17)
    cut.advance(8)
    after.advance(5)  # recorded before it is given the state of another
    after.restore(cut.state())
    after.advance(9)
    assert_alike(whole.state(), after.state())


def test_what_a_record_cannot_see_is_found() -> None:
    """The stand-in freezes the host's numbers and the memory, as a CUDA graph does."""
    buffer, lr = torch.zeros(2), [1.0]

    def step() -> None:
        buffer.add_(lr[0])

    replay = replayed(step)
    assert buffer.tolist() == [0.0, 0.0], "recording runs nothing"
    lr[0] = 5.0
    replay()
    assert buffer.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="the host reads"):
        replayed(lambda: print(float(buffer.sum())))
