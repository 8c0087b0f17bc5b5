"""Probes of a finished study, at the states that it kept."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from observatory.core.columns import Column
from observatory.core.errors import ConfigError
from observatory.core.layout import matrices
from observatory.fleet.every_example import FleetExamples
from observatory.fleet.fleet import Fleet
from observatory.fleet.look import Look
from observatory.launch.compose import compose
from observatory.launch.layout import resolved
from observatory.launch.trust import check_trusted
from observatory.store.files import make_folder, refused_as_store_error, sync, write_json
from observatory.store.parameters import kept_steps, parameters
from observatory.store.reader import Run, Study
from observatory.store.reprobed import REPROBED
from observatory.store.table import TableWriter
from observatory.training.build import Parts, build_to_look
from observatory.training.suitability import measured_by


def reprobe(
    study: Path,
    probes: Sequence[str],
    steps: Collection[int] | None,
    *,
    trust: bool,
    since: int | None = None,
) -> Iterator[str]:
    """Look at every kept state of a study; yields a line per table, or per probe that cannot look.

    A table of an earlier call is replaced once the new one is whole.

    Args:
        study: Its folder.
        probes: Names of conf/probe: of probes, or of classes of cost.
        steps: At these alone; None: at every step at which a state was kept.
        trust: Whether settings of the study may name code outside of this package, which runs.
        since: The step of the kept states that probes compare with; None: the start.

    Raises:
        ConfigError: If a probe is unknown, none can look, or no state was kept at one of the steps.
    """
    entries = compose("train", [f"probe=[{','.join(probes)}]"])["probe"]
    runs = Study(study).runs
    for run in runs:
        if run.manifest.get("kind") == "observed":
            raise ConfigError(
                f"`STUDY` must hold runs that were trained here, got the watched run {run.run_id}. "
                "Give its model and --checkpoints."
            )
        if not trust:
            check_trusted(run.manifest["config"], f"Run `{run.run_id}`")
    kept = [_kept(run, steps) for run in runs]
    if since is not None:
        for run, replicas_at in zip(runs, kept, strict=True):
            _check_since(run, since, replicas_at)
    for run, replicas_at in zip(runs, kept, strict=True):
        parts = build_to_look({**resolved(run.manifest["config"]), "probe": entries})
        yield from (f"{run.run_id}: no {name}: {why}" for name, why in parts.unavailable.items())
        if not parts.probes:
            raise ConfigError(f"`--probe` must name one that can look, got {list(entries)}.")
        yield from _of_run(study / REPROBED / run.run_id, run, parts, replicas_at, since)


def _of_run(
    folder: Path, run: Run, parts: Parts, kept: dict[int, list[int]], since: int | None
) -> list[str]:
    parts = replace(parts, fleet=replace(parts.fleet, size=1))  # a look of any number of rows
    fleet = parts.shard(0, 1)
    with refused_as_store_error(folder):
        make_folder(folder)
    with TemporaryDirectory(prefix=".", dir=folder) as beside:
        writers = {
            name: TableWriter(Path(beside) / name, run.run_id, scheduled.probe.columns, 0)
            for name, scheduled in parts.probes.items()
        }
        for place, (step, replicas) in enumerate(kept.items()):
            view = fleet.view(_look(fleet, run, step, replicas))
            if since is not None:
                assert isinstance(view.everything, FleetExamples)
                before = _look(fleet, run, since, replicas).flat
                view.everything.compare_with(fleet.layout.views(before), since)
            with torch.no_grad():
                for name, scheduled in parts.probes.items():
                    measured = measured_by(name, scheduled.probe, view)
                    writers[name].append(replicas, [step] * len(replicas), measured)
                    writers[name].flush(place + 1)
        for name, scheduled in parts.probes.items():
            if (folder / name).exists():  # of an earlier call
                (folder / name).rename(Path(beside) / f".{name}")
            (Path(beside) / name).rename(folder / name)
            _describe(folder / name, scheduled.probe.columns, fleet, since)
        sync(folder)
    looks = sum(len(replicas) for replicas in kept.values())
    return [f"{folder / name}: {looks} looks" for name in writers]


def _kept(run: Run, wanted: Collection[int] | None) -> dict[int, list[int]]:
    """The replicas of a run whose parameters were kept, by step.

    Raises:
        ConfigError: If there are none, or none at one of the steps that are wanted.
    """
    found: dict[int, list[int]] = {}
    for replica in run.replicas()["replica"].tolist():
        for step in kept_steps(run.folder, run.manifest, replica):
            found.setdefault(step, []).append(replica)
    if not found:
        raise ConfigError(
            f"`STUDY` must have kept states, run {run.run_id} has none. What a run keeps is set by "
            "`store.states` when it begins."
        )
    chosen = sorted(found if wanted is None else set(wanted))
    if absent := [step for step in chosen if step not in found]:
        raise ConfigError(
            f"`--steps` must be steps at which run {run.run_id} kept states, {sorted(found)}, got "
            f"{absent}."
        )
    return {step: found[step] for step in chosen}


def _check_since(run: Run, since: int, kept: dict[int, list[int]]) -> None:
    """Refuse a step to compare with at which a replica that is looked at kept no state."""
    wanted = {replica for replicas in kept.values() for replica in replicas}
    steps = {r: set(kept_steps(run.folder, run.manifest, r)) for r in wanted}
    if absent := sorted(r for r in wanted if since not in steps[r]):
        common = sorted(set.intersection(*steps.values()))
        raise ConfigError(
            f"`--since` must be a step at which every replica looked at kept a state, {common} in "
            f"run {run.run_id}, got {since}, which replicas {absent} lack."
        )


def _look(fleet: Fleet, run: Run, step: int, replicas: Sequence[int]) -> Look:
    seeds = dict(zip(fleet.table.replica.tolist(), fleet.table.seed.tolist(), strict=True))
    splits = [fleet.dataset.draw(seeds[replica]) for replica in replicas]
    weights = [parameters(run.folder, run.manifest, replica, step) for replica in replicas]
    flat = [np.concatenate([w[name].ravel() for name in fleet.layout.names]) for w in weights]
    at = fleet.probe_examples.cpu()
    return Look(
        replica=torch.tensor(list(replicas)),
        step=torch.full((len(replicas),), step),
        flat=torch.from_numpy(np.stack(flat)).to(fleet.device, fleet.dtype),
        labels=torch.stack([split.labels[at] for split in splits]).to(fleet.device),
        in_train=torch.stack([split.in_train()[at] for split in splits]).to(fleet.device),
    )


def _describe(folder: Path, columns: tuple[Column, ...], fleet: Fleet, since: int | None) -> None:
    """What the columns mean, the order of lists, and the step in place of the start, if any."""
    about: dict[str, Any] = {
        "columns": [column.to_json() for column in columns],
        "matrices": list(matrices(fleet.layout.names, fleet.weights)),
        "since": since,
    }
    write_json(folder.with_suffix(".json"), about)
