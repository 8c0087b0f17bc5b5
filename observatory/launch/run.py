"""A run from its configuration: owned, described, trained to its end or continued."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

import observatory
from observatory.core.errors import ConfigError, ObservatoryError, StoreError
from observatory.core.secrets import without_secrets
from observatory.interventions.arm import without_control
from observatory.launch.extend import continue_shards, extended_run
from observatory.launch.layout import as_begun, resolved
from observatory.launch.manifest import manifest_of, now, replica_columns, summed_cost
from observatory.launch.workers import StoppedError, train_here, train_in_workers
from observatory.store.files import read_json
from observatory.store.identity import BEGUN_WITH, WITHOUT_EFFECT, identity
from observatory.store.lock import own
from observatory.store.provenance import code_state
from observatory.store.reader import LOCK, MANIFEST, Run
from observatory.store.rows import lost_rows, noted_rows
from observatory.store.writer import create_run, update_manifest
from observatory.training.build import Parts, build
from observatory.training.donors import described as donors_of
from observatory.training.keep import left_out
from observatory.training.replicas import Config

log = logging.getLogger(__name__)


def described(config: Config, event: str, setting: str = "search.event") -> Config:
    """What all runs of a search have in common, once it was checked that they can be trained.

    Args:
        config: Of a run; its sweep does not count.
        event: Preset that the search asks about.
        setting: Where it was given, for the message.

    Raises:
        ConfigError: If a setting breaks its rule, or the runs do not look for the event.
    """
    parts = build(resolved(config))
    if event not in parts.events:
        raise ConfigError(f"`{setting}` must be one of {sorted(parts.events)}, got {event!r}.")
    apart = {*WITHOUT_EFFECT, "sweep", "fleet"}
    common = {key: value for key, value in config.items() if key not in apart}
    fleet = {name: config["fleet"][name] for name in ("dtype", "loss_dtype", "matmul")}
    precision = {name: v for name, v in fleet.items() if (name, v) not in BEGUN_WITH.items()}
    return {**common, "fleet": precision}


def check_runs(configs: Iterable[Config]) -> list[str]:
    """Check runs as a whole; what their user may not expect of them, as sentences.

    Such are probes that cannot look, states that have no room, and arms without a control.

    Raises:
        ConfigError: If a setting of any run breaks its rule.
    """
    each = [(config, build(resolved(config))) for config in configs]
    absent = {f"{name} ({why})" for _, parts in each for name, why in parts.unavailable.items()}
    probes = [f"probes that cannot look: {', '.join(sorted(absent))}"] if absent else []
    states = {left_out(config, parts.states) for config, parts in each} - {""}
    given = [config.get("arms") or {} for config, _ in each]
    arms = sorted({name for these in given for name in without_control(these)})
    alone = [
        f"arms without a control: {', '.join(arms)}. Another change as large may have the same "
        "effect; name the arm that makes it by `control`, and add it to `arms`."
    ]
    return probes + sorted(states) + (alone if arms else [])


@dataclass(frozen=True)
class _OwnedRun:
    """A run that this process owns."""

    folder: Path  # of the run
    config: Config  # resolved
    done: bool  # whether it had ended before


@contextmanager
def own_run(config: Config) -> Iterator[_OwnedRun]:
    """Own a run while it is trained; its folder is made where it is missing.

    What the block raises goes into the manifest, as do the end and the cost.

    Args:
        config: Plain values, as composed from the YAML groups; `auto` is allowed.

    Raises:
        ConfigError: If a setting breaks its rule; nothing was written.
        BusyError: If another live process owns this run.
    """
    config = as_begun(config)
    parts = build(config)
    code = identity(config)
    folder = Path(config["results"]) / config["study"] / "runs" / code[:12]
    git, diff = code_state()
    begun = (folder / MANIFEST).exists()
    extends = None if begun else extended_run(config, parts)
    manifest = {**manifest_of(config, parts, code), "git": git, "extends": extends}
    replicas = replica_columns(folder.name, parts.table, config, parts.forked)
    settings = yaml.safe_dump(manifest["config"])
    create_run(folder, manifest, replicas, settings, without_secrets(diff) or None)
    with own(folder / LOCK):
        manifest = _same_version(folder, config)
        _same_settings(folder, manifest)
        _same_examples(folder, manifest, parts)
        _same_donors(folder, manifest, parts)
        lost = lost_rows(folder, manifest)
        if manifest["status"] == "done" and not lost:
            yield _OwnedRun(folder, config, done=True)
            return
        if lost:
            log.warning("%s is trained again: %s.", folder, "; ".join(lost.values()))
        began = time.monotonic()
        earlier = (manifest["cost"] or {}).get("wall_s", 0.0)
        update_manifest(folder, status="running", rows=None)
        try:
            continue_shards(folder, manifest, parts)
            yield _OwnedRun(folder, config, done=False)
            if lost := lost_rows(folder, {**manifest, "rows": None}):
                raise StoreError(
                    f"{folder} lost what it had written: {'; '.join(lost.values())}. The "
                    "same command trains it again."
                )
        except ObservatoryError as error:
            status = "running" if isinstance(error, StoppedError) else "failed"
            cost = summed_cost(folder, earlier + time.monotonic() - began)
            update_manifest(folder, status=status, cost=cost)
            raise
        cost = summed_cost(folder, earlier + time.monotonic() - began)
        rows = noted_rows(folder)
        update_manifest(folder, status="done", finished=now(), cost=cost, rows=rows)


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
                    train_here(run.folder)
                else:
                    train_in_workers(run.folder, run.config)
    return run.folder


def _same_version(folder: Path, config: Config) -> dict[str, Any]:
    """The manifest, after checking that this code may continue the run."""
    manifest = read_json(folder / MANIFEST)
    theirs = manifest["package_version"]
    if (
        Run(folder).status != "done"
        and theirs != observatory.__version__
        and not config["allow_other_version"]
    ):
        raise StoreError(
            f"{folder} was begun by observatory {theirs}, this is {observatory.__version__}: "
            "numbers could differ. Install that version, choose another `study`, or say "
            "`allow_other_version=true`."
        )
    return manifest


def _same_settings(folder: Path, manifest: dict[str, Any]) -> None:
    """Workers read the settings of the manifest: they are those of the run's identity."""
    if identity(manifest["config"]) != manifest["identity"]:
        raise StoreError(
            f"{folder} has other settings in its {MANIFEST} than those that it was begun with: it "
            "was changed by hand. Restore it from a copy, or choose another `study`."
        )


def _same_examples(folder: Path, manifest: dict[str, Any], parts: Parts) -> None:
    """A task may read a user's file or function, which no setting shows."""
    if manifest["task"].get("examples_sha256") not in (None, parts.dataset.digest()):
        raise StoreError(
            f"{folder} was begun on other examples: the task's table, file or function gives other "
            "inputs or labels now. Give the changed task a name or path of its own, or another "
            "`study`."
        )


def _same_donors(folder: Path, manifest: dict[str, Any], parts: Parts) -> None:
    """Donors and parents are looked up in a study, which may hold other networks now."""
    fork = None if parts.forked is None else parts.forked.described()
    now = donors_of(parts.donated), fork
    if (manifest.get("donors", {}), manifest.get("fork")) != now:
        raise StoreError(
            f"{folder} was begun with other donors or parents: the study that they are of has "
            "changed. Choose another `study` for this run."
        )
