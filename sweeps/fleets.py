"""The runs of a search: what they share, and the configuration of one batch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.study import Study
from optuna.trial import FrozenTrial

from observatory.core.errors import ConfigError
from observatory.core.settings import did_you_mean
from observatory.launch.compose import with_replicas
from observatory.launch.run import described
from observatory.sweeps.journal import ASKED
from observatory.sweeps.rule import CONTROL, LR, Rule
from observatory.sweeps.sampler import SEED

Config = dict[str, Any]

ABOUT = "about"
"""User attribute of the study: the settings that hold for all of its runs."""


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


def check_same(study: Study, folder: Path, about: Config) -> None:
    """Note the settings of a search that begins; refuse others for one that goes on.

    Args:
        study: Of the search.
        folder: Where it is, for the message.
        about: Settings that hold for all of its runs.

    Raises:
        ConfigError: If it was begun with others.
    """
    ours = flat(json.loads(json.dumps(about)))
    if ABOUT not in study.user_attrs:
        study.set_user_attr(ASKED, 0)
        study.set_user_attr(ABOUT, ours)
    theirs = study.user_attrs[ABOUT]
    if other := sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)):
        key = other[0]
        raise ConfigError(
            f"`{folder}` holds a search of another configuration: `{key}` is "
            f"{theirs.get(key)!r} there and {ours.get(key)!r} now"
            f"{f', and {len(other) - 1} more differ' if len(other) > 1 else ''}. Choose "
            "another `study`, or give what it was begun with."
        )


def with_setting(config: Config, name: str, value: object, *, inside: str = "") -> Config:
    """A configuration with another value of a setting.

    Args:
        config: It.
        name: Of the setting, dotted.
        value: The other value.
        inside: What stands before the name, of a configuration that is part of another.

    Raises:
        ConfigError: If there is no such setting.

    Example:
        >>> with_setting({"model": {"d_model": 32}, "seed": 0}, "model.d_model", 64)
        {'model': {'d_model': 64}, 'seed': 0}
    """
    head, _, rest = name.partition(".")
    if head not in config or isinstance(config[head], dict) != bool(rest):
        whole, names = inside + name, [inside + key for key in config]
        known = [f"{n}." if isinstance(config[key], dict) else n
                 for n, key in zip(names, config, strict=True)]  # fmt: skip
        raise ConfigError(
            f"There is no setting `{whole}` among {sorted(known)}.{did_you_mean(whole, names)}"
        )
    if rest:
        value = with_setting(config[head], rest, value, inside=f"{inside}{head}.")
    return {**config, head: value}


def shared_settings(config: Config, rule: Rule) -> Config:
    """What all runs of a search share, once it was checked that every one can be trained.

    Raises:
        ConfigError: If a setting breaks its rule, also one that the second control gives.
    """
    if rule.second is not None and (name := rule.second["name"]) != LR:
        try:
            configs = [with_setting(config, name, value) for value in rule.second["values"]]
        except ConfigError as error:
            raise ConfigError(f"`search.second.name` must name a setting. {error}") from None
        runs = [described(each, rule.event) for each in configs]
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
