"""From overrides to plain configurations, with Hydra's errors in our words."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import initialize_config_module
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import ConfigCompositionException, HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from observatory.core.errors import ConfigError
from observatory.core.names import check_folder, check_plain_name
from observatory.core.secrets import without_secrets
from observatory.core.settings import checked
from observatory.launch.overrides import CONF, check_effect, is_group, parsed, replacing, values_of
from observatory.launch.presets import composed as composed_by_hydra
from observatory.store.identity import stored_settings
from observatory.training.check import check_settings

_LISTED = ("mlflow", "launcher", "search", "sweep", "store")
"""Groups whose settings are those of their presets, whatever makes use of them."""
_UNKNOWN = re.compile(r"Could not override '([\w.]+)'")
_OTHER_ARM = re.compile(
    r"Interpolation key 'arms\.([^.']+)[^']*' not found\s+full_key: arms\.([^.\s]+)"
)
_OPTIONAL = {"probe", "event", "arms", "experiment"}


def compose(name: str, overrides: Sequence[str]) -> dict[str, Any]:
    """The configuration `name` of `observatory.conf` with overrides applied, as plain values.

    Args:
        name: Of a file of the top, such as "train" or "map".
        overrides: In Hydra's grammar, such as "experiment=smoke" or "optimizer.lr=0.001".

    Raises:
        ConfigError: If a group, option or key is unknown, a value is missing, or an override cannot
            be read or has no effect.
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
        # The last override of a key holds, as everywhere in Hydra.
        given = {o.get_key_element(): o for o in parsed(overrides)}.values()
        keys = {override.key_or_group for override in given}
        fixed = [str(override.input_line) for override in given if not override.is_sweep_override()]
        lists = [values_of(override) for override in given if override.is_sweep_override()]
        for outer in itertools.product(*lists):
            alone = _composed(name, [*outer, *fixed])
            listed = alone.hydra.sweeper.get("params") or {}
            swept = parsed([f"{key}={values}" for key, values in listed.items()])
            own = [values_of(override) for override in swept if override.key_or_group not in keys]
            for inner in itertools.product(*own):
                chosen = (*outer, *inner)
                run = _composed(name, [*chosen, *fixed]) if inner else alone
                runs[" ".join(chosen)] = plain(run)
    return runs


