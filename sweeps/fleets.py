"""The runs of a search: what they share, and the configuration of one batch."""

from collections.abc import Mapping
from typing import Any

from optuna.trial import FrozenTrial

from observatory.core.errors import ConfigError
from observatory.launch.compose import with_replicas
from observatory.launch.run import described
from observatory.sweeps.rule import CONTROL, LR, Rule
from observatory.sweeps.sampler import SEED

Config = dict[str, Any]


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names.

    Example:
        >>> flat({"task": {"p": 97}, "seed": 0})
        {'task.p': 97, 'seed': 0}
    """
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves |= (
            flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return leaves


def with_setting(config: Config, name: str, value: object) -> Config:
    """A configuration with another value of a setting.

    Example:
        >>> with_setting({"model": {"d_model": 32}, "seed": 0}, "model.d_model", 64)
        {'model': {'d_model': 64}, 'seed': 0}
    """
    head, _, rest = name.partition(".")
    if head not in config or isinstance(config[head], dict) != bool(rest):
        known = sorted(f"{key}." if isinstance(config[key], dict) else key for key in config)
        raise ConfigError(
            f"`search.second.name` names no setting: there is no `{name}` among {known}."
        )
    return {**config, head: with_setting(config[head], rest, value) if rest else value}


def shared_settings(config: Config, rule: Rule) -> Config:
    """What all runs of a search share, once it was checked that every one can be trained.

    Raises:
        ConfigError: If a setting breaks its rule, also one that the second control gives.
    """
    if rule.second is not None and (name := rule.second["name"]) != LR:
        runs = [
            described(with_setting(config, name, value), rule.event)
            for value in rule.second["values"]
        ]
        if runs[0] == runs[1]:
            raise ConfigError(
                f"`search.second.name` is `{name}`, which changes nothing that is recorded. Name a "
                "setting of the model, the task or the optimizer."
            )
    return described(config, rule.event)


def replicas_of(config: Config, batch: list[FrozenTrial]) -> Config:
    """The configuration of a run whose replicas are a batch."""
    rows = [
        {name: t.params[name] for name in (CONTROL, LR, SEED) if name in t.params} for t in batch
    ]
    for name in set(batch[0].params) - {CONTROL, LR, SEED}:
        config = with_setting(config, name, batch[0].params[name])
    return with_replicas(config, sorted(rows, key=lambda row: tuple(row.values())))
