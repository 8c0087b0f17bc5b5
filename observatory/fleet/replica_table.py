"""Who is in a fleet: identity, seed and hyperparameters of every replica. Imports no torch."""

from dataclasses import dataclass

import numpy as np

from observatory.core.errors import ConfigError


@dataclass(frozen=True)
class ReplicaTable:
    """One entry per replica: identity, seed and swept hyperparameters, in queue order."""

    replica: np.ndarray  # identity in the run
    seed: np.ndarray  # root of the replica's own generators
    weight_decay: np.ndarray  # decay rate, decoupled or not as the optimizer has it
    lr: np.ndarray  # learning rate

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

    def shard(self, index: int, shards: int) -> "ReplicaTable":
        """The replicas of one shard: identity modulo the number of shards, order kept."""
        mine = self.replica % shards == index
        return ReplicaTable(
            self.replica[mine], self.seed[mine], self.weight_decay[mine], self.lr[mine]
        )
