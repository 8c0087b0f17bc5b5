"""A configuration as Hydra composes it, where what its presets make is composed once in a process.

Hydra reads some sixty files for a configuration. Values are set on a copy of what the presets make.
"""

import os
import pickle
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from hydra import compose
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from observatory.launch.overrides import CONF, is_group, parsed


def composed(name: str, overrides: Sequence[str]) -> DictConfig:
    """What Hydra composes, with its own part `hydra`; Hydra is initialised.

    Of that part only `runtime.choices`, `overrides` and what presets and overrides set is sure.

    Args:
        name: Of a file of the top of `observatory.conf`.
        overrides: In Hydra's grammar.

    Raises:
        HydraException: As by Hydra, and in its words.
    """
    given = parsed(overrides)
    lines = [str(override.input_line) for override in given]
    if all(_is_plain(override) for override in given):
        chosen = [o for o in given if is_group(o.key_or_group)]
        presets = tuple(str(override.input_line) for override in chosen)
        config = pickle.loads(_of_presets(name, presets, changes(Path(str(CONF)))))
        if _set(config, (override for override in given if override not in chosen)):
            config.hydra.overrides.task = lines
            return config
    return compose(name, lines, return_hydra_config=True)


def changes(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Files of a folder with their size and when they changed: another one where any of it has."""
    paths = (os.path.join(at, file) for at, _, files in os.walk(folder) for file in files)
    states = ((path, os.stat(path)) for path in sorted(paths))
    return tuple((path, state.st_size, state.st_mtime_ns) for path, state in states)


@lru_cache(maxsize=64)
def _of_presets(
    name: str, presets: tuple[str, ...], _files: tuple[tuple[str, int, int], ...]
) -> bytes:
    """The configuration that presets make alone; a copy from bytes takes a fifth of another one."""
    return pickle.dumps(compose(name, [*presets], return_hydra_config=True))


def _is_plain(override: Override) -> bool:
    """Whether it chooses presets or sets a value, and Hydra's own settings stay as they are."""
    key = override.key_or_group
    if override.is_sweep_override() or override.package is not None:
        return False
    if key.split(".")[0] == "hydra" or "/" in key:
        return False
    if override.is_delete():
        return "." in key and override.value() is None
    return not (is_group(key) and isinstance(override.value(), dict))


def _set(config: DictConfig, values: Iterable[Override]) -> bool:
    """Set and remove values one after another, by Hydra's rules; False where one cannot be."""
    for override in values:
        key, value = override.key_or_group, override.value()
        adds, forces = override.is_add(), override.is_force_add()
        try:
            there = OmegaConf.select(config, key, throw_on_missing=False)
            if override.is_delete():
                if there is None:
                    return False
                block, _, name = key.rpartition(".")
                with open_dict(config):
                    del OmegaConf.select(config, block)[name]
                continue
            if adds and there is not None and not isinstance(value, dict | list):
                return False
            OmegaConf.update(config, key, value, merge=True, force_add=adds or forces)
        except OmegaConfBaseException:
            return False
    return True
