"""The settings of fits: files of `conf/fit`, some of their numbers changed, as components."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from functools import cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from observatory.analysis.stats.numbers import checked_numbers
from observatory.core.errors import ConfigError
from observatory.core.settings import checked, known_name
from observatory.core.signatures import defines

STUDY = "study"
"""The node of the numbers that all fits of a study share."""
PACKAGE = "observatory.analysis."
_TRUSTED: ContextVar[frozenset[str]] = ContextVar("trusted", default=frozenset())
"""Classes that a command may make beside ours."""


@cache
def _packaged() -> dict[str, Any]:
    folder = files("observatory.conf").joinpath("fit")
    texts = {
        file.name.removesuffix(".yaml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".yaml")
    }
    return _resolved({name: texts[name] for name in sorted(texts)})


def _resolved(texts: Mapping[str, str]) -> dict[str, Any]:
    """The nodes of YAML files, references to each other replaced by what they name."""
    made: dict[str, Any] = {}
    for name, text in texts.items():
        try:
            made[name] = DictConfig(OmegaConf.create(text))[name]
        except (OmegaConfBaseException, YAMLError, KeyError, TypeError) as error:
            raise ConfigError(f"`fit/{name}.yaml` must hold a node `{name}`: {error}") from error
    try:
        found = OmegaConf.to_container(OmegaConf.create({"fit": made}), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"`conf/fit` cannot be read: {error}") from error
    assert isinstance(found, dict)
    return {str(name): node for name, node in found["fit"].items()}


def fit_nodes(folder: Path | None = None) -> dict[str, dict[str, Any]]:
    """The settings of every fit by the name of its file, shared numbers filled in.

    Args:
        folder: A folder laid out as `conf/`, whose `fit/*.yaml` are added or replace ours.

    Raises:
        ConfigError: If the folder holds no fits, or one of its files does not hold what it should.
    """
    if folder is None:
        return deepcopy(_packaged())
    own = Path(folder) / "fit"
    if not own.is_dir():
        raise ConfigError(f"`config_dir` must hold a folder `fit` of YAML files, got {folder}.")
    ours = files("observatory.conf").joinpath("fit")
    places = [*ours.iterdir(), *sorted(own.glob("*.yaml"))]
    named = [place for place in places if place.name.endswith(".yaml")]
    return _resolved({p.name.removesuffix(".yaml"): p.read_text(encoding="utf-8") for p in named})


@contextmanager
def classes_of(folder: Path | None) -> Iterator[None]:
    """Meanwhile, the fits of a study may be of the classes that a folder's `fit/*.yaml` name.

    The settings that a study stored are never enough for a class outside this package.
    """
    own = folder is not None and any((folder / "fit").glob("*.yaml"))
    nodes = fit_nodes(folder) if own else {}
    token = _TRUSTED.set(frozenset(str(node.get("_target_")) for node in nodes.values()))
    try:
        yield
    finally:
        _TRUSTED.reset(token)


def shared_setting(name: str) -> Any:
    """One of the numbers that all fits of a study share."""
    return _packaged()[STUDY][name]


def draw_seed(asked: int | None) -> int:
    """The seed of all draws: the one asked for, or that of all fits where there is none.

    Raises:
        ConfigError: If it is no whole number of at least 0.

    Example:
        >>> draw_seed(None), draw_seed(7)
        (0, 7)
    """
    return checked_numbers({"seed": shared_setting("seed") if asked is None else asked})["seed"]


def estimators(question: str, folder: Path | None = None) -> dict[str, str]:
    """The estimators of a question, and the name of the file of each.

    Example:
        >>> estimators("boundary")["lsq"]
        'boundary_lsq'
    """
    start = f"{question}_"
    names = [name for name in fit_nodes(folder) if name == question or name.startswith(start)]
    return {name.removeprefix(start): name for name in names}


def settings_of(
    question: str,
    estimator: str | None,
    changes: Mapping[str, Any] | None = None,
    folder: Path | None = None,
) -> tuple[str, dict[str, Any]]:
    """Name and settings of an estimator, some of them changed.

    Args:
        question: Its name.
        estimator: One of `estimators`, or the name of the file.
        changes: Settings by name, instead of those of the file.
        folder: Of configurations of the user's own, laid out as `conf/`.

    Raises:
        ConfigError: If there is no such estimator or setting, or a number breaks its rule.
    """
    known = estimators(question, folder)
    name = known.get(estimator or question, str(estimator))
    if name not in known.values():
        known_name(f"estimator` of `{question}", estimator, known)
    return name, changed(name, fit_nodes(folder)[name], changes or {})


def built(
    question: str, estimator: str | None, options: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The component that the options of a command choose, and its settings.

    Args:
        question: Its name.
        estimator: As in `settings_of`.
        options: Of them `level`, `n_bootstrap`, `settings` and `config_dir` are read; the class may
            be outside this package where `config_dir` is given.

    Raises:
        ConfigError: As `settings_of` and `build`.
    """
    numbers = {n: options[n] for n in ("level", "n_bootstrap") if options.get(n) is not None}
    folder = options.get("config_dir")
    name, node = settings_of(
        question, estimator, {**numbers, **(options.get("settings") or {})}, folder
    )
    return build(name, node, trusted=folder is not None), node


def changed(name: str, node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a fit with some of them changed.

    Raises:
        ConfigError: If the fit has no such setting, or a number breaks its rule.
    """
    checked(changes, {known: Any for known in node if known != "_target_"}, owner=f"`{name}`")
    return {**node, **checked_numbers(changes)}


def build(name: str, node: Mapping[str, Any], *, trusted: bool = False) -> Any:
    """The component of these settings.

    Args:
        name: Of the fit, for messages.
        node: Its settings, with the class as `_target_`.
        trusted: Whether the class may be outside this package: of a file that the user named.

    Raises:
        ConfigError: If the class is none of this package's, or a setting is missing, unknown or
            breaks its rule.
    """
    try:
        numbers = checked_numbers(node)
    except ConfigError as error:
        raise ConfigError(f"`fit.{name}`: {error}") from error
    target = _current(str(numbers.pop("_target_", "")))
    module, _, class_name = target.rpartition(".")
    ours = module.startswith(PACKAGE) and ".estimators." in module and defines(target)
    if not (trusted or target in _TRUSTED.get() or ours):
        raise ConfigError(
            f"`fit.{name}._target_` must name a class in {PACKAGE[:-1]}, got {module}. Put the "
            "YAML of a class of your own into a folder and name it by `--config-dir`."
        )
    try:
        return getattr(import_module(module), class_name)(**numbers)
    except ConfigError:
        raise
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(f"`fit.{name}` cannot be built: {error}") from error


def _current(target: str) -> str:
    """A class of ours where it is now; older studies name the module that it had before."""
    if not target.startswith(PACKAGE):
        return target
    targets = (str(node.get("_target_", "")) for node in _packaged().values())
    now = {found.rpartition(".")[2]: found for found in targets}
    return now.get(target.rpartition(".")[2], target)
