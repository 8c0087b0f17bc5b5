"""The manifest of a run: what it is, where it came from, what it cost."""

import math
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import observatory
from observatory.core.contracts import Model
from observatory.core.layout import matrices
from observatory.core.secrets import without_secrets
from observatory.fleet.replica_table import ReplicaTable
from observatory.fleet.stack import layout_of
from observatory.maths.norms import parameter_groups
from observatory.store.identity import SCHEMA_VERSION, stored_settings
from observatory.store.provenance import machine, versions
from observatory.store.reader import Run
from observatory.training.build import Parts
from observatory.training.donors import described
from observatory.training.fork import Forked
from observatory.training.replicas import Config
from observatory.training.shard import tables


def replica_columns(
    run_id: str, table: ReplicaTable, config: Config, forked: Forked | None = None
) -> dict[str, Any]:
    """The replicas table: who is in the run, on which shard, with which hyperparameters."""
    columns = {
        "run_id": [run_id] * len(table),
        "replica": table.replica,
        "shard": table.parent % config["fleet"]["shards"],
        "seed": table.seed,
        "weight_decay": table.weight_decay,
        "lr": table.lr,
    }
    if table.n_fresh < len(table):
        columns |= {"arm": list(table.arm), "parent": table.parent}
    if forked is not None:
        columns |= {
            "parent_run": [forked.run.run_id] * len(table),
            "parent_replica": [forked.parents[int(own)] for own in table.parent],
            "parent_step": [forked.step] * len(table),
        }
    return columns


def manifest_of(config: Config, parts: Parts, code: str) -> dict[str, Any]:
    """What the manifest says of a run at its start, all but the state of the code.

    Args:
        config: Resolved.
        parts: Made of it.
        code: Its identity.
    """
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
        "created": now(),
        "finished": None,
        "command": without_secrets(" ".join(sys.argv)),
        "config": stored_settings(config),
        "package_version": observatory.__version__,
        "versions": versions(),
        "machine": machine(config["fleet"]["device"]),
        "threads": config["fleet"]["threads"],
        "dtypes": {
            "parameters": config["fleet"]["dtype"],
            "loss": config["fleet"]["loss_dtype"],
            "probes": "float64",
            **({} if parts.fleet.matmul == "full" else {"products of a step": parts.fleet.matmul}),
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
        "absent_probes": parts.unavailable,
        **({"donors": described(parts.donated)} if parts.donated else {}),
        **({"fork": parts.forked.described()} if parts.forked else {}),
        "probe_examples": parts.probe_examples().tolist(),
        "steps_per_epoch": math.ceil(dataset.n_train / parts.batch_examples),
        "horizon_steps": config["horizon_steps"],
        "fleet": {"shards": config["fleet"]["shards"], "size": config["fleet"]["size"]},
        "tables": {name: [c.to_json() for c in columns] for name, columns in tables(parts).items()},
        "cost": None,
        "rows": None,
    }


def summed_cost(folder: Path, wall_s: float) -> dict[str, Any]:
    """Cost of a run: its wall time, the shards' CPU time, and the share of each purpose."""
    shards = Run(folder).progress()
    totals: dict[str, float] = {}
    for progress in shards:
        for purpose, seconds in progress["cost_s"].items():
            totals[purpose] = totals.get(purpose, 0.0) + seconds
    spent = sum(totals.values()) or 1.0
    return {
        "wall_s": wall_s,
        "cpu_s": sum(progress["cpu_s"] for progress in shards),
        "replica_steps": sum(progress["replica_steps"] for progress in shards),
        "shares": {purpose: seconds / spent for purpose, seconds in sorted(totals.items())},
    }


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
