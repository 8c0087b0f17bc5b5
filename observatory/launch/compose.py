"""From overrides to plain configurations, with Hydra's errors in our words."""

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from observatory.core.errors import ConfigError
from observatory.core.secrets import without_secrets
from observatory.core.settings import fits
from observatory.store.identity import stored_settings
from observatory.training.check import check_settings


def compose(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration `name` of `observatory.conf` with overrides applied, as plain values.

    Args:
        name: "train" or "map".
        overrides: In Hydra's grammar, such as "experiment=smoke" or "optimizer.lr=0.001".

    Raises:
        ConfigError: If a group, option or key is unknown or a value is missing.
    """
    with _conf():
        return plain(_composed(name, overrides))


def compose_runs(name: str, overrides: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The configuration of every run that an experiment consists of, by what sets it apart.

    An experiment of several runs lists them in `hydra.sweeper.params`, as Hydra's own multirun
    reads it: `params: {model: "small,medium"}` is two runs. An override replaces the list of its
    key: with `model=small` one is left, and `model=small,large` is another list.

    Args:
        name: As in `compose`.
        overrides: As in `compose`; they apply to every run.

    Returns:
        Configurations by the overrides that chose them, "model=small task=add"; one run: by "".

    Raises:
        ConfigError: As in `compose`, and if a list cannot be counted out.
    """
    runs: dict[str, dict[str, Any]] = {}
    with _conf():
        parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
        # The last override of a key holds, as everywhere in Hydra.
        given = {o.get_key_element(): o for o in parser.parse_overrides(list(overrides))}.values()
        keys = {override.key_or_group for override in given}
        fixed = [str(override.input_line) for override in given if not override.is_sweep_override()]
        lists = [_values(override) for override in given if override.is_sweep_override()]
        for outer in itertools.product(*lists):
            listed = _composed(name, [*outer, *fixed]).hydra.sweeper.get("params") or {}
            swept = parser.parse_overrides([f"{key}={values}" for key, values in listed.items()])
            for inner in itertools.product(
                *(_values(o) for o in swept if o.key_or_group not in keys)
            ):
                chosen = (*outer, *inner)
                runs[" ".join(chosen)] = plain(_composed(name, [*chosen, *fixed]))
    return runs


def search_path(folder: Path | None) -> list[str]:
    """The override that adds a folder laid out as `conf/`; none where there is no folder."""
    return [] if folder is None else [f"hydra.searchpath=['file://{folder.resolve()}']"]


def _values(override: Override) -> list[str]:
    """An override for each value that one lists."""
    key = override.get_key_element()
    if not override.is_sweep_override():
        return [f"{key}={override.get_value_element_as_str()}"]
    if not override.is_discrete_sweep():
        raise ConfigError(
            f"`{key}` must list its values, such as a,b, got {override.input_line!r}. Sweepers "
            "that draw values run with `-m`."
        )
    return [f"{key}={value}" for value in override.sweep_string_iterator()]


def plain(composed: DictConfig) -> dict[str, Any]:
    """Plain values of a composed configuration, with the experiment's name, without Hydra's."""
    experiment = composed.hydra.runtime.choices.get("experiment")
    names = [str(key) for key in composed if key != "hydra"]
    return ready(OmegaConf.masked_copy(composed, names), experiment)


def ready(composed: DictConfig, experiment: str | None) -> dict[str, Any]:
    """Plain values of a configuration without Hydra's part.

    `+replicas=[{weight_decay:0.1,seed:3},...]` names the replicas one by one, in place of a sweep.

    Raises:
        ConfigError: If a setting is missing, unknown, of another type or outside its range. Torch
            is not imported for it.
    """
    values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    config = {**{str(key): value for key, value in values.items()}, "experiment": experiment}
    for name in ("study", "results"):
        if not fits(value := config[name], str | int):
            raise ConfigError(f"`{name}` must name a folder, got {value!r}. Quote it if need be.")
        config[name] = str(value)
    named = config.pop("replicas", None)
    config = config if named is None else with_replicas(config, named)
    stored_settings(config)
    check_settings(config)
    return config


def with_replicas(config: dict[str, Any], named: list[dict[str, Any]]) -> dict[str, Any]:
    """A run's configuration with these replicas in place of its sweep.

    Args:
        config: Plain values.
        named: Axes of every replica, such as weight_decay and seed.
    """
    first, *others = named
    alone = {name: [value] for name, value in first.items()}
    return {
        **config,
        "sweep": {"scientific": alone, "nuisance": {}, "fixed": {}, "extra": others},
    }


@contextmanager
def _conf() -> Iterator[None]:
    """Hydra's search path on `observatory.conf`, and its errors in our words."""
    GlobalHydra.instance().clear()
    try:
        with initialize_config_module("observatory.conf", version_base="1.3"):
            yield
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(without_secrets(_readable(error))) from error


def _composed(name: str, overrides: Sequence[str]) -> DictConfig:
    return hydra_compose(name, list(overrides), return_hydra_config=True)


def _readable(error: Exception) -> str:
    """The error and its cause without the search path that Hydra appends."""
    text = str(error).split("\n\nConfig search path")[0].split("\nConfig search path")[0]
    cause = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) not in text else ""
    return f"the configuration cannot be composed: {text}{cause}".replace("\n", " ")
