"""What a user typed as overrides: read one by one, and refused where one would have no effect."""

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import HydraException

from observatory.core.errors import ConfigError
from observatory.core.secrets import without_secrets

CONF = files("observatory.conf")
_SEVERAL = ("event", "probe", "fit", "arms")
"""Groups of which several presets may be chosen."""
_SWEPT = {f"optimizer.{axis}": axis for axis in ("weight_decay", "lr")}


def is_group(key: str) -> bool:
    """Whether a key names presets."""
    return "." not in key and (CONF / key).is_dir()


def parsed(overrides: Sequence[str]) -> list[Override]:
    """Overrides in Hydra's grammar.

    Raises:
        ConfigError: If one cannot be read; it says which, and how its value is quoted.
    """
    hydra = GlobalHydra.instance()
    loader = hydra.config_loader() if hydra.is_initialized() else None
    parser = OverridesParser.create(config_loader=loader)
    found: list[Override] = []
    for text in overrides:
        try:
            found.append(parser.parse_override(text))
        except HydraException as error:
            key, equals, value = without_secrets(text).partition("=")
            plain = value.replace('"', "").replace("'", "")
            how = (
                f"""Quote its value, for a shell: '{key}="{plain}"'."""
                if equals
                else "Write KEY=VALUE, +KEY=VALUE or ~KEY."
            )
            raise ConfigError(f"`{key}{equals}{value}` is no override. {how}") from error
    return found


def values_of(override: Override) -> list[str]:
    """An override for each value that one lists.

    Raises:
        ConfigError: If its values cannot be counted out.
    """
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [str(override.input_line)]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"`{key}` must list its values, such as a,b, got {override.input_line!r}. Sweepers "
            "that draw values run with `-m`."
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def replacing(overrides: Sequence[str]) -> Iterator[str]:
    """The overrides, of which one that names a whole component replaces what was there.

    Hydra merges settings by name: those of another class would stay.
    """
    for override in parsed(overrides):
        swept = override.is_sweep_override() or override.is_delete()
        value = "" if swept else override.value()
        kinds = str | list if override.key_or_group in _SEVERAL else str
        if is_group(override.key_or_group) and not isinstance(value, kinds):
            group = override.key_or_group
            raise ConfigError(
                f"`{group}` must name a preset, got {override.input_line}. "
                + (
                    f"Leave one out by naming the others, in brackets: {group}=[...]."
                    if group in _SEVERAL
                    else f"One of your own is a file of DIR/{group}/, with `--config-dir DIR`."
                )
            )
        names = {str(name) for name in value} if isinstance(value, Mapping) else set()
        if "_target_" in names and override.type == OverrideType.CHANGE:
            yield f"~{override.key_or_group}"
            yield f"+{override.input_line}"
        else:
            yield str(override.input_line)


def check_effect(overrides: Sequence[str], config: Mapping[str, Any]) -> None:
    """Refuse an override of what every replica has from the sweep.

    Raises:
        ConfigError: If there is one; it names what to set.
    """
    sweep = config["sweep"]
    base = {**sweep["scientific"], **sweep["nuisance"], **sweep["fixed"]}
    for override in parsed(overrides):
        key = override.key_or_group.removeprefix("sweep.scientific.").removeprefix("optimizer.")
        if "search" in config and override.key_or_group != key == "weight_decay":
            raise ConfigError(
                f"`{override.key_or_group}` has no effect: the search chooses weight decays. Set "
                "`search.low` and `search.high`."
            )
        axis = _SWEPT.get(override.key_or_group)
        if axis and all(axis in block for block in (base, *sweep["extra"])):
            group = next((g for g in ("fixed", "nuisance", "scientific") if axis in sweep[g]), "")
            raise ConfigError(
                f"`{override.key_or_group}` has no effect: the sweep gives every replica its own. "
                f"Set `sweep.{group}.{axis}=[{override.get_value_element_as_str()}]`."
            )


def without_values(arguments: Sequence[str]) -> Iterator[str]:
    """Overrides whose secrets stand in the environment: Hydra writes down what it is given."""
    for place, argument in enumerate(arguments):
        key, _, value = argument.partition("=")
        if without_secrets(value) == value:
            yield argument
        else:
            name = f"OBSERVATORY_SECRET_{place}"
            os.environ[name] = value.strip("'\"")
            yield f"{key}='${{oc.env:{name}}}'"
