"""The same fleet on a GPU: the same code, the same configuration, the same numbers in float64."""

import pytest
import torch

from observatory.fleet.fleet import Fleet
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.training.build import build

pytestmark = pytest.mark.gpu


def fleet_on(device: str, *overrides: str) -> Fleet:
    common = ["experiment=smoke", "fleet.dtype=float64", "fleet.loss_dtype=float64"]
    config = compose("train", [*common, f"fleet.device={device}", "fleet.shards=1", *overrides])
    fleet = build(resolved(config)).shard(0, 1)
    fleet.fill()
    return fleet


@pytest.mark.parametrize("graphs", ["on", "off"])
@pytest.mark.parametrize("path", ["fast", "generic"])
@pytest.mark.parametrize("batch_size", ["null", "64"])
def test_cuda_follows_the_cpu(path: str, batch_size: str, graphs: str) -> None:
    overrides = [f"fleet.path={path}", f"batch_size={batch_size}", "optimizer.lr=0.001"]
    cpu, cuda = fleet_on("cpu", *overrides), fleet_on("cuda", f"fleet.graphs={graphs}", *overrides)
    for fleet in (cpu, cuda):
        fleet.advance(50)
    slots = cpu.active()
    for name, ours in cuda.evaluate(slots, full=True).items():
        theirs = cpu.evaluate(slots, full=True)[name]
        if name.endswith("loss"):
            assert (ours.cpu() - theirs).abs().max() < 1e-6, name
    assert torch.equal(cuda.look(slots).in_train.cpu(), cpu.look(slots).in_train)


def test_tf32_is_that_of_the_step_alone() -> None:
    overrides = ["fleet.dtype=float32", "fleet.loss_dtype=float32"]
    full, tf32 = (fleet_on("cuda", *overrides, f"fleet.matmul={m}") for m in ("full", "tf32"))
    slots = full.active()
    for name, ours in tf32.evaluate(slots, full=True).items():
        assert torch.equal(ours, full.evaluate(slots, full=True)[name]), name
    for fleet in (full, tf32):
        fleet.feed.ready(fleet.ages)
    one, other = (f.loss_and_gradient(f.flat, *f.feed())[1] for f in (full, tf32))
    assert 1e-5 < (one - other).norm() / one.norm() < 1e-2
    assert not torch.backends.cuda.matmul.allow_tf32


def test_a_state_moves_between_devices() -> None:
    cuda, cpu = fleet_on("cuda"), fleet_on("cpu")
    cuda.advance(5)
    cpu.restore(cuda.state())
    assert torch.equal(cpu.flat, cuda.flat.cpu())


@pytest.mark.parametrize("batch_size", ["null", "64"])
def test_a_recorded_step_is_the_step_and_continues_bit_for_bit(batch_size: str) -> None:
    """Through a replica that leaves and one that takes its seat, and from a state."""
    plain, graphed, after = (
        fleet_on("cuda", f"batch_size={batch_size}", f"fleet.graphs={graphs}")
        for graphs in ("off", "on", "on")
    )
    for fleet in (plain, graphed):
        fleet.advance(10)
        fleet.vacate(1)
        fleet.fill()
        fleet.advance(10)
    after.advance(5)
    after.restore(graphed.state())
    for fleet in (plain, graphed, after):
        fleet.advance(10)
    assert torch.equal(graphed.flat, after.flat)
    assert torch.equal(graphed.flat, plain.flat)
