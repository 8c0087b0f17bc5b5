"""What a configuration that lies in a store may name without a word of its user.

Whoever types a configuration decides what it runs. One that is read from a study, which a stranger
may have written, names classes of this package only, unless the user trusts it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from observatory.core.errors import ConfigError
from observatory.core.signatures import defines
from observatory.store.identity import WITHOUT_EFFECT

IMPORTED = "imported"
"""Folder of a study that came as a bundle: where it came from, and the pages that came with it."""

_ROOMS = (
    "tasks", "models", "losses", "optimizers", "probes", "events", "interventions", "core.schedule",
    "maths.groups", "watch.low_precision.transforms",
)  # fmt: skip
_OURS = tuple(f"observatory.{room}." for room in _ROOMS)


def is_imported(study: Path) -> bool:
    """Whether a study came as a bundle, and was not trained here."""
    return (study / IMPORTED).is_dir()


def check_trusted(config: Mapping[str, Any], where: str) -> None:
    """Refuse a stored configuration that names code outside of this package; imports none of it.

    Args:
        config: Plain values, as of a manifest.
        where: Whose it is, for the message.

    Raises:
        ConfigError: If a `_target_` is no component of this package.
    """
    used = {name: value for name, value in config.items() if name not in WITHOUT_EFFECT}
    foreign = [t for t in _targets(used) if not (t.startswith(_OURS) and defines(t))]
    for name, value in (config.get("launcher") or {}).items():  # lines of a job's shell script
        if (isinstance(value, list | dict) and value) or not str(value).isprintable():
            foreign.append(f"launcher.{name}={value!r}")
    if foreign:
        named = ", ".join(dict.fromkeys(f"`{target}`" for target in foreign))
        raise ConfigError(
            f"{where} names {named}, which is code outside of this package and would run. If you "
            "know what it does, add `--trust`."
        )


def _targets(node: Any) -> Iterator[str]:
    """Every `_target_` below, at any depth."""
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield str(node["_target_"])
        for value in node.values():
            yield from _targets(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _targets(value)
