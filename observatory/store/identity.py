"""Which settings can change a number; the identity of a run; all without reading a table.

`WITHOUT_EFFECT` is the one list of what tells two runs apart only by name, place or display. A
setting that is new and in none of its groups counts as one that can change a number.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.secrets import redacted

SCHEMA_VERSION = 1
"""Version of the store's layout; part of every run's identity."""

OBSERVED = "observed"
"""The `kind` of a manifest of a run whose model and loop are not ours; our own runs have none."""

CHECKPOINTS = "checkpoints"
"""The `source` among the settings of an observed run whose weights were read from files."""

WITHOUT_EFFECT = {
    "study": "a name",
    "results": "a place",
    "experiment": "a name: its settings are all in the configuration",
    "compare": "a name among runs that are compared: its settings are all in the configuration",
    "store": "how often the state is saved, and what of it is kept",
    "mlflow": "what MLflow shows",
    "fit": "what is estimated from the records, not the records",
    "display": "what the terminal shows",
    "launcher": "where the shards run; on which device is said in `fleet`",
    "allow_other_version": "a permission",
}
"""Settings that cannot change a recorded number, each with the reason."""

LAYOUT = ("fleet.size", "fleet.shards", "fleet.threads", "fleet.compile", "fleet.graphs")
"""Settings that change a number by rounding alone: the shape of the stack and its order of sums. A
run with others is another run, of which the replicas are those of the first."""

BEGUN_WITH = {"compile": "off", "graphs": "off", "matmul": "full"}
"""Settings of the fleet that came later, as all runs had them before: these keep their name."""

MODELS_BEGUN_WITH: dict[str, dict[str, str]] = {
    "observatory.models.kan.network.Kan": {"functions": "spline"},
    "observatory.models.mlp.network.Mlp": {"start": "normal"},
    "observatory.models.transformer.network.Transformer": {"attention": "softmax"},
}
"""Settings of models that came later, by class, as all runs had them before."""

PER_REPLICA = ("sweep", "seed", "optimizer.weight_decay", "optimizer.lr")
"""Settings of which every replica has its own value, in `replicas.parquet`."""


def model_begun_with(model: Mapping[str, Any]) -> Mapping[str, str]:
    """The settings that came later of the model that a configuration names."""
    return MODELS_BEGUN_WITH.get(str(model.get("_target_")), {})


def stored_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it is written: no password or token of an address stands in it.

    Raises:
        ConfigError: If one stands in a setting that belongs to the run's identity.
    """
    stored = redacted(dict(config))
    for name, value in stored.items():
        if name not in WITHOUT_EFFECT and value != config[name]:
            raise ConfigError(
                f"`{name}` must hold no password or token, as it is written down with the run, got "
                f"{value}. Keep it out of the settings, in a file or a variable of the environment."
            )
    return stored


def identity(config: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON of every setting that can change a number.

    Args:
        config: Plain values, with every `auto` resolved.
    """
    effective = {key: value for key, value in config.items() if key not in WITHOUT_EFFECT}
    if (effective.get("task") or {}).get("random_labels"):
        effective["labels"] = "own generator"  # before, labels came first from that of the split
    if fleet := effective.get("fleet"):
        effective["fleet"] = {k: v for k, v in fleet.items() if (k, v) not in BEGUN_WITH.items()}
    if model := effective.get("model"):
        begun = model_begun_with(model)
        effective["model"] = {k: v for k, v in model.items() if (k, v) not in begun.items()}
    for name in ("arms", "fork"):
        if not effective.get(name):  # as in all runs before
            effective.pop(name, None)
    canonical = json.dumps(
        {**effective, "schema_version": SCHEMA_VERSION},
        sort_keys=True,
        separators=(",", ":"),
        allow_nan=False,
    )
    return hashlib.sha256(canonical.encode()).hexdigest()
