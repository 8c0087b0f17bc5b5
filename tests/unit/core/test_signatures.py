"""Settings read from source are those that an import would show."""

from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import hydra.utils
import pytest
import yaml

import observatory
from observatory.core.settings import declared
from observatory.core.signatures import signature_of

CONF = Path(observatory.__file__).parents[1] / "conf"
GROUPS = ("model", "task", "loss", "optimizer", "probe", "evaluation", "event")


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)
    elif isinstance(node, list):
        for value in node:
            yield from targets(value)


TARGETS = sorted(
    {
        target
        for group in GROUPS
        for path in (CONF / group).glob("*.yaml")
        for target in targets(yaml.safe_load(path.read_text()))
        if target.startswith("observatory.")
    }
)


@pytest.mark.parametrize("target", TARGETS)
def test_it_is_what_an_import_shows(target: str) -> None:
    owner = hydra.utils.get_object(target)
    found = signature_of(target)
    if found is None:  # it has the constructor of object: no settings
        assert owner.__init__ is object.__init__ or "__init__" not in vars(owner)
        return
    assert set(found.types) == set(signature(owner).parameters)
    types = declared(owner)
    for name, hint in found.types.items():
        assert hint == types[name] or "Any" in str(hint), name


def test_most_types_are_read() -> None:
    read = [hint for t in TARGETS if (s := signature_of(t)) for hint in s.types.values()]
    assert sum(hint is not Any for hint in read) > 0.9 * len(read)


def test_a_module_that_cannot_be_read_has_no_signature() -> None:
    assert signature_of("no.such.Thing") is None
    assert signature_of("observatory.core.schedule.NoSuch") is None
    assert signature_of("math.gcd") is None
