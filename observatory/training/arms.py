"""The arms of a run, from its configuration."""

from collections.abc import Mapping
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.names import check_plain_name
from observatory.core.settings import NotNegative, checked, known_name
from observatory.fleet.replica_table import NO_ARM
from observatory.interventions.arm import Arm
from observatory.interventions.contract import Act, Hold
from observatory.interventions.moments import AtEvent, AtStep, Moment
from observatory.interventions.parts import PartNames
from observatory.training.components import make

_TYPES = {
    "intervention": dict[str, Any],
    "moment": dict[str, Any],
    "strength": NotNegative,
    "control": str | None,
}


def arms_of(config: Mapping[str, Any], parts: PartNames) -> dict[str, Arm]:
    """The arms by name, checked; none where the configuration has none.

    Args:
        config: Resolved.
        parts: What the network's entries are called.

    Raises:
        ConfigError: If a setting is unknown, of another type or out of range, the network has no
            such part, or a moment can never come.
    """
    given = config.get("arms") or {}
    return {name: _arm(name, arm, config, parts) for name, arm in given.items()}


def _arm(name: str, given: Any, config: Mapping[str, Any], parts: PartNames) -> Arm:
    check_plain_name(f"arms.{name}", name)
    if name == NO_ARM:
        raise ConfigError(f"`arms.{name}` must have another name: it is that of the replicas.")
    given = {"control": None, **given}  # in runs that were begun before there was one
    checked(given, _TYPES, f"arms.{name}", complete=True)
    if given["control"] == name:
        raise ConfigError(f"`arms.{name}.control` must be another arm, got {name}. Or null: none.")
    moment, intervention = make(given["moment"]), make(given["intervention"])
    horizon, every = config["horizon_steps"], config["evaluation"]["every"]
    if not isinstance(moment, Moment):
        raise ConfigError(f"`arms.{name}.moment` must be a moment, got {type(moment).__name__}.")
    if isinstance(moment, AtEvent):
        known_name(f"arms.{name}.moment.event", moment.event, config.get("event", {}))
    if isinstance(moment, AtStep) and (moment.step >= horizon or moment.step % every):
        raise ConfigError(
            f"`arms.{name}.moment.step` must be a multiple of `evaluation.every` below "
            f"`horizon_steps`, got {moment.step}, {every} and {horizon}: arms part at a look."
        )
    if isinstance(intervention, Hold) and config["fleet"].get("graphs") == "on":
        raise ConfigError(f"`fleet.graphs` must be off: `arms.{name}` acts after every step.")
    if not isinstance(intervention, Act | Hold):
        got = type(intervention).__name__
        raise ConfigError(f"`arms.{name}.intervention` must be an act or a hold, got {got}.")
    if given["strength"] > intervention.strongest:
        raise ConfigError(
            f"`arms.{name}.strength` must be at most {intervention.strongest:g}, got "
            f"{given['strength']:g}."
        )
    parts.entries(intervention.part)
    return Arm(intervention, moment, float(given["strength"]), given["control"])
