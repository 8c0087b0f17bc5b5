"""A component from its entry in a configuration: a `_target_` and the settings that it declares."""

import re
from collections.abc import Mapping
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.settings import checked
from observatory.core.signatures import declared_by

_REMOVE = " If an experiment sets it, remove it by `~GROUP.NAME`, GROUP being task, model, ..."
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
            raise ConfigError(
                f"`{unknown[1]}` is no setting of {entry['_target_']}.{_REMOVE}"
            ) from error
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
    checked(
        given,
        signature.types,
        owner=target.rpartition(".")[2],
        advice=_REMOVE,
        open_ended=signature.open_ended,
    )
