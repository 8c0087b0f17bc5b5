"""Who waits for a seat: states that go on where they round alike, then fresh replicas."""

from collections.abc import Mapping, Sequence
from typing import Any, final

from torch import Tensor

from observatory.fleet.seats import alike
from observatory.fleet.state import ReplicaStates


@final
class Queue:
    """The replicas of a shard that have no seat yet."""

    def __init__(self) -> None:
        self.cursor = 0
        """Row of the next fresh replica."""
        self.waiting: list[ReplicaStates] = []
        """States of replicas that go on, one each."""
        self.parted: set[int] = set()
        """Rows of the arms that have parted from their parent, or never will."""
        self.targets: dict[int, Tensor] = {}
        """What the arms that have parted are held to, by row; of those that left, nothing."""

    @property
    def begun(self) -> int:
        """Replicas that wait no longer, neither for a seat nor for their moment."""
        return self.cursor + len(self.parted) - len(self.waiting)

    def take(self, free: Sequence[int], size: int, n: int) -> list[tuple[int, ReplicaStates | int]]:
        """Who takes which of the free slots of a stack of `size`.

        Args:
            free: Empty slots.
            size: Of the stack.
            n: Fresh replicas of the shard's table; they come in its order.

        Returns:
            Slots, each with a state, or with the row of a fresh replica.
        """
        left, taken = list(free), list[tuple[int, ReplicaStates | int]]()
        for state in tuple(self.waiting):
            slot = next((s for s in left if alike(s, state.home[0], size)), None)
            if slot is not None:
                taken.append((slot, state))
                left.remove(slot)
                self.waiting.remove(state)
        for slot in left[: n - self.cursor]:
            taken.append((slot, self.cursor))
            self.cursor += 1
        return taken

    def state(self) -> dict[str, Any]:
        """Plain tensors and values from which `restore` continues."""
        waiting = [state.plain() for state in self.waiting]
        parted = sorted(self.parted)
        return {
            "cursor": self.cursor, "waiting": waiting, "parted": parted, "targets": self.targets
        }  # fmt: skip

    def restore(self, state: Mapping[str, Any]) -> None:
        """Inverse of `state`; nobody waited with a state when there were none."""
        self.cursor = state["cursor"]
        self.waiting = [ReplicaStates(**each) for each in state.get("waiting", ())]
        self.parted = set(state.get("parted", ()))
        self.targets = dict(state.get("targets", {}))
