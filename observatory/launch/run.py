"""A run from its configuration: identity, manifest, one worker per shard, resume."""

import hashlib
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
import yaml

import observatory
from observatory.core.contracts import Model
from observatory.core.errors import ConfigError, ObservatoryError, StoreError
from observatory.core.layout import matrices
from observatory.core.setting_types import fits
from observatory.fleet.replicas import ReplicaTable
from observatory.fleet.stack import layout_of
from observatory.launch.settings import job_settings
from observatory.maths.norms import parameter_groups
from observatory.store.files import read_json
from observatory.store.lock import own
from observatory.store.reader import LOCK, MANIFEST, Run
from observatory.store.schema import SCHEMA_VERSION
from observatory.store.writer import create_run, update_manifest
from observatory.training.build import Config, Parts, build, replica_table, torch_device
from observatory.training.provenance import code_state, machine, usable_cores, versions
from observatory.training.shard import tables
from observatory.training.signals import on_stop
from observatory.training.worker import last_words

SILENT_KEYS = frozenset(
    {
        *("study", "results", "experiment", "store", "mlflow", "fit", "display", "launcher"),
        "allow_other_version",
    }
)
"""Settings that cannot change a recorded number; everything else is part of a run's identity."""


class StoppedError(ObservatoryError):
    """The run was told to stop before its end; what was trained is kept."""

    exit_code = 130


def resolved(config: Config) -> Config:
    """The configuration with every `auto` replaced by what it means where the run is trained.

    The stack is never larger than a shard's share of the replicas. Where every shard is a job of
    its own, there are as many as it takes that all replicas are seated at once.

    Raises:
        ConfigError: If a setting breaks its rule, or jobs shall train on a device that is not said.
    """
    fleet = dict(config["fleet"])
    as_jobs = job_settings(config) is not None
    if as_jobs and fleet["device"] not in ("cpu", "cuda"):
        raise ConfigError(
            f"`fleet.device` must be cpu or cuda where jobs train, got {fleet['device']!r}: this "
            "machine cannot tell what theirs have."
        )
    if not as_jobs:
        fleet["device"] = torch_device(fleet["device"])
    n_replicas = len(replica_table(config))
    _check_counts(fleet, "size", "threads")
    if fleet["shards"] == "auto":
        if as_jobs:
            fleet["shards"] = math.ceil(n_replicas / fleet["size"])
        elif fleet["device"] == "cuda":
            fleet["shards"] = torch.cuda.device_count()
        else:
            fleet["shards"] = usable_cores()
    _check_counts(fleet, "shards")
    fleet["shards"] = min(fleet["shards"], n_replicas)
    fleet["size"] = min(fleet["size"], math.ceil(n_replicas / fleet["shards"]))
    return {**config, "fleet": fleet}


def _check_counts(fleet: Config, *names: str) -> None:
    for name in names:
        if not fits(fleet[name], int) or fleet[name] < 1:
            raise ConfigError(
                f"`fleet.{name}` must be an integer of at least 1, got {fleet[name]!r}."
            )


