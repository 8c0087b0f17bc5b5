"""What the files of a bundle must be: a stranger wrote them, so all are checked first."""

import json
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from observatory.core.columns import Column
from observatory.core.errors import ConfigError, StoreError
from observatory.core.names import check_plain_name
from observatory.core.settings import checked
from observatory.store.identity import OBSERVED
from observatory.store.parts import PARTS
from observatory.store.reader import MANIFEST, REPLICAS, Study
from observatory.store.schema import to_arrow_schema

ABOUT, SUMS = "bundle.json", "SHA256SUMS"
BUNDLE_VERSION = 1
_SETTINGS_BYTES = 2**25
"""Most bytes of a JSON or YAML file."""
_VALUES_PER_BYTE = 100
"""Most values of a Parquet file for each of its bytes; those of a run have less than 10."""

_RUN = r"runs/[A-Za-z0-9_-]{1,64}"
_FILES = re.compile(
    rf"README\.md|CITATION\.cff|{SUMS}|bundle\.json|report\.html|report/.+|fits\.json|replicas\.csv|"
    rf"weights\.csv|weights/[A-Za-z0-9_-]{{1,64}}/replica-\d+\.safetensors|"
    rf"{_RUN}/(manifest\.json|config\.yaml|environment\.txt|code\.diff|replicas\.parquet)|"
    rf"{_RUN}/shards/\d{{1,6}}/(progress\.json|(\w+/){{1,2}}part-\d+\.parquet)"
)
_TABLE, _COLUMN = re.compile(r"\w+(/\w+)?"), re.compile(r"\w+")

_TEXTS = dict[str, str | int | None]
_ABOUT = {
    "bundle_version": int, "study": str, "schema_version": int, "software": dict[str, str],
    "complete": bool, "runs": list[str], "weights": list[str], "redacted": list[str],
}  # fmt: skip
_MANIFEST = {
    "schema_version": int, "run_id": str, "identity": str, "study": str, "experiment": str | None,
    "status": Literal["running", "done", "failed", "interrupted"], "created": str,
    "finished": str | None, "command": str, "config": dict[str, Any], "package_version": str,
    "versions": dict[str, str], "machine": _TEXTS, "threads": int, "dtypes": dict[str, str],
    "task": dict[str, Any], "model": dict[str, Any], "loss": dict[str, str], "groups": list[str],
    "matrices": list[str], "absent_probes": dict[str, str], "steps_per_epoch": int,
    "horizon_steps": int, "fleet": dict[str, int], "tables": dict[str, list[dict[str, Any]]],
    "git": dict[str, Any], "cost": dict[str, Any] | None,
}  # fmt: skip
_OF_OURS = ("task", "loss", "fleet")
"""Entries that a run of the owner's own model and loop has none of."""
_OBSERVED = {
    **{name: kind for name, kind in _MANIFEST.items() if name not in _OF_OURS},
    "kind": Literal["observed"], "settings": dict[str, Any], "steps_per_epoch": int | None,
}  # fmt: skip
_PARTS = {
    "git": {"commit": str | None, "dirty": bool | None},
    "machine": {"host": str, "device": str},
    "versions": {"python": str},
    "dtypes": {"parameters": str, "loss": str, "probes": str},
    "task": dict.fromkeys(("n_examples", "n_train", "n_val", "n_classes"), int) | {"name": str},
    "model": {"name": str, "n_params": int, "hooks": list[str]},
    "loss": {"name": str, "unit": str},
    "fleet": {"shards": int, "size": int},
    "cost": {"wall_s": float, "cpu_s": float, "replica_steps": int, "shares": dict[str, float]},
    "config": dict.fromkeys(("task", "model", "optimizer", "sweep"), dict[str, Any])
    | {"seed": int},
}
"""What entries of a manifest must hold, and may hold more."""
_CONFIG = {
    "task": {"_target_": str},
    "model": {"_target_": str},
    "optimizer": {"update": dict[str, Any]},
    "sweep": {"scientific": dict[str, Any]},
}
_PROGRESS = {
    **dict.fromkeys(("shard", "finished", "active", "queued", "replica_steps", "steps_left"), int),
    **dict.fromkeys(("updated", "wall_s", "cpu_s"), float),
    "status": str,
    "cells": dict[str, dict[str, int]],
    "cost_s": dict[str, float],
}


