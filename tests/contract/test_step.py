"""A step reads nothing back from the device: a CUDA graph needs that, or a host that runs ahead."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from observatory.launch.layout import resolved
from observatory.training.build import build
from tests.composed import composed
from tests.contract.test_optimizer import NAMES

READS = {torch.ops.aten._local_scalar_dense.default, torch.ops.aten.nonzero.default}
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
