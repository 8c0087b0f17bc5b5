"""The complete state of a replica at a step: what a checkpoint, a kept state and a copy hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from observatory.core.layout import Params


@final
@dataclass(frozen=True, eq=False)  # tensors have no one equality
class ReplicaStates:
    """All of some replicas from which their training goes on bit for bit, a row each, on the host.

    What follows from seed and settings (labels, split, learning rate, weight decay) is no part of
    it: `Fleet.resume` makes it anew.

    Attributes:
        replica: Identity of each in its run.
        step: Updates that each has made; gives its place in its epoch, too.
        home: Slot in which each started: a place that is alike, as of `seats.alike`, rounds alike.
        diverged_step: Step of its first non-finite loss or parameter; None where there is none.
        looks: What evaluations saw of it so far, as of `Looks.state`.
        flat: Parameters.
        optimizer: State of the optimizer by name, as of `Optimizer.init`.
        order: Its train examples in the order of its epoch.
        generator: State of its "batch" generator.
    """

    replica: list[int]
    step: list[int]
    home: list[int]
    diverged_step: list[int | None]
    looks: list[list[list[float]]]
    flat: Float[Tensor, "replica param"]
    optimizer: Params
    order: Int[Tensor, "replica sample"]
    generator: UInt8[Tensor, "replica byte"]

    def __len__(self) -> int:
        return len(self.replica)

    def rows(self, rows: Sequence[int]) -> "ReplicaStates":
        """Copies of some rows, in this order; a row may come more than once."""

        def part(value: Any) -> Any:
            if isinstance(value, Tensor):
                return value[list(rows)]
            if isinstance(value, Mapping):
                return {name: part(of_all) for name, of_all in value.items()}
            return [value[row] for row in rows]

        return ReplicaStates(**part(vars(self)))

    def plain(self) -> dict[str, Any]:
        """Plain tensors and values; `ReplicaStates(**plain)` is the inverse."""
        return dict(vars(self))


def seated(state: Mapping[str, Any], replicas: np.ndarray) -> ReplicaStates:
    """Who trained when a fleet's state was taken, by slot.

    Args:
        state: As of `Fleet.state`; or a row per slot, as before states were records of their own.
        replicas: Identities by row of the shard's queue.
    """
    if "states" in state:
        return ReplicaStates(**state["states"])
    taken = [slot for slot, row in enumerate(state["slots"]) if row >= 0]
    ages, first, tick = state["ages"], state["first_bad"].tolist(), state["tick"]
    every = ReplicaStates(
        replica=[int(replicas[row]) for row in state["slots"]],
        step=ages,
        home=state.get("homes", list(range(len(ages)))),
        diverged_step=[None if f < 0 else a - (tick - f) for f, a in zip(first, ages, strict=True)],
        looks=state["looks"],
        flat=state["flat"],
        optimizer=state["optimizer"],
        order=state["batches"]["order"],
        generator=torch.stack(state["batches"]["generators"]),
    )
    return every.rows(taken)