def check_bundle(top: Path) -> str:
    """Check all that is in a bundle, which is unpacked and whole; returns the study's name.

    Nothing of it is run or made: of settings the types are looked at, of tables the columns.

    Raises:
        StoreError: If a file is none that `export` writes, or is not what it must be.
    """
    for path in top.rglob("*"):
        name = path.relative_to(top).as_posix()
        if path.is_file() and not _FILES.fullmatch(name):
            raise StoreError(f"the bundle holds {name!r}, which is no file of a bundle.")
    try:
        return _checked(top)
    except ConfigError as error:
        raise StoreError(str(error)) from error
    except RecursionError as error:
        raise StoreError("a file of the bundle is nested too deeply.") from error


def _checked(top: Path) -> str:
    about = _read(top / ABOUT)
    _check(about, {"bundle_version": int}, ABOUT)
    if about["bundle_version"] != BUNDLE_VERSION:
        raise StoreError(
            f"`bundle_version` is {about['bundle_version']}, this version of observatory reads "
            f"{BUNDLE_VERSION}. Install the version that `software` of {ABOUT} names."
        )
    _check(about, _ABOUT, ABOUT)
    check_plain_name("study", about["study"])
    folders = sorted(path for path in (top / "runs").glob("*") if path.is_dir())
    if [path.name for path in folders] != sorted(about["runs"]):
        raise StoreError(f"`runs` of {ABOUT} must be the folders of runs/, got {about['runs']}.")
    for folder in folders:
        _check_run(folder)
    study = Study(top)  # refuses a store of another version, and a bundle without a run
    study.replicas()
    return about["study"]


def _check_run(folder: Path) -> None:
    manifest, name = _read(folder / MANIFEST), f"{folder.name}/{MANIFEST}"
    _check(manifest, {"schema_version": int, "tables": dict}, name)
    observed = manifest.get("kind") == OBSERVED
    _check(manifest, _OBSERVED if observed else _MANIFEST, name)
    if not manifest["identity"].startswith(manifest["run_id"]) or manifest["run_id"] != folder.name:
        raise StoreError(f"{name}: `run_id` must be the folder's name and the identity's start.")
    parts = {n: kinds for n, kinds in _PARTS.items() if n not in (*_OF_OURS, "config", "dtypes")}
    for entry, types in (parts if observed else _PARTS).items():
        if manifest[entry] is not None:
            _check(manifest[entry], types, f"{name}: `{entry}`")
    _check_rows(manifest, name)
    config = manifest["config"]
    if observed:
        _check(config, {"event": dict[str, dict[str, Any]], "probe": dict[str, Any]}, name)
    else:
        _check_config(config, name)
    if config.get("launcher"):
        raise StoreError(f"{name}: `config.launcher` must be empty, as `export` leaves it.")
    for moment in ("created", "finished"):
        _check_moment(manifest[moment], f"{name}: `{moment}`")
    _check_tables(folder, manifest["tables"], name)
    _read_yaml(folder / "config.yaml")
    for path in folder.glob("shards/*/progress.json"):
        _check_progress(_read(path), path.relative_to(folder.parent).as_posix())


def _check_config(config: Mapping[str, Any], name: str) -> None:
    """The settings of a run of ours."""
    for entry, types in _CONFIG.items():
        _check(config[entry], types, f"{name}: `config.{entry}`")
    _check(config["optimizer"]["update"], {"_target_": str}, f"{name}: `config.optimizer.update`")


def _check_rows(said: Mapping[str, Any], where: str) -> None:
    """Counts of rows by shard and table, which an older version did not write."""
    rows = {"rows": said.get("rows") or {}}
    _check(rows, {"rows": dict[str, dict[str, int]]}, where)
    if not all(re.fullmatch("[0-9]{1,9}", shard) for shard in rows["rows"]):
        raise StoreError(f"{where}: `rows` must be by number of the shard, got {list(rows)}.")


