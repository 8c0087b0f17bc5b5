"""The settings of a run, checked before torch is imported: names, types, ranges.

What needs the objects themselves (a group's laws, a network that must see an order) is checked when
they are made, by `build`.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.setting_types import check_types, declared, fits
from observatory.fleet.settings import (
    SERIES,
    EvaluationSettings,
    FleetSettings,
    RetirementRules,
)
from observatory.maths.settings import check_fraction, check_name, check_sizes
from observatory.training.components import check_component, make
from observatory.training.device import check_device
from observatory.training.replicas import Config, replica_table

_SHARED = {
    "train_fraction": float,
    "batch_size": int | None,
    "horizon_steps": int,
    "modulus": int,
    "allow_other_version": bool,
    "seed": int,
}
_LAYOUT = {
    **dict.fromkeys(("size", "threads", "probe_examples", "probe_buffer"), int),
    **dict.fromkeys(("device", "dtype", "loss_dtype", "path"), str),
    "shards": int | str,
}
_OPTIMIZER = {
    "update": Any,
    "decay": str,
    "weight_decay": float | list[float],
    "lr": float | list[float],
}
_STORE = {"checkpoint_every": int, "progress_every": float, "final_weights": bool}
"""Types of settings that no class declares."""
NEEDED_EVENTS = ("mem", "first99", "held99")


def check_settings(config: Config) -> None:
    """Refuse a configuration with a mistake that can be seen without torch.

    Args:
        config: Plain values; `auto` is allowed.

    Raises:
        ConfigError: If a setting is unknown, of another type, or outside its range.
    """
    check_types(_SHARED, config)
    check_fraction(config["train_fraction"])
    retirement = {k: v for k, v in declared(RetirementRules).items() if k != "horizon_steps"}
    for group, types in (
        ("evaluation", declared(EvaluationSettings)),
        ("retirement", retirement),
        ("fleet", _LAYOUT),
        ("optimizer", _OPTIMIZER),
        ("store", _STORE),
    ):
        _check_names(group, config.get(group, {}), set(types) - {"return"})
        check_types(types, config.get(group, {}), f"{group}.")
    check_counts(config["fleet"], "size", "threads")
    if config["fleet"]["shards"] != "auto":
        check_counts(config["fleet"], "shards")
    check_device(config["fleet"]["device"])
    check_sizes(checkpoint_every=config.get("store", {}).get("checkpoint_every", 1))
    fleet_settings(config)
    for entry in (config["task"], config["model"], config["loss"], config["optimizer"]["update"]):
        check_component(entry)
    for entry in config.get("probe", {}).values():
        check_component(entry["probe"])
        make(entry["schedule"])
    replica_table(config)
    _check_together(config)


def check_counts(fleet: Mapping[str, Any], *names: str) -> None:
    """Refuse numbers of slots, threads or shards that are no positive integers.

    Raises:
        ConfigError: If one is.
    """
    for name in names:
        if not fits(fleet[name], int) or fleet[name] < 1:
            raise ConfigError(
                f"`fleet.{name}` must be an integer of at least 1, got {fleet[name]!r}."
            )


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
        path=given["path"],
        decay=config["optimizer"]["decay"],
        device=given["device"],
        probe_examples=given["probe_examples"],
        probe_buffer=given["probe_buffer"],
        study_seed=config["seed"],
    )


def retirement_rules(config: Config) -> RetirementRules:
    """When a replica leaves."""
    return RetirementRules(horizon_steps=config["horizon_steps"], **config["retirement"])


def _check_names(group: str, given: Mapping[str, Any], known: Collection[str]) -> None:
    if not isinstance(given, Mapping):
        raise ConfigError(f"`{group}` must have settings by name, got {given!r}.")
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=len(known), cutoff=0.0)
            raise ConfigError(f"`{group}.{name}` is no setting; those of `{group}` are {near}.")


def _check_together(config: Config) -> None:
    """Rules that concern several settings at once."""
    evaluation, rules = evaluation_settings(config), retirement_rules(config)
    horizon = rules.horizon_steps
    if horizon % evaluation.every:
        raise ConfigError(
            f"`horizon_steps` must be a multiple of `evaluation.every`, got {horizon} and "
            f"{evaluation.every}. The last look must fall on the horizon."
        )
    events = {name: make(entry) for name, entry in config.get("event", {}).items()}
    for name, event in events.items():
        check_name(f"event.{name}.series", event.series, SERIES)
    if missing := [name for name in NEEDED_EVENTS if name not in events]:
        raise ConfigError(f"`event` must include {list(NEEDED_EVENTS)}, missing {missing}.")
