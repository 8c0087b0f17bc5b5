"""A run to a longer horizon goes on from a run of the study that stopped at a shorter one."""

import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import observatory
from observatory.core.errors import StoreError
from observatory.launch.layout import shorter_runs
from observatory.store.files import (
    make_folder,
    read_json,
    refused_as_store_error,
    rename_durably,
    temporary_beside,
)
from observatory.store.identity import WITHOUT_EFFECT
from observatory.store.reader import MANIFEST, Run
from observatory.store.rows import noted_rows
from observatory.training.build import Parts
from observatory.training.continued import EarlierShard, write_continued
from observatory.training.replicas import Config

log = logging.getLogger(__name__)


def extended_run(config: Config, parts: Parts) -> dict[str, Any] | None:
    """What a run that is about to begin goes on from, for its manifest; None: from nothing.

    Args:
        config: Of the run, resolved.
        parts: Made of it.
    """
    study = Path(config["results"]) / config["study"]
    for manifest, _ in shorter_runs(config):
        why = _unfit(study / "runs" / manifest["run_id"], manifest, config, parts)
        if not why:
            return {key: manifest[key] for key in ("run_id", "horizon_steps")}
        log.warning("Run `%s` is not continued: %s.", manifest["run_id"], why)
    for run_id, names in _nearest(study, config):
        log.warning(
            "Run `%s` is not continued: beside `horizon_steps` it differs in %s.",
            run_id,
            ", ".join(f"`{name}`" for name in names),
        )
    return None


def continue_shards(folder: Path, manifest: Mapping[str, Any], parts: Parts) -> None:
    """Write the shards of a run that goes on from another, as far as none of them has begun.

    A shard that cannot go on is left to be trained from its start, and it is said why.

    Args:
        folder: Of the run, which this process owns.
        manifest: Of it.
        parts: Made of its configuration.

    Raises:
        StoreError: If a shard cannot be written.
    """
    extends = manifest.get("extends")
    if extends is None:
        return
    before = folder.parent / extends["run_id"]
    noted = noted_rows(before)
    shards = manifest["fleet"]["shards"]
    for shard in range(shards):
        place = folder / "shards" / str(shard)
        if place.exists():
            continue
        earlier = EarlierShard(
            before / "shards" / str(shard), extends["horizon_steps"], noted.get(str(shard), {})
        )
        temporary = temporary_beside(place)
        with refused_as_store_error(place):
            make_folder(place.parent)
            temporary.mkdir()
            try:
                going, kept = write_continued(earlier, shard, shards, temporary, folder.name, parts)
            except StoreError as error:
                shutil.rmtree(temporary)
                log.warning(
                    "Shard %d of run `%s` is not continued but trained from its start: %s.",
                    shard, before.name, error,
                )  # fmt: skip
                continue
            rename_durably(temporary, place)
        log.info("shard %d: %d replicas go on, %d had left", shard, going, kept)


def _unfit(run: Path, manifest: Mapping[str, Any], config: Config, parts: Parts) -> str:
    """Why a run cannot be continued, as a part of a sentence; empty where it can."""
    if Run(run).status != "done":
        shorter = manifest["horizon_steps"]
        return f"it is not done, or has lost rows; `horizon_steps={shorter}` finishes it"
    theirs = manifest["package_version"]
    if theirs != observatory.__version__ and not config["allow_other_version"]:
        return f"observatory {theirs} trained it (`allow_other_version=true` goes on all the same)"
    if manifest["task"].get("examples_sha256") not in (None, parts.dataset.digest()):
        return "its task gave other examples"
    if parts.arms:
        return "it has arms, of which some may part only after its horizon"
    return ""


def _nearest(study: Path, config: Config) -> Iterator[tuple[str, list[str]]]:
    """Of the runs with a shorter horizon the one that differs in fewest settings, and in which."""
    found: list[tuple[list[str], str]] = []
    ours = dict(_leaves(config))
    for path in sorted(study.glob(f"runs/[!.]*/{MANIFEST}")):
        manifest = read_json(path)
        if manifest.get("kind") or manifest["horizon_steps"] >= config["horizon_steps"]:
            continue
        theirs = dict(_leaves(manifest["config"]))
        names = {name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)}
        found.append((sorted(names - {"horizon_steps"}), manifest["run_id"]))
    if found:
        names, run_id = min(found, key=lambda entry: len(entry[0]))
        yield run_id, names


def _leaves(node: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting that can change a number, by its full name."""
    if not isinstance(node, Mapping):
        yield name, node
        return
    for key, value in node.items():
        if name or key not in WITHOUT_EFFECT:
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