def _check_moment(moment: str | None, where: str) -> None:
    try:
        aware = moment is None or datetime.fromisoformat(moment).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise StoreError(f"{where} must be a time with its zone, got {moment!r}.")


def _check_tables(folder: Path, tables: Mapping[str, Any], where: str) -> None:
    """Compare the columns that a manifest declares with the files; no row is read."""
    if lacking := sorted({"evaluation", "outcomes"} - tables.keys()):
        raise StoreError(f"{where}: `tables` must hold {lacking}.")
    schemas = {name: _schema(name, columns, where) for name, columns in tables.items()}
    for path in [folder / REPLICAS, *folder.glob(f"shards/*/**/{PARTS}")]:
        try:
            about = pq.read_metadata(path)
            found = about.schema.to_arrow_schema()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise StoreError(f"`{path.name}` of {folder.name} is no table ({error}).") from error
        groups = [about.row_group(i) for i in range(about.num_row_groups)]
        values = sum(g.column(i).num_values for g in groups for i in range(g.num_columns))
        if max(values, about.num_rows) > _VALUES_PER_BYTE * path.stat().st_size:
            raise StoreError(
                f"`{path.name}` of {folder.name} claims {values:,} values in "
                f"{path.stat().st_size:,} bytes: no run writes such a table."
            )
        if path.name != REPLICAS:
            table = path.parent.relative_to(folder).as_posix().split("/", 2)[2]
            if table not in schemas or set(found.names) != set(schemas[table].names):
                raise StoreError(
                    f"{where} must declare the table `{table}` with the columns {found.names}."
                )


def _schema(name: str, columns: list[dict[str, Any]], where: str) -> pa.Schema:
    try:
        read = [Column.from_json(column) for column in columns]
        if not _TABLE.fullmatch(name) or not all(_COLUMN.fullmatch(c.name) for c in read):
            raise ValueError("a name is not plain")
        for column in read:
            checked(vars(column), {"unit": str, "meaning": str}, open_ended=True)
        return to_arrow_schema(read)
    except (KeyError, TypeError, ValueError, StoreError) as error:
        raise StoreError(
            f"{where}: the columns of the table {name!r} are wrong: {error}"
        ) from error


def _check_progress(progress: Any, where: str) -> None:
    _check(progress, _PROGRESS, where)
    _check_rows({"rows": {"0": progress.get("rows") or {}}}, where)
    for cell in progress["cells"]:
        try:
            float(cell)
        except ValueError:
            raise StoreError(f"{where}: `cells` must be numbers, got {cell!r}.") from None


def _check(values: Any, types: Mapping[str, Any], where: str) -> None:
    """Refuse what lacks one of these settings, or has it of another type."""
    if not isinstance(values, Mapping):
        raise StoreError(f"{where} must have entries by name, got {str(values)[:80]!r}.")
    if lacking := sorted(types.keys() - values.keys()):
        raise StoreError(f"{where} lacks {lacking}.")
    try:
        checked(values, types, open_ended=True)
    except ConfigError as error:
        raise StoreError(f"{where}: {str(error)[:500]}") from error


def _read(path: Path) -> Any:
    """Plain values of a JSON file of a bounded size; refuses numbers that are none."""
    try:
        return json.loads(_text(path), parse_constant=_refuse)
    except ValueError as error:
        raise StoreError(f"`{path.name}` of the bundle is no JSON: {error}.") from error


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number of JSON")


def _read_yaml(path: Path) -> None:
    try:
        found = yaml.safe_load(_text(path))
    except (yaml.YAMLError, ValueError) as error:
        raise StoreError(f"`{path.name}` of the bundle is no YAML.") from error
    if not isinstance(found, Mapping):
        raise StoreError(f"`{path.name}` of the bundle must have settings by name.")


def _text(path: Path) -> str:
    if not path.is_file():
        raise StoreError(f"the bundle lacks `{path.name}` of `{path.parent.name}`.")
    if (size := path.stat().st_size) > _SETTINGS_BYTES:
        raise StoreError(f"`{path.name}` of the bundle has {size:,} bytes, too many for settings.")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise StoreError(f"`{path.name}` of the bundle is no text: {error}.") from error
