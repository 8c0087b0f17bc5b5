"""What the manifest of an observed run says, and which training is which."""

import hashlib
import json
import math
import numbers
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import torch
from torch import nn

import observatory
from observatory.core.errors import ConfigError
from observatory.core.secrets import redacted, without_secrets
from observatory.events.claim import Claim
from observatory.store.identity import OBSERVED, SCHEMA_VERSION
from observatory.store.provenance import machine, versions
from observatory.store.schema import REPLICA_COLUMNS

HEAD = ("seed", "weight_decay", "lr")
"""Settings that every table of replicas has a column for."""
_RESERVED = frozenset(column.name for column in REPLICA_COLUMNS) - set(HEAD)


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The user's hyperparameters as plain values, nested ones by dotted names.

    Raises:
        ConfigError: If one is no number, text, truth or null, or has the name of a key.

    Example:
        >>> plain_settings({"weight_decay": 0.1, "model": {"width": 64}})
        {'weight_decay': 0.1, 'model.width': 64}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= {f"{name}.{inner}": v for inner, v in plain_settings(value).items()}
        elif isinstance(value, bool | str | None):
            found[str(name)] = value
        elif isinstance(value, numbers.Integral):
            found[str(name)] = int(value)
        elif isinstance(value, numbers.Real) and math.isfinite(float(value)):
            found[str(name)] = float(value)
        else:
            raise ConfigError(
                f"`settings` must hold numbers, texts, truths and nulls, got {name} = {value!r}. "
                "Give what tells this training from others, as plain values."
            )
    if wrong := sorted(_RESERVED & found.keys()):
        raise ConfigError(f"`settings` must not hold {wrong}: the store has columns of that name.")
    if not isinstance(found.get("seed", 0), int):
        raise ConfigError(f"`seed` must be a whole number, got {found['seed']!r}.")
    return redacted(found)


def numeric(settings: Mapping[str, Any]) -> dict[str, float | int]:
    """Those that are numbers."""
    return {
        name: value
        for name, value in settings.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }


def replica_row(settings: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The table of the one replica: every setting that is a number is a column.

    Weight decay and learning rate are NaN, and the seed 0, where they were not given.
    """
    given = numeric(settings)
    head = {"seed": int(given.get("seed", 0))}
    head |= {name: float(given.get(name, math.nan)) for name in ("weight_decay", "lr")}
    others = {name: float(value) for name, value in given.items() if name not in HEAD}
    return {name: [value] for name, value in ({"replica": 0, "shard": 0} | head | others).items()}


def identity_of(settings: Mapping[str, Any], model: nn.Module) -> str:
    """SHA-256 of what tells one training of a study from another: settings and shapes of weights.

    Probes, schedules and the batch are not in it: with others, a training does not become another.
    """
    shapes = {name: list(value.shape) for name, value in model.named_parameters()}
    said = {
        "kind": OBSERVED,
        "settings": dict(settings),
        "shapes": shapes,
        "version": SCHEMA_VERSION,
    }
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def manifest_of(
    study: str,
    model: nn.Module,
    settings: Mapping[str, Any],
    identity: str,
    about: Mapping[str, Any],
    claims: Mapping[str, Claim],
) -> dict[str, Any]:
    """What a manifest says at the start; tables, horizon and cost come as they are known.

    Args:
        study: Name of the folder.
        model: The network itself.
        settings: The user's, as of `plain_settings`.
        identity: Of the run.
        about: Schedule, budget and options of the looks.
        claims: Events by name.
    """
    parameters = dict(model.named_parameters())
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in parameters.values()})
    texts = {k: v for k, v in settings.items() if k not in numeric(settings)}
    events = {name: claim.to_json() for name, claim in claims.items()}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": OBSERVED,
        "run_id": identity[:12],
        "identity": identity,
        "study": study,
        "experiment": None,
        "status": "running",
        "created": now(),
        "finished": None,
        "command": without_secrets(" ".join(sys.argv)),
        "config": {"event": events, "probe": dict(about), **({"settings": texts} if texts else {})},
        "settings": dict(settings),
        "package_version": observatory.__version__,
        "versions": versions(),
        "machine": machine(str(next((p.device for p in parameters.values()), "cpu"))),
        "threads": torch.get_num_threads(),
        "dtypes": {"parameters": ", ".join(kinds), "probes": "float64"},
        "model": {
            "name": type(model).__name__,
            "n_params": sum(p.numel() for p in parameters.values()),
            "layout": [{"name": n, "shape": list(p.shape)} for n, p in parameters.items()],
            "hooks": [],
        },
        "groups": [],
        "matrices": [],
        "absent_probes": {},
        "steps_per_epoch": None,
        "horizon_steps": 0,
        "tables": {},
        "git": {"commit": None, "dirty": None},
        "cost": None,
        "rows": None,
    }


def now() -> str:
    """The present moment, ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def plain_only(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a framework holds as settings, the plain values."""
    kinds = (bool, str, int, float)
    return {str(name): value for name, value in settings.items() if isinstance(value, kinds)}


def optimizer_settings(optimizer: torch.optim.Optimizer | None) -> dict[str, float]:
    """Learning rate and weight decay of an optimizer, the largest over its groups."""
    groups = [] if optimizer is None else optimizer.param_groups
    found: dict[str, float] = {}
    if groups and all("lr" in group for group in groups):
        # of a schedule, what it starts from: the same at the resume
        found["lr"] = max(float(group.get("initial_lr", group["lr"])) for group in groups)
    if groups and all("weight_decay" in group for group in groups):
        found["weight_decay"] = max(float(group["weight_decay"]) for group in groups)
    return found
