"""The settings of a run, checked before torch is imported: names, types, ranges.

What needs the objects themselves (a group's laws, a network that must see an order) is checked when
they are made, by `build`.
"""

from collections.abc import Mapping
from typing import Any, Literal

from observatory.core.errors import ConfigError
from observatory.core.settings import (
    NotNegative,
    Seed,
    Share,
    Size,
    Threads,
    checked,
    declared,
    known_name,
)
from observatory.fleet.settings import (
    SERIES,
    EvaluationSettings,
    FleetSettings,
    RetirementRules,
)
from observatory.training.components import check_component, make
from observatory.training.device import check_device
from observatory.training.fork_settings import fork_settings
from observatory.training.keep import state_settings
from observatory.training.replicas import Config, replica_table

_BESIDE = ("batch_size", "decay", "study_seed")
"""Settings of the fleet that stand outside of its group."""
_FLEET, _RULES = declared(FleetSettings), declared(RetirementRules)
_SHARED = {
    "train_fraction": Share,
    "batch_size": _FLEET["batch_size"],
    "horizon_steps": _RULES.pop("horizon_steps"),
    "modulus": int,
    "allow_other_version": bool,
    "seed": Seed,
    "fork": dict[str, Any] | None,
}
_NUMBERS = float | list[float]
_GROUPS = {
    "evaluation": declared(EvaluationSettings),
    "retirement": _RULES,
    "fleet": {
        **{name: kind for name, kind in _FLEET.items() if name not in _BESIDE},
        "threads": Threads,
        "shards": Size | Literal["auto"],
        "compile": Literal["on", "off", "auto"],
        "graphs": Literal["on", "off", "auto"],
    },
    "optimizer": {
        "update": Any,
        "decay": _FLEET["decay"],
        "weight_decay": _NUMBERS,
        "lr": _NUMBERS,
    },
    "store": {
        "checkpoint_every": Size,
        "progress_every": NotNegative,
        "final_weights": bool,
        "states": dict[str, Any] | None,
    },
}
"""What the settings of each group must be."""
_NEEDED_EVENTS = ("mem", "first99", "held99")


def check_settings(config: Config) -> None:
    """Refuse a configuration with a mistake that can be seen without torch.

    Args:
        config: Plain values; `auto` is allowed.

    Raises:
        ConfigError: If a setting is unknown, of another type, or outside its range.
    """
    checked(config, _SHARED, open_ended=True)
    for group, types in _GROUPS.items():
        checked(config.get(group, {}), types, group, complete=group != "store")
    check_device(config["fleet"]["device"])
    for entry in (config["task"], config["model"], config["loss"], config["optimizer"]["update"]):
        check_component(entry)
    for entry in config.get("probe", {}).values():
        check_component(entry["probe"])
        make(entry["schedule"])
    replica_table(config)
    state_settings(config)
    fork_settings(config)
    _check_together(config)


def check_layout(fleet: Mapping[str, Any]) -> None:
    """Refuse a layout that breaks a rule.

    Raises:
        ConfigError: If one does.
    """
    checked(fleet, _GROUPS["fleet"], "fleet")


def evaluation_settings(config: Config) -> EvaluationSettings:
    """When evaluation looks, and at what."""
    given = config["evaluation"]
    return EvaluationSettings(
        every=given["every"],
        subset=given["subset"],
        full=None if given["full"] is None else make(given["full"]),
        chunk=given["chunk"],
    )


def fleet_settings(config: Config) -> FleetSettings:
    """The layout of the stack and the precision of its numbers."""
    given = config["fleet"]
    return FleetSettings(
        size=given["size"],
        batch_size=config["batch_size"],
        dtype=given["dtype"],
        loss_dtype=given["loss_dtype"],
        matmul=given["matmul"],
        path=given["path"],
        compile=given["compile"],
        graphs=given["graphs"],
        decay=config["optimizer"]["decay"],
        device=given["device"],
        probe_examples=given["probe_examples"],
        probe_buffer=given["probe_buffer"],
        study_seed=config["seed"],
    )


def retirement_rules(config: Config) -> RetirementRules:
    """When a replica leaves."""
    return RetirementRules(horizon_steps=config["horizon_steps"], **config["retirement"])


def _check_together(config: Config) -> None:
    """Rules that concern several settings at once."""
    evaluation, rules = evaluation_settings(config), retirement_rules(config)
    horizon = rules.horizon_steps
    _check_matmul(config["fleet"])
    if horizon % evaluation.every:
        raise ConfigError(
            f"`horizon_steps` must be a multiple of `evaluation.every`, got {horizon} and "
            f"{evaluation.every}. The last look must fall on the horizon."
        )
    events = {name: make(entry) for name, entry in config.get("event", {}).items()}
    for name, event in events.items():
        known_name(f"event.{name}.series", getattr(event, "series", None), SERIES)
    if missing := [name for name in _NEEDED_EVENTS if name not in events]:
        raise ConfigError(f"`event` must include {list(_NEEDED_EVENTS)}, missing {missing}.")


def _check_matmul(fleet: Mapping[str, Any]) -> None:
    if fleet["matmul"] == "full":
        return
    if fleet["dtype"] != "float32":
        raise ConfigError(
            f"`fleet.matmul` must be full where `fleet.dtype` is {fleet['dtype']}, got "
            f"{fleet['matmul']}: tf32 and bf16 round products of float32. Set fleet.dtype=float32."
        )
    if fleet["matmul"] == "bf16" and fleet["path"] != "generic":
        raise ConfigError(
            "`fleet.matmul` = bf16 needs fleet.path=generic: the fast path adds within its "
            "products, which would also round sums, such as the residual stream. Set both."
        )