def compose_block(name: str, block: str, overrides: Sequence[str]) -> dict[str, Any]:
    """One block of a configuration that is no setting of a run, as plain values.

    Args:
        name: Of the configuration.
        block: Its name there.
        overrides: As in `compose`.

    Raises:
        ConfigError: As in `compose`.
    """
    with _conf():
        found = OmegaConf.to_container(_composed(name, overrides)[block], resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


def check_overrides(name: str, overrides: Sequence[str]) -> None:
    """Refuse overrides of which no run can be composed; of each list the first value is tried.

    Args:
        name: As in `compose`.
        overrides: As in `compose`; values that a sweeper draws are left to it.

    Raises:
        ConfigError: As in `compose`.
    """
    with _conf():
        given = parsed(overrides)
        drawn = [o for o in given if o.is_sweep_override() and not o.is_discrete_sweep()]
        plain(_composed(name, [values_of(o)[0] for o in given if o not in drawn]))


def changed_presets(name: str, overrides: Sequence[str]) -> list[str]:
    """What an experiment sets otherwise than a preset that is chosen beside it, as sentences.

    Args:
        name: As in `compose`.
        overrides: As in `compose`.
    """
    with _conf():
        given = {o.key_or_group: o for o in parsed(overrides) if not o.is_sweep_override()}
        groups = [key for key in given if key != "experiment" and is_group(key)]
        if "experiment" not in given or not groups:
            return []
        lines = {key: str(override.input_line) for key, override in given.items()}
        here = _composed(name, list(lines.values()))
        alone = _composed(name, [lines[group] for group in groups])
        return [
            f"{lines['experiment']} sets {key}={value}, where {lines[group]} has {theirs[key]}."
            for group in groups
            for theirs in [dict(_leaves(alone.get(group), group))]
            for key, value in _leaves(here.get(group), group)
            if key in theirs.keys() - given.keys() and value != theirs[key]
        ]


def search_path(folder: Path | None) -> list[str]:
    """The override that adds a folder laid out as `conf/`; none where there is no folder."""
    return [] if folder is None else [f"hydra.searchpath=['file://{folder.resolve()}']"]


def plain(composed: DictConfig) -> dict[str, Any]:
    """Plain values of a composed configuration, with the experiment's name, without Hydra's."""
    names = [str(key) for key in composed if key != "hydra"]
    return ready(OmegaConf.masked_copy(composed, names), composed.hydra)


def ready(composed: DictConfig, hydra: Any) -> dict[str, Any]:
    """Plain values of a configuration without Hydra's part, which is `hydra`.

    `+replicas=[{weight_decay:0.1,seed:3},...]` names the replicas one by one, in place of a sweep.

    Raises:
        ConfigError: If a setting is missing, unknown, of another type, outside its range or without
            effect. Torch is not imported for it.
    """
    values = OmegaConf.to_container(composed, resolve=True, throw_on_missing=True)
    assert isinstance(values, dict)
    config = {str(key): value for key, value in values.items()}
    config["experiment"] = hydra.runtime.choices.get("experiment")
    for block in ("compare", "formulas"):  # of several runs: each arm, or formula, is one
        config.pop(block, None)
    _check_shape(config)
    for name, check in (("study", check_plain_name), ("results", check_folder)):
        value = config[name]
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ConfigError(f"`{name}` must name a folder, got {value!r}. Quote it if need be.")
        config[name] = str(value)
        check(name, config[name])
    named = config.pop("replicas", None)
    config = config if named is None else with_replicas(config, named)
    stored_settings(config)
    check_settings(config)
    typed = list(hydra.overrides.task)
    if named is None:
        check_effect(typed, config)
    of_task = any(text.startswith("modulus=") for text in typed)
    if of_task and "${modulus}" not in OmegaConf.to_yaml(composed):
        raise ConfigError("`modulus` has no effect: this task takes nothing from it.")
    return config


def with_replicas(config: dict[str, Any], named: Any) -> dict[str, Any]:
    """A run's configuration with these replicas in place of its sweep.

    Args:
        config: Plain values.
        named: Axes of every replica, such as weight_decay and seed.

    Raises:
        ConfigError: If it is no list of settings.
    """
    if not isinstance(named, list) or not named or not all(isinstance(n, dict) for n in named):
        raise ConfigError(
            f"`replicas` must be a list such as [{{weight_decay:0.1,seed:3}}], got {named!r}."
        )
    first, *others = named
    alone = {name: [value] for name, value in first.items()}
    sweep = {"scientific": alone, "nuisance": {}, "fixed": {}, "extra": others}
    return {**config, "sweep": sweep}


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
    return _with_known(name, list(replacing(overrides)))


def _with_known(name: str, given: Sequence[str]) -> DictConfig:
    """The configuration; of settings that are none, one is refused with the nearest that is."""
    try:
        return composed_by_hydra(name, given)
    except ConfigCompositionException as error:
        if found := _UNKNOWN.match(str(error)):
            others = [text for text in given if parsed([text])[0].key_or_group != found[1]]
            node, group = _with_known(name, others), ""
            for part in found[1].split("."):
                known = dict.fromkeys((str(key) for key in node if key != "hydra"), Any)
                checked({part: None}, known, group, owner="" if group else "a run")
                node, group = node[part], f"{group}.{part}".lstrip(".")
        raise


@cache
def _known_settings() -> tuple[set[str], set[str]]:
    """All settings of the top, and those that are groups."""
    top = yaml.safe_load((CONF / "train.yaml").read_text("utf-8"))
    groups = {name for entry in top.pop("defaults") if isinstance(entry, dict) for name in entry}
    return (top.keys() - {"hydra"}) | groups, groups


@cache
def _names_of(group: str) -> set[str]:
    """All settings that presets of a group have."""
    presets = [path for path in (CONF / group).iterdir() if path.name.endswith(".yaml")]
    return {
        name
        for preset in presets
        for name in yaml.safe_load(preset.read_text("utf-8"))
        if name != "defaults"
    }


def _check_shape(config: Mapping[str, Any]) -> None:
    """Refuse what is no setting or group, and what lacks one that there must be."""
    known, groups = _known_settings()
    checked(config, dict.fromkeys(known | {"search", "replicas"}, Any), owner="a run")
    for name in sorted(known - config.keys() - _OPTIONAL):
        raise ConfigError(f"`{name}` must be given, and is missing. Leave `~{name}` out.")
    for group in sorted(groups - {"experiment"} & config.keys()):
        if not isinstance(config[group], Mapping) and (group, config[group]) != ("launcher", None):
            raise ConfigError(
                f"`{group}` must name a preset, or have settings by name, got {config[group]!r}."
                + f" For none write `{group}=[]`." * (group in _OPTIONAL)
            )
    for group in _LISTED:
        types = dict.fromkeys(_names_of(group), Any)
        checked(config.get(group) or {}, types, group, complete=group in ("sweep", "store"))
    for name, entry in config.get("probe", {}).items():
        checked(entry, {"probe": Any, "schedule": Any}, f"probe.{name}", complete=True)


def _leaves(node: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Settings below a node by their dotted names, references as they are written."""
    if isinstance(node, DictConfig):
        node = OmegaConf.to_container(node, resolve=False)
    if not isinstance(node, Mapping):
        yield name, node
    else:
        for key, value in node.items():
            yield from _leaves(value, f"{name}.{key}")


def _readable(error: Exception) -> str:
    """The error and its cause without the search path that Hydra appends."""
    if found := _OTHER_ARM.search(str(error)):
        other, own = found.groups()
        return (
            f"`arms` must have {other} too, from which {own} takes settings. Choose both, such as "
            f"arms=[{other},{own}]."
        )
    text = str(error).split("\n\nConfig search path")[0].split("\nConfig search path")[0]
    cause = f" ({error.__cause__})" if error.__cause__ and str(error.__cause__) not in text else ""
    return f"the configuration cannot be composed: {text}{cause}".replace("\n", " ")
