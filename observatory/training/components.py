"""A component from its entry in a configuration: a `_target_` and the settings that it declares."""

import re
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.setting_types import check_types
from observatory.core.signatures import declared_by

_UNKNOWN = re.compile(r"got an unexpected keyword argument '(\w+)'")


def make(entry: Any, **more: Any) -> Any:
    """Instantiate a `_target_`, giving our own errors in place of Hydra's wrapping of them.

    Raises:
        ConfigError: If a setting is unknown or breaks its rule, or it cannot be made.
    """
    import hydra.errors
    import hydra.utils

    check_component(entry)
    try:
        return hydra.utils.instantiate(dict(entry), **more, _convert_="all")
    except hydra.errors.InstantiationException as error:
        cause = error.__cause__
        if isinstance(cause, ConfigError):
            raise cause from None
        if isinstance(cause, TypeError) and (unknown := _UNKNOWN.search(str(cause))):
            raise _no_such_setting(str(entry.get("_target_")), unknown[1], ()) from error
        raise ConfigError(f"`{entry.get('_target_')}` cannot be made: {error}") from error


def check_component(entry: Any) -> None:
    """Check names and types of a `_target_`'s settings, and of what is made for it.

    Nothing of it is imported.

    Raises:
        ConfigError: If it is no component, or a setting is unknown or of another type.
    """
    if not isinstance(entry, Mapping) or "_target_" not in entry:
        raise ConfigError(f"{entry!r} is no component. Give it a `_target_`, or name a preset.")
    for value in entry.values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, Mapping) and "_target_" in inner:
                check_component(inner)
    target = str(entry["_target_"])
    signature = declared_by(target)
    if signature is None:
        return  # said when it is made
    given = {name: value for name, value in entry.items() if not str(name).startswith("_")}
    if not signature.open_ended and (unknown := sorted(set(given) - set(signature.types))):
        raise _no_such_setting(target, unknown[0], signature.types)
    check_types(signature.types, given)


def _no_such_setting(target: str, setting: str, known: Collection[str]) -> ConfigError:
    owner = target.rpartition(".")[2]
    near = get_close_matches(setting, known, n=1)
    meant = f" (`{near[0]}`?)" if near else ""
    return ConfigError(
        f"`{setting}` must not be set: {owner} has no such setting{meant}. If an experiment sets "
        f"it, remove it by `~GROUP.{setting}`, GROUP being task, model, ..."
    )
