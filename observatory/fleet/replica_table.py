"""Who is in a fleet: identity, seed and hyperparameters of every replica. Imports no torch."""

from dataclasses import dataclass, fields
from typing import final

import numpy as np

from observatory.core.errors import ConfigError

NO_ARM = "none"
"""The arm of a replica that begins at step 0."""


@final
@dataclass(frozen=True)
class ReplicaTable:
    """One entry per replica: identity, seed and swept hyperparameters, in queue order.

    Arms come last: each waits until it parts from its parent.
    """

    replica: np.ndarray  # identity in the run
    seed: np.ndarray  # root of the replica's own generators
    weight_decay: np.ndarray  # decay rate, decoupled or not as the optimizer has it
    lr: np.ndarray  # learning rate
    arm: np.ndarray  # name of its arm; `NO_ARM` for a replica that begins at step 0
    parent: np.ndarray  # identity of the replica that it parts from; its own where it begins

    def __post_init__(self) -> None:
        for name, rule, ok in (
            (
                "weight_decay",
                "finite and not negative",
                np.isfinite(self.weight_decay) & (self.weight_decay >= 0),
            ),
            ("lr", "finite and positive", np.isfinite(self.lr) & (self.lr > 0)),
        ):
            if not ok.all():
                bad = getattr(self, name)[~ok][0]
                raise ConfigError(f"`{name}` must be {rule}, got {bad}.")

    def __len__(self) -> int:
        return len(self.replica)

    @staticmethod
    def without_arms(
        replica: np.ndarray, seed: np.ndarray, weight_decay: np.ndarray, lr: np.ndarray
    ) -> "ReplicaTable":
        """Replicas that all begin at step 0."""
        arm = np.full(len(replica), NO_ARM, dtype=object)
        return ReplicaTable(replica, seed, weight_decay, lr, arm, replica)

    @property
    def n_fresh(self) -> int:
        """How many begin at step 0; they come first."""
        return int((self.arm == NO_ARM).sum())

    def shard(self, index: int, shards: int) -> "ReplicaTable":
        """The replicas of one shard, order kept: by identity modulo `shards`, arms by parent's."""
        mine = self.parent % shards == index
        return ReplicaTable(*(getattr(self, field.name)[mine] for field in fields(self)))
