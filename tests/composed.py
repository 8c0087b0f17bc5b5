"""Configurations composed once in a process: Hydra takes half a second for each."""

from copy import deepcopy
from functools import cache
from typing import Any

from observatory.launch.compose import compose


def composed(name: str, *overrides: str) -> dict[str, Any]:
    """A copy of what `compose` makes of these overrides."""
    return deepcopy(_once(name, overrides))


def block(group: str, *overrides: str) -> dict[str, Any]:
    """The settings of a group, where nothing else is read: the probes and fits are left out."""
    return composed("train", "probe=[]", "fit=[scaling]", *overrides)[group]


@cache
def _once(name: str, overrides: tuple[str, ...]) -> dict[str, Any]:
    return compose(name, overrides)
