"""The replicas of a run, from the sweep of its configuration. Imports no torch."""

import itertools
from typing import Any

import numpy as np

from observatory.core.errors import ConfigError
from observatory.core.settings import Seed, checked
from observatory.fleet.replica_table import ReplicaTable

Config = dict[str, Any]
_AXES = {"weight_decay": float, "lr": float, "seed": Seed}
AXES = tuple(_AXES)
"""Settings in which the replicas of one fleet may differ."""
_BLOCKS = {
    **dict.fromkeys(("scientific", "nuisance", "fixed"), dict[str, Any]),
    "extra": list[dict[str, Any]],
}


def replica_table(config: Config) -> ReplicaTable:
    """All replicas of a run: the product of the sweep's axes, each extra block after it.

    An axis that a block does not name takes `optimizer.weight_decay`, `optimizer.lr` or `seed`.
    Identities follow the order of the blocks; the queue is ordered by weight decay, smallest first,
    because those replicas train longest. After them comes, for every arm, a copy of each, which
    parts from it at the arm's moment.

    Raises:
        ConfigError: If an axis is unknown or empty, or a replica is named twice.
    """
    sweep = config["sweep"]
    checked(sweep, _BLOCKS, "sweep", complete=True)
    base = {**sweep["scientific"], **sweep["nuisance"], **sweep["fixed"]}
    single = {
        "weight_decay": config["optimizer"]["weight_decay"],
        "lr": config["optimizer"]["lr"],
        "seed": config["seed"],
    }
    rows: list[tuple[float, float, int]] = []
    for block in [base, *sweep["extra"]]:
        if unknown := set(block) - set(AXES):
            raise ConfigError(f"`sweep` axes must be among {list(AXES)}, got {sorted(unknown)}.")
        axes = [block.get(axis, single[axis]) for axis in AXES]
        lists = [axis if isinstance(axis, list) else [axis] for axis in axes]
        if empty := [name for name, values in zip(AXES, lists, strict=True) if not values]:
            raise ConfigError(f"`sweep` axis `{empty[0]}` must hold at least one value, got none.")
        for name, values in zip(AXES, lists, strict=True):
            for value in values:
                checked({name: value}, _AXES)
        rows += [(float(w), float(lr), seed) for w, lr, seed in itertools.product(*lists)]
    if len(set(rows)) < len(rows):
        twice = next(row for row in rows if rows.count(row) > 1)
        raise ConfigError(
            f"`sweep` names the replica (weight_decay, lr, seed) = {twice} twice. Remove one."
        )
    weight_decay, lr, seed = (np.array(column) for column in zip(*rows, strict=True))
    order, n = np.lexsort((seed, lr, weight_decay)), len(rows)
    begins = ReplicaTable.without_arms(
        order, seed.astype(np.int64)[order], weight_decay[order], lr[order]
    )
    arms = list(config.get("arms") or {})
    times = len(arms) + 1
    return ReplicaTable(
        replica=np.concatenate([order + n * i for i in range(times)]),
        seed=np.tile(begins.seed, times),
        weight_decay=np.tile(begins.weight_decay, times),
        lr=np.tile(begins.lr, times),
        arm=np.concatenate([begins.arm, np.repeat(np.array(arms, dtype=object), n)]),
        parent=np.tile(order, times),
    )