def identity(config: Config) -> str:
    """SHA-256 of the canonical JSON of every setting that can change a number."""
    speaking = {key: value for key, value in config.items() if key not in SILENT_KEYS}
    canonical = json.dumps(
        {**speaking, "schema_version": SCHEMA_VERSION},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()


def described(config: Config, event: str) -> Config:
    """What all runs of a search have in common, once it was checked that they can be trained.

    Args:
        config: Of a run; its sweep does not count.
        event: Preset that the search asks about.

    Raises:
        ConfigError: If a setting breaks its rule, or the runs do not look for the event.
    """
    parts = build(resolved(config))
    if event not in parts.events:
        raise ConfigError(f"`search.event` must be one of {sorted(parts.events)}, got {event!r}.")
    silent = {*SILENT_KEYS, "sweep", "fleet"}
    common = {key: value for key, value in config.items() if key not in silent}
    precision = {name: config["fleet"][name] for name in ("dtype", "loss_dtype")}
    return {**common, "fleet": precision}


@dataclass(frozen=True)
class OwnedRun:
    """A run that this process owns.

    Attributes:
        folder: Of the run.
        config: Resolved.
        done: Whether it had ended before.
    """

    folder: Path
    config: Config
    done: bool


@contextmanager
def own_run(config: Config) -> Iterator[OwnedRun]:
    """Own a run while it is trained; its folder is made where it is missing.

    What the block raises goes into the manifest, as do the end and the cost.

    Args:
        config: Plain values, as composed from the YAML groups; `auto` is allowed.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was written.
        BusyError: If another live process owns this run.
    """
    config = _as_begun(config)
    parts = build(config)
    code = identity(config)
    folder = Path(config["results"]) / config["study"] / "runs" / code[:12]
    git, diff = code_state()
    manifest = {**_manifest(config, parts, code), "git": git}
    replicas = replica_columns(folder.name, parts.table, config)
    create_run(folder, manifest, replicas, yaml.safe_dump(config), diff or None)
    with own(folder / LOCK):
        manifest = _same_version(folder, config)
        _same_examples(folder, manifest, parts)
        if manifest["status"] == "done":
            yield OwnedRun(folder, config, done=True)
            return
        began = time.monotonic()
        earlier = (manifest["cost"] or {}).get("wall_s", 0.0)
        update_manifest(folder, status="running")
        try:
            yield OwnedRun(folder, config, done=False)
        except ObservatoryError as error:
            status = "running" if isinstance(error, StoppedError) else "failed"
            cost = summed_cost(folder, earlier + time.monotonic() - began)
            update_manifest(folder, status=status, cost=cost)
            raise
        cost = summed_cost(folder, earlier + time.monotonic() - began)
        update_manifest(folder, status="done", finished=_now(), cost=cost)


def _as_begun(config: Config) -> Config:
    """As `resolved`; what is `auto` is as it was where this run was begun, if it was.

    Another machine has another number of cores, and jobs are laid out otherwise: the run goes on
    there, and no replica is trained twice.
    """
    here = resolved(config)
    given, runs = config["fleet"], Path(config["results"]) / config["study"] / "runs"
    if "auto" not in (given["shards"], given["device"]) or (runs / identity(here)[:12]).exists():
        return here
    for path in sorted(runs.glob(f"[!.]*/{MANIFEST}")):
        manifest = read_json(path)
        begun = manifest["config"]["fleet"]
        fleet = {k: begun[k] if given[k] == "auto" else given[k] for k in ("shards", "device")}
        try:
            there = resolved({**config, "fleet": {**given, **fleet}})
        except ConfigError:
            continue  # its device is not at hand
        if identity(there) == manifest["identity"]:
            return there
    return here


def launch(config: Config, watch: "Callable[[Path], Any] | None" = None) -> Path:
    """Train a run to its end on this machine, or continue it, or return what exists.

    Args:
        config: As of `own_run`.
        watch: Given the run's folder, a context manager that shows the progress while it is open.

    Returns:
        The run's folder.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was written.
        BusyError: If another live process trains this run.
        StoppedError: If a signal ended the run before its end.
        StoreError: If a worker failed; the same command continues where it was.
    """
    with own_run(config) as run:
        if not run.done:
            with watch(run.folder) if watch else nullcontext():
                if run.config["fleet"]["shards"] == 1:
                    _train_here(run.folder)
                else:
                    _train_in_workers(run.folder, run.config)
    return run.folder


def replica_columns(run_id: str, table: ReplicaTable, config: Config) -> dict[str, Any]:
    """The replicas table: who is in the run, on which shard, with which hyperparameters."""
    return {
        "run_id": [run_id] * len(table),
        "replica": table.replica,
        "shard": table.replica % config["fleet"]["shards"],
        "seed": table.seed,
        "weight_decay": table.weight_decay,
        "lr": table.lr,
    }


def _manifest(config: Config, parts: Parts, code: str) -> dict[str, Any]:
    network, dataset = parts.network, parts.dataset
    assert isinstance(network, Model)  # `build` refuses others
    layout = layout_of(network)
    return {
        "schema_version": SCHEMA_VERSION,
        "run_id": code[:12],
        "identity": code,
        "study": config["study"],
        "experiment": config.get("experiment"),
        "status": "running",
        "created": _now(),
        "finished": None,
        "command": " ".join(sys.argv),
        "config": config,
        "package_version": observatory.__version__,
        "versions": versions(),
        "machine": machine(config["fleet"]["device"]),
        "threads": config["fleet"]["threads"],
        "dtypes": {
            "parameters": config["fleet"]["dtype"],
            "loss": config["fleet"]["loss_dtype"],
            "probes": "float64",
        },
        "task": {
            "name": type(dataset.task).__name__,
            "n_examples": len(dataset),
            "n_train": dataset.n_train,
            "n_val": dataset.n_val,
            "n_classes": dataset.task.n_classes,
            "negative": dataset.task.negative,
            "examples_sha256": dataset.digest(),
        },
        "model": {
            "name": type(network).__name__,
            "n_params": sum(layout.sizes),
            "layout": [
                {"name": name, "shape": list(shape)}
                for name, shape in zip(layout.names, layout.shapes, strict=True)
            ],
            "hooks": list(network.hooks()),
        },
        "loss": {"name": type(parts.loss).__name__, "unit": parts.loss.unit},
        "groups": list(parameter_groups(layout.names)),
        "matrices": list(matrices(layout.names, network.weights())),
        "absent_probes": parts.absent,
        "probe_examples": parts.probe_examples().tolist(),
        "steps_per_epoch": math.ceil(dataset.n_train / parts.batch_examples),
        "horizon_steps": config["horizon_steps"],
        "fleet": {"shards": config["fleet"]["shards"], "size": config["fleet"]["size"]},
        "tables": {name: [c.to_json() for c in columns] for name, columns in tables(parts).items()},
        "cost": None,
    }


def _same_version(folder: Path, config: Config) -> dict[str, Any]:
    """The manifest, after checking that this code may continue the run."""
    manifest = read_json(folder / "manifest.json")
    theirs = manifest["package_version"]
    if (
        manifest["status"] != "done"
        and theirs != observatory.__version__
        and not config["allow_other_version"]
    ):
        raise StoreError(
            f"{folder} was begun by observatory {theirs}, this is {observatory.__version__}: "
            "numbers could differ. Install that version, choose another `study`, or say "
            "`allow_other_version=true`."
        )
    return manifest


def _same_examples(folder: Path, manifest: dict[str, Any], parts: Parts) -> None:
    """A task may read a user's file or function, which no setting tells apart."""
    if manifest["task"].get("examples_sha256") not in (None, parts.dataset.digest()):
        raise StoreError(
            f"{folder} was begun on other examples: the task's table, file or function gives other "
            "inputs or labels now. Give the changed task a name or path of its own, or another "
            "`study`."
        )


def _train_here(folder: Path) -> None:
    from observatory.training.shard import train_shard

    if not train_shard(folder, 0):
        raise stopped(folder)


def _train_in_workers(folder: Path, config: Config) -> None:
    """One process per shard; a signal is passed on and waited for."""
    n = torch.cuda.device_count() if config["fleet"]["device"] == "cuda" else 0
    threads = str(config["fleet"]["threads"])
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    workers: list[subprocess.Popen[bytes]] = []
    told: list[int] = []

    def stop(number: int) -> None:
        told.append(number)
        for worker in workers:
            worker.terminate()

    with on_stop(stop):
        try:
            for shard in range(config["fleet"]["shards"]):
                command = [sys.executable, "-m", "observatory.training.worker"]
                command += [str(folder), str(shard), *([f"cuda:{shard % n}"] if n else [])]
                log_path = folder / "shards" / str(shard) / "worker.log"
                log_path.parent.mkdir(parents=True, exist_ok=True)
                with log_path.open("ab") as log:
                    workers.append(
                        subprocess.Popen(
                            command,
                            stdout=log,
                            stderr=log,
                            stdin=subprocess.DEVNULL,
                            env=environment,
                        )
                    )
            codes = [worker.wait() for worker in workers]
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.terminate()
    if told:
        raise stopped(folder)
    for shard, code in enumerate(codes):
        if code:
            raise StoreError(_failure(folder, shard, code))
    if any(progress["status"] != "done" for progress in Run(folder).progress()):
        raise stopped(folder)


def stopped(folder: Path) -> StoppedError:
    """The error of a run that was told to stop."""
    return StoppedError(f"{folder} was stopped before its end. The same command continues it.")


def _failure(folder: Path, shard: int, code: int) -> str:
    log = folder / "shards" / str(shard) / "worker.log"
    words = last_words(log)
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    last = f" Its last words: {words!r}." if words else ""
    return (
        f"the worker of shard {shard} {how}.{last} Whole log: {log}. "
        "The same command continues the run."
    )


def summed_cost(folder: Path, wall_s: float) -> dict[str, Any]:
    """Cost of a run: its wall time, the shards' CPU time, and the share of each purpose."""
    told = Run(folder).progress()
    totals: dict[str, float] = {}
    for progress in told:
        for purpose, seconds in progress["cost_s"].items():
            totals[purpose] = totals.get(purpose, 0.0) + seconds
    spent = sum(totals.values()) or 1.0
    return {
        "wall_s": wall_s,
        "cpu_s": sum(progress["cpu_s"] for progress in told),
        "replica_steps": sum(progress["replica_steps"] for progress in told),
        "shares": {purpose: seconds / spent for purpose, seconds in sorted(totals.items())},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
