"""Replicas that go on from states of a finished study, with what is otherwise in this run.

Parameters, batches and what evaluations saw of it are the parent's; so is the state of the
optimizer where both runs have the same one. What follows from the configuration, such as rates,
loss and precision, and the train split where batches are full, is that of this run.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import pandas as pd
import torch

from observatory.core.contracts import Optimizer
from observatory.core.errors import ConfigError, StoreError
from observatory.fleet.fleet import Fleet
from observatory.fleet.replica_table import NO_ARM, ReplicaTable
from observatory.fleet.replicas import Dataset
from observatory.store.identity import model_begun_with
from observatory.store.reader import Run
from observatory.store.schema import STATES, STEP
from observatory.training.donors import one_run
from observatory.training.fork_settings import ForkSettings, fork_settings
from observatory.training.replicas import Config
from observatory.training.state_rows import from_rows

_ALIKE = ("model", "task", "batch_size")
"""Settings in which both runs must agree: a state is of these parameters and of these batches."""
_OF_BATCHES = ("train_fraction",)
"""Those, too, where examples come in batches: the place in an epoch is one of its train split."""


@final
@dataclass(frozen=True)
class Forked:
    """Whence the replicas of a run go on.

    Attributes:
        run: The parents' run.
        step: Of their states.
        parents: Number of each one's parent there, by identity.
        same_optimizer: Whether the state of the optimizer goes on, too.
        same_split: Whether the train examples are the parents'.
    """

    run: Run
    step: int
    parents: Mapping[int, int]
    same_optimizer: bool
    same_split: bool

    def described(self) -> dict[str, Any]:
        """For a manifest."""
        return {
            "run_id": self.run.run_id,
            "step": self.step,
            "parents": [[own, parent] for own, parent in sorted(self.parents.items())],
            "optimizer_state": "kept" if self.same_optimizer else "new",
        }

    def seat(self, fleet: Fleet, optimizer: Optimizer) -> None:
        """Have the replicas of a fleet that has not begun wait for a seat in their state.

        Raises:
            StoreError: If a state cannot be read.
        """
        table = fleet.table
        own = [int(replica) for replica in table.replica[: table.n_fresh]]
        rows = _at(self.run, self.step).set_index("replica", drop=False)
        chosen = rows.loc[[self.parents[replica] for replica in own]]
        states = from_rows(chosen, optimizer if self.same_optimizer else None, fleet.dtype)
        if not self.same_optimizer:
            states = replace(states, optimizer=optimizer.init(states.flat))
        if not self.same_split:
            seeds = table.seed[: table.n_fresh].tolist()
            orders = [fleet.dataset.draw(seed).train for seed in seeds]
            states = replace(states, order=torch.stack(orders))
        size = len(fleet.slots)
        homes = [place % size for place in range(len(own))]
        states = replace(states, replica=own, home=homes)
        fleet.queue.cursor = table.n_fresh
        fleet.queue.waiting = [states.rows([place]) for place in range(len(own))]


def forked(config: Config, table: ReplicaTable, dataset: Dataset) -> Forked | None:
    """Whence the replicas of a run go on, checked; None where they begin at step 0.

    Args:
        config: Resolved.
        table: Of the run.
        dataset: Of its task.

    Raises:
        ConfigError: If a parent or its state is not there, or its network or data are others.
    """
    settings = fork_settings(config)
    if settings is None:
        return None
    try:
        run = one_run(settings.study, settings.run)
        theirs = run.manifest["config"]
        _check_alike(config, run, dataset)
        parents = _parents(settings, run, table)
        _check_kept(run, settings.step, set(parents.values()))
    except StoreError as error:
        raise ConfigError(f"`fork` must name states that were kept: {error}") from error
    same = config["optimizer"]["update"] == theirs["optimizer"]["update"]
    return Forked(
        run, settings.step, parents, same, config["train_fraction"] == theirs["train_fraction"]
    )


def _check_alike(config: Config, run: Run, dataset: Dataset) -> None:
    if run.manifest.get("kind"):
        raise ConfigError("`fork.study` must be trained by this package, and was observed only.")
    theirs = dict(run.manifest["config"])
    theirs["model"] = {**model_begun_with(theirs["model"]), **theirs["model"]}
    alike = _ALIKE if config["batch_size"] is None else (*_ALIKE, *_OF_BATCHES)
    pairs = {name: (config[name], theirs[name]) for name in alike}
    for name, (ours, other) in pairs.items():
        for setting, one, two in _apart(name, ours, other):
            raise ConfigError(
                f"`{setting}` must be as in the run whose states go on, {two}, got {one}. A state "
                "fits networks of its own shapes and batches of its own data only."
            )
    if run.manifest["task"].get("examples_sha256") not in (None, dataset.digest()):
        raise ConfigError("`task` must give the examples of the run whose states go on.")


def _apart(name: str, ours: Any, theirs: Any) -> Iterator[tuple[str, Any, Any]]:
    """Settings in which two configurations differ, by dotted name."""
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in dict.fromkeys([*ours, *theirs]):
            yield from _apart(f"{name}.{key}", ours.get(key), theirs.get(key))
    elif ours != theirs:
        yield name, ours, theirs


def _parents(settings: ForkSettings, run: Run, table: ReplicaTable) -> dict[int, int]:
    """The parent of every replica by identity."""
    known = run.replicas()
    known = known.loc[known["arm"] == NO_ARM] if "arm" in known else known
    by_settings = {
        (float(w), float(lr), int(seed)): int(replica)
        for w, lr, seed, replica in zip(
            *(known[name] for name in ("weight_decay", "lr", "seed", "replica")), strict=True
        )
    }
    found: dict[int, int] = {}
    for row in range(table.n_fresh):
        own = float(table.weight_decay[row]), float(table.lr[row]), int(table.seed[row])
        wanted = (
            own[0] if settings.weight_decay is None else float(settings.weight_decay),
            own[1] if settings.lr is None else float(settings.lr),
            own[2],
        )
        if wanted not in by_settings:
            raise ConfigError(
                f"`fork` must find a network of weight_decay {wanted[0]:g}, lr {wanted[1]:g} and "
                f"seed {wanted[2]} in `{settings.study}`, and there is none. Where this run has "
                "other values, name those of the parents by `fork.weight_decay` and `fork.lr`."
            )
        found[int(table.replica[row])] = by_settings[wanted]
    return found


def _check_kept(run: Run, step: int, parents: set[int]) -> None:
    if STATES not in run.tables():
        raise ConfigError(
            f"`fork.study` must have kept states, and run `{run.run_id}` kept none. What a run "
            "keeps is set by `store.states` when it begins; the same settings train it again."
        )
    kept = run.table(STATES, [])
    steps = sorted(set(kept.loc[kept["replica"].isin(sorted(parents)), STEP.name].tolist()))
    if lacking := sorted(parents - set(kept.loc[kept[STEP.name] == step, "replica"])):
        raise ConfigError(
            f"`fork.step` must be a step at which the states of all parents were kept, got {step}: "
            f"of the replicas {lacking} they were not. States were kept at the steps {steps}."
        )


def _at(run: Run, step: int) -> pd.DataFrame:
    rows = run.table(STATES)
    return pd.DataFrame(rows.loc[rows[STEP.name] == step])
