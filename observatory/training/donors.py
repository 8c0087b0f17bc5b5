"""Weights of finished studies that arms of a run take over, found and checked before the start."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from observatory.core.errors import ConfigError, StoreError
from observatory.core.layout import Layout
from observatory.fleet.replica_table import ReplicaTable
from observatory.interventions.arm import Arm
from observatory.interventions.contract import OnPart
from observatory.interventions.donor import Donor
from observatory.store.parameters import Arrays
from observatory.store.reader import Run, Study


@final
@dataclass(frozen=True, eq=False)
class Donated:
    """A network of a finished study.

    Attributes:
        run_id: Its run.
        replica: Its number there.
        step: At which its weights were kept.
        row: Its parameters, or their change since another step.
    """

    run_id: str
    replica: int
    step: int
    row: Float[Tensor, " param"]


DonatedOf = dict[tuple[str, int], Donated]
"""The donors by name of an arm and identity of its replica."""


def donated_to(arms: Mapping[str, Arm], table: ReplicaTable, layout: Layout) -> DonatedOf:
    """The donor of every arm that has one.

    Args:
        arms: By name.
        table: Of the run.
        layout: Of its networks.

    Raises:
        ConfigError: If a study is none, a network or its weights are not there, or of other shapes.
    """
    found: DonatedOf = {}
    for name, arm in arms.items():
        act = arm.intervention
        if not isinstance(act, OnPart) or (donor := act.donor) is None:
            continue
        try:
            run = one_run(donor.study, donor.run)
            own = table.arm == name
            of_seed = _numbers(donor, run, [*dict.fromkeys(table.seed[own].tolist())])
            networks = {
                n: _donated(run, n, donor.step, act.since, layout) for n in set(of_seed.values())
            }
        except (ConfigError, StoreError) as error:
            raise ConfigError(f"`arms.{name}` has no donor: {error}") from error
        for replica, seed in zip(table.replica[own], table.seed[own], strict=True):
            found[name, int(replica)] = networks[of_seed[int(seed)]]
    return found


def described(donated: DonatedOf) -> dict[str, list[list[object]]]:
    """Who has whose weights, for a manifest: replica, and run, replica and step of its donor."""
    named: dict[str, list[list[object]]] = {}
    for (arm, replica), donor in donated.items():
        named.setdefault(arm, []).append([replica, donor.run_id, donor.replica, donor.step])
    return named


def one_run(study: str, run_id: str | None) -> Run:
    """A run of a study: the one that is named, or the only one.

    Raises:
        StoreError: If the study is none, or has no such run.
        ConfigError: If it has several and none is named.
    """
    opened = Study(study) if run_id is None else Study(study).only(run_id)
    if len(opened.runs) > 1:
        known = ", ".join(run.run_id for run in opened.runs)
        raise ConfigError(f"`run` must be one of {known}: `{study}` has several.")
    return opened.runs[0]


def _numbers(donor: Donor, run: Run, seeds: Sequence[int]) -> dict[int, int]:
    """The donor of the replicas of every seed: of several, that of the largest weight decay."""
    if donor.replica is not None:
        return dict.fromkeys(seeds, donor.replica)
    known = run.outcomes()
    if donor.outcome is not None:
        known = known.loc[known["outcome"] == donor.outcome]
    if "arm" in known:
        known = known.loc[known["arm"] == "none"]
    order = np.lexsort((-known["replica"], known["weight_decay"]))  # the last of a seed is taken
    found = dict(zip(known["seed"].iloc[order], known["replica"].iloc[order], strict=True))
    if missing := [str(seed) for seed in seeds if seed not in found]:
        how = "" if donor.outcome is None else f" that ended as {donor.outcome}"
        raise ConfigError(
            f"`{donor.study}` must have a network of each seed{how}, and has none of "
            f"{', '.join(missing)}. Leave these seeds out, or name a donor for all: `replica`."
        )
    return {seed: int(found[seed]) for seed in seeds}


def _donated(run: Run, number: int, step: int | None, since: int | None, layout: Layout) -> Donated:
    kept = run.replica(number).kept_steps()
    row = _row(run.weights(number, step), layout)
    step = max(kept) if step is None else step
    if since is not None:
        if since >= step:
            raise ConfigError(
                f"`since` must be below the step of its weights, got {since}, {step}."
            )
        row = row.double() - _row(run.weights(number, since), layout)
    return Donated(run.run_id, number, step, row)


def _row(weights: Arrays, layout: Layout) -> Float[Tensor, " param"]:
    """Weights as a flat row."""
    theirs = {name: tuple(array.shape) for name, array in weights.items()}
    ours = {name: tuple(s) for name, s in zip(layout.names, layout.shapes, strict=True)}
    if differing := list(_differing(ours, theirs)):
        raise ConfigError(
            "its networks must be of the shapes of this run's, and differ in "
            f"{', '.join(differing)}. Take a donor of the same model and task."
        )
    return torch.from_numpy(np.concatenate([weights[name].reshape(-1) for name in layout.names]))


def _differing(
    ours: Mapping[str, tuple[int, ...]], theirs: Mapping[str, tuple[int, ...]]
) -> Iterator[str]:
    """Weights that are not the same in two networks, in words."""
    for name in dict.fromkeys([*ours, *theirs]):
        one, other = ours.get(name), theirs.get(name)
        if one != other:
            yield f"{name} ({_shape(other)}, here {_shape(one)})"


def _shape(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else str(list(shape))
