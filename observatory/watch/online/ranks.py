"""Which of several processes looks, and which writes."""

from dataclasses import dataclass
from typing import final

import torch
import torch.distributed as dist
from torch import nn

from observatory.watch.reading.sharding import is_sharded


@final
@dataclass(frozen=True)
class Ranks:
    """The part of this process in a look.

    Attributes:
        writes: Whether it owns the run: rank 0 alone.
        looks: Whether it runs the forward: rank 0 of replicas; all where weights are in shards.
        together: Whether other processes look too, so that all must decide alike.
    """

    writes: bool
    looks: bool
    together: bool

    @staticmethod
    def of(model: nn.Module) -> "Ranks":
        """The part of this process in looks at a model."""
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return Ranks(writes=True, looks=True, together=False)
        sharded = is_sharded(model)
        first = dist.get_rank() == 0
        return Ranks(writes=first, looks=first or sharded, together=sharded)

    def agreed(self, claim: bool, device: torch.device) -> bool:
        """What rank 0 claims; every process that looks must ask at the same step."""
        if not self.together:
            return claim
        said = torch.tensor([int(claim)], device=device)
        dist.broadcast(said, src=0)
        return bool(said.item())
