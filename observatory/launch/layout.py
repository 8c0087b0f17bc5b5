"""How a run is laid out: what `auto` means on this machine, or meant where the run was begun."""

import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.processes import usable_cores
from observatory.launch.settings import job_settings
from observatory.store.files import read_json
from observatory.store.identity import BEGUN_WITH, identity
from observatory.store.reader import MANIFEST
from observatory.training.check import check_layout
from observatory.training.device import check_matmul, cuda_devices, torch_device
from observatory.training.replicas import Config, replica_table

_AUTO = ("shards", "device", "compile", "graphs")
"""Settings of the fleet that may be `auto`."""


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
            "machine cannot know what theirs have."
        )
    if not as_jobs:
        fleet["device"] = torch_device(fleet["device"])
    check_layout(fleet)
    if fleet["graphs"] == "auto":
        fleet["graphs"] = "on" if fleet["device"] == "cuda" else "off"
    if fleet["graphs"] == "on" and fleet["device"] != "cuda":
        raise ConfigError(
            "`fleet.graphs` must be off or auto on a CPU, got on: only a CUDA device records its "
            "steps. Leave it at auto."
        )
    if fleet["device"] == "cpu" or not as_jobs:  # what the device of a job can do, it finds there
        check_matmul(fleet["matmul"], fleet["device"])
    if fleet["shards"] == "auto":
        if as_jobs:
            fleet["shards"] = math.ceil(len(replica_table(config)) / fleet["size"])
        elif fleet["device"] == "cuda":
            fleet["shards"] = cuda_devices()
        else:
            fleet["shards"] = usable_cores()
    laid = laid_out({**config, "fleet": fleet})
    if fleet["compile"] == "auto":
        laid["fleet"]["compile"] = "on" if not as_jobs and _repays_compiling(laid) else "off"
    return laid


_STEPS_THAT_REPAY = 50_000
"""Steps of a stack of which a quarter lasts longer than compiling: half a minute, once."""
_FASTER_COMPILED = ("observatory.models.transformer.", "observatory.models.mamba.")
"""Models whose step takes a fifth less time when compiled; that of an LSTM takes four times as long
(`make bench ARGS="-k compil"`)."""


def _repays_compiling(config: Config) -> bool:
    """Whether a CPU trains long enough if no replica leaves early, and a C++ compiler is there."""
    fleet = config["fleet"]
    rounds = math.ceil(len(replica_table(config)) / fleet["shards"] / fleet["size"])
    compilers = filter(None, (os.environ.get("CXX"), "g++", "clang++"))
    return (
        fleet["device"] == "cpu"
        and str(config["model"]["_target_"]).startswith(_FASTER_COMPILED)
        and rounds * config["horizon_steps"] >= _STEPS_THAT_REPAY
        and any(shutil.which(compiler) for compiler in compilers)
    )


def laid_out(config: Config) -> Config:
    """A configuration whose stack is no larger than a shard's share of the replicas.

    Args:
        config: With a number of shards and a device.
    """
    fleet, n_replicas = dict(config["fleet"]), len(replica_table(config))
    fleet["shards"] = min(fleet["shards"], n_replicas)
    fleet["size"] = min(fleet["size"], math.ceil(n_replicas / fleet["shards"]))
    return {**config, "fleet": fleet}


def as_begun(config: Config) -> Config:
    """The resolved configuration; what is `auto` is as where this run was begun, if it was.

    Another machine has another number of cores, and jobs are laid out otherwise: the run goes on
    there, and no replica is trained twice. So it is where a run with a shorter horizon is there,
    from which this one may go on.
    """
    here = resolved(config)
    given, runs = config["fleet"], Path(config["results"]) / config["study"] / "runs"
    if "auto" not in [given[name] for name in _AUTO] or (runs / identity(here)[:12]).exists():
        return here
    there_too = [begun[1] for begun in begun_runs(config)]
    there_too += [begun[1] for begun in shorter_runs(config)]
    for there in there_too:
        try:
            torch_device(there["fleet"]["device"])
        except ConfigError:
            continue  # its device is not at hand
        return there
    return here


def begun_runs(config: Config) -> Iterator[tuple[dict[str, Any], Config]]:
    """Manifests of the study's runs that a configuration names; needs no torch.

    Args:
        config: Plain values; what is `auto` may be anything.

    Yields:
        A manifest, and the configuration with what was `auto` as it is there.
    """
    given, study = config["fleet"], Path(config["results"]) / config["study"]
    for path in sorted(study.glob(f"runs/[!.]*/{MANIFEST}")):
        manifest = read_json(path)
        begun = {**BEGUN_WITH, **manifest["config"]["fleet"]}
        fleet = {k: begun[k] if given[k] == "auto" else given[k] for k in _AUTO}
        there = laid_out({**config, "fleet": {**given, **fleet}})
        if identity(there) == manifest["identity"]:
            yield manifest, there


def shorter_runs(config: Config) -> Iterator[tuple[dict[str, Any], Config]]:
    """As `begun_runs`, of runs that differ in a shorter horizon alone, the longest first.

    Yields:
        A manifest, and the configuration laid out as it is there, with its own horizon.
    """
    study = Path(config["results"]) / config["study"]
    manifests = map(read_json, study.glob(f"runs/[!.]*/{MANIFEST}"))
    horizons = {m["horizon_steps"] for m in manifests if not m.get("kind")}
    for horizon in sorted(h for h in horizons if h < config["horizon_steps"])[::-1]:
        for manifest, there in begun_runs({**config, "horizon_steps": horizon}):
            yield manifest, {**there, "horizon_steps": config["horizon_steps"]}
