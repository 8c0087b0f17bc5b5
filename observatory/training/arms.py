"""The arms of a run, from its configuration."""

from collections.abc import Iterable, Mapping
from typing import Any

from observatory.core.contracts import Probe
from observatory.core.errors import ConfigError
from observatory.core.names import check_plain_name
from observatory.core.settings import NotNegative, checked, known_name
from observatory.fleet.replica_table import NO_ARM
from observatory.fleet.settings import SERIES
from observatory.interventions.arm import Arm
from observatory.interventions.contract import Hold, Intervention, OnPart
from observatory.interventions.moments import AtEvent, AtPeak, AtStep, Moment, plain
from observatory.interventions.parts import PartNames
from observatory.training.components import make
from observatory.training.fork_settings import fork_settings

_TYPES = {
    "intervention": dict[str, Any],
    "moment": dict[str, Any],
    "strength": NotNegative,
    "control": str | None,
}


def arms_of(
    config: Mapping[str, Any], parts: PartNames, probes: Iterable[Probe], modulus: int | None
) -> dict[str, Arm]:
    """The arms by name, checked; none where the configuration has none.

    Args:
        config: Resolved.
        parts: What the network's entries are called.
        probes: That look at the networks.
        modulus: As of `HasModulus`, of the task.

    Raises:
        ConfigError: If a setting is unknown, of another type or out of range, the network has no
            such part, or a moment can never come.
    """
    given = config.get("arms") or {}
    columns = [column for probe in probes for column in probe.columns]
    signals = [column.name for column in columns if not column.dims and column.dtype != "string"]
    arms: dict[str, Arm] = {}
    for name, settings in given.items():
        arms[name] = arm = _arm(name, settings)
        for moment in plain(arm.moment):
            _check_moment(f"arms.{name}.moment", moment, config, signals)
        if isinstance(arm.intervention, Hold) and config["fleet"].get("graphs") == "on":
            raise ConfigError(f"`fleet.graphs` must be off: `arms.{name}` acts after every step.")
        if isinstance(arm.intervention, OnPart):
            arm.intervention.check(parts, modulus)
    return arms


def _arm(name: str, given: Any) -> Arm:
    check_plain_name(f"arms.{name}", name)
    if name == NO_ARM:
        raise ConfigError(f"`arms.{name}` must have another name: it is that of the replicas.")
    given = {"control": None, **given}  # in runs that were begun before there was one
    checked(given, _TYPES, f"arms.{name}", complete=True)
    if given["control"] == name:
        raise ConfigError(f"`arms.{name}.control` must be another arm, got {name}. Or null: none.")
    moment, intervention = make(given["moment"]), make(given["intervention"])
    if not isinstance(moment, Moment):
        raise ConfigError(f"`arms.{name}.moment` must be a moment, got {type(moment).__name__}.")
    if not isinstance(intervention, Intervention):
        got = type(intervention).__name__
        raise ConfigError(f"`arms.{name}.intervention` must be an intervention, got {got}.")
    if given["strength"] > intervention.strongest:
        raise ConfigError(
            f"`arms.{name}.strength` must be at most {intervention.strongest:g}, got "
            f"{given['strength']:g}."
        )
    return Arm(intervention, moment, float(given["strength"]), given["control"])


def _check_moment(
    setting: str, moment: Moment, config: Mapping[str, Any], signals: list[str]
) -> None:
    """Refuse a moment that can never come."""
    horizon, every = config["horizon_steps"], config["evaluation"]["every"]
    if isinstance(moment, AtEvent):
        known_name(f"{setting}.event", moment.event, config.get("event", {}))
    if isinstance(moment, AtEvent | AtPeak) and moment.after >= horizon:
        raise ConfigError(
            f"`{setting}.after` must be below `horizon_steps`, got {moment.after} and {horizon}."
        )
    if isinstance(moment, AtPeak):
        known_name(f"{setting}.signal", moment.signal, [*SERIES, *signals])
        if signals.count(moment.signal) > 1:
            raise ConfigError(
                f"`{setting}.signal` must be a column of one probe, and {moment.signal} is one of "
                "several. Leave one of them out."
            )
    if isinstance(moment, AtStep) and (moment.step >= horizon or moment.step % every):
        raise ConfigError(
            f"`{setting}.step` must be a multiple of `evaluation.every` below `horizon_steps`, "
            f"got {moment.step}, {every} and {horizon}: arms part at a look."
        )
    fork = fork_settings(config)
    if isinstance(moment, AtStep) and fork is not None and moment.step <= fork.step:
        first = (fork.step // every + 1) * every
        raise ConfigError(
            f"`{setting}.step` must be above `fork.step`, got {moment.step} and {fork.step}: the "
            f"first look is after it. Set `{setting}.step` to {first}, that look, or later."
        )
