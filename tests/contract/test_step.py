"""A step reads nothing back from the device: a CUDA graph needs that, or a host that runs ahead."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode

from observatory.core.contracts import Hyper
from observatory.core.layout import Params
from observatory.launch.layout import resolved
from observatory.training.build import build
from tests.composed import composed
from tests.contract.test_optimizer import NAMES
from tests.replayed import READS

TINY = ["batch_size=8", "fleet.size=2", "fleet.shards=1", "fleet.device=cpu", "probe=[]"]
MODELS = ["transformer", "mlp", "lstm", "mamba", "li2"]


class NoReading(TorchDispatchMode):
    """Raises where the host waits for a number."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in READS:
            raise RuntimeError(f"the host reads a tensor by {func}")
        return func(*args, **(kwargs or {}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "chosen",
    [f"model={m}" for m in MODELS] + [f"model=mlp optimizer={o}" for o in NAMES if o != "adamw"],
)
def test_the_host_waits_for_no_number(chosen: str) -> None:
    config = composed("train", "+sweep.nuisance.seed=[0,1]", *TINY, *chosen.split())
    fleet = build(resolved(config)).shard(0, 1)
    fleet.fill()
    with NoReading():
        fleet.advance(3)
        with pytest.raises(RuntimeError, match="the host reads"):
            float(fleet.flat.sum())


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_step_can_be_traced_without_a_number(model: str) -> None:
    """With tensors that have a shape and no content; what was traced finds the same gradient."""
    full = ("batch_size=null", "modulus=7")
    config = composed("train", "+sweep.nuisance.seed=[0,1]", *TINY, *full, f"model={model}")
    fleet = build(resolved(config)).shard(0, 1)
    fleet.fill()
    fleet.feed.ready(fleet.ages)
    inputs, labels, _ = fleet.feed()
    rates = fleet.hyper.lr, fleet.hyper.weight_decay, fleet.decays

    def step(flat: Tensor, state: Params, hyper: list[Tensor]) -> tuple[Tensor, Tensor, Params]:
        flat, state = flat.clone(), {name: value.clone() for name, value in state.items()}
        losses, gradient = fleet.loss_and_gradient(flat, inputs, labels, None)
        fleet.optimizer.update(flat, gradient, state, Hyper(*hyper, layout=fleet.layout))
        return losses, flat, state

    given = fleet.flat, fleet.optimizer_state, list(rates)
    graph = make_fx(step, tracing_mode="fake", _allow_non_fake_inputs=True)(*given)
    assert not {node.target for node in graph.graph.nodes} & READS
    losses, _, state = graph(*given)
    fleet.advance(1)
    assert losses.isfinite().all()
    assert torch.equal(state["t"], fleet.optimizer_state["t"])
    moment = fleet.optimizer_state["m"]  # the gradient, of whose rounding Adam's first step is made
    assert (state["m"] - moment).abs().max() < 1e-5 * moment.abs().max()
