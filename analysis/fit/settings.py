"""The fits of `conf/fit` by the name of their file, with numbers of one's own."""

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, cast

import yaml

from observatory.analysis.fit.study import Fit, read_settings
from observatory.analysis.stats.rules import checked_numbers, require_numbers
from observatory.core.errors import ConfigError

STUDY = "study"
KINDS = {
    "boundary": "boundary_mle",
    "times": "times",
    "survival": "survival",
    "horizon": "horizon",
}
"""What can be fitted to a table, and the file that is used where no estimator is named."""
_SHARED = re.compile(r"\$\{fit\.study\.(\w+)\}")


def fit_files() -> dict[str, dict[str, Any]]:
    """The nodes of `conf/fit` by the name of their file, as they are written."""
    folder = files("observatory.conf").joinpath("fit")
    found: dict[str, dict[str, Any]] = {}
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        name, _, ending = file.name.rpartition(".")
        if ending == "yaml":
            found[name] = yaml.safe_load(file.read_text(encoding="utf-8"))[name]
    return found


def estimators(kind: str) -> dict[str, str]:
    """The estimators of a kind of fit, and the file of each.

    Example:
        >>> estimators("boundary")["lsq"]
        'boundary_lsq'
    """
    names = [name for name in fit_files() if name == kind or name.startswith(f"{kind}_")]
    return {name.removeprefix(f"{kind}_"): name for name in names}


def settings_of(kind: str, estimator: str | None) -> tuple[str, dict[str, Any]]:
    """Name and settings of a fit, the numbers that all fits share filled in.

    Args:
        kind: One of `KINDS`.
        estimator: One of `estimators`, or the name of the file; None: the usual one.

    Raises:
        ConfigError: If there is no such kind or estimator.
    """
    if kind not in KINDS:
        raise ConfigError(f"`fit` must be one of {sorted(KINDS)}, got {kind!r}.")
    known = estimators(kind)
    name = KINDS[kind] if estimator is None else known.get(estimator, estimator)
    if name not in known.values():
        asked = "none" if estimator is None else repr(estimator)
        raise ConfigError(f"`estimator` of {kind} must be one of {sorted(known)}, got {asked}.")
    nodes = fit_files()
    return name, {key: _filled(value, nodes[STUDY]) for key, value in nodes[name].items()}


def _filled(value: Any, shared: Mapping[str, Any]) -> Any:
    found = _SHARED.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else shared[found[1]]


def changed(name: str, node: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a fit with some of them changed.

    Raises:
        ConfigError: If the fit has no such setting, or a number breaks its rule.
    """
    known = sorted(set(node) - {"_target_"})
    if unknown := sorted(set(changes) - set(known)):
        raise ConfigError(f"`{name}` has no setting {unknown}, only {known}.")
    return {**node, **checked_numbers(changes)}


def deep_settings(name: str, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `conf/deep_fit/<name>.yaml`, some of them changed; raises as `changed`."""
    file = files("observatory.conf").joinpath("deep_fit", f"{name}.yaml")
    return changed(name, yaml.safe_load(file.read_text(encoding="utf-8"))[name], changes)


def build(name: str, node: Mapping[str, Any]) -> Fit:
    """The fit of these settings; raises `ConfigError` where one breaks its rule."""
    try:
        return read_settings({STUDY: fit_files()[STUDY], name: node})[1][name]
    except ConfigError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"`{name}` cannot be built: {error}") from error


def shared_setting(name: str) -> Any:
    """One of the numbers that all fits of a study share."""
    return cast(dict[str, Any], fit_files()[STUDY])[name]


def draw_seed(asked: int | None) -> int:
    """The seed of all draws: the one asked for, or that of all fits where there is none.

    Raises:
        ConfigError: If it is no whole number of at least 0.

    Example:
        >>> draw_seed(None), draw_seed(7)
        (0, 7)
    """
    require_numbers({"seed": asked})
    return int(shared_setting("seed") if asked is None else asked)
