"""Two processes that train one model, replicated or sharded, with and without looks."""

import os
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from observatory.watch.online.observer import Observe


def network() -> nn.Module:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
    return nn.Sequential(nn.TransformerEncoder(layer, 2), nn.Flatten(), nn.Linear(40, 1))


def wrapped(model: nn.Module, kind: str) -> nn.Module:
    if kind == "ddp":
        return DistributedDataParallel(model)
    mesh = init_device_mesh("cpu", (2,))
    for block in model[0].layers:  # type: ignore[index]
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def train(kind: str, watch: Observe | None) -> list[torch.Tensor]:
    """Losses of each step, then the weights at the end."""
    model = wrapped(network(), kind)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    torch.manual_seed(10 + dist.get_rank())
    if watch is not None:
        watch.begin(model, {"seed": 0})
    found = []
    for step in range(1, 21):
        optimizer.zero_grad()
        loss = (model(torch.randn(4, 5, 8)) ** 2).mean()
        loss.backward()
        optimizer.step()
        if watch is not None:
            watch.step(step, loss=loss)
        found.append(loss.detach())
    if watch is not None:
        watch.end()
    ends = (p.full_tensor() if isinstance(p, DTensor) else p for p in model.parameters())
    return [*found, *(end.detach() for end in ends), torch.get_rng_state()]


def main(kind: str, folder: str, rank: int) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    alone = train(kind, None)
    batch = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(1))
    watch = Observe(f"{folder}/study", batch=batch, every=2, budget=None)
    watched = train(kind, watch)
    same = all(torch.equal(a, b) for a, b in zip(alone, watched, strict=True))
    Path(folder, f"rank{rank}").write_text(f"{same}")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
