"""What is typed behind an option, as values: numbers, names, folders, pictures, settings."""

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, final

import click

from observatory.core.errors import ConfigError

PICTURES = (".pdf", ".png", ".svg")
"""Endings of pictures."""
WORDS = {"none": math.inf, "null": math.inf}
"""A limit that is none."""


@final
class Number(click.ParamType):
    """A number; a whole one may be written 3e4.

    Attributes:
        whole: Whether it must be a whole number.
        limit: Whether "none" means that there is no limit.
    """

    name = "number"

    def __init__(self, *, whole: bool, limit: bool = False) -> None:
        self.whole = whole
        self.limit = limit

    def convert(self, value: Any, param: Any, ctx: Any) -> float | int:
        """The number; fails with a sentence."""
        words = WORDS if self.limit else {}
        try:
            found = words[value.lower()] if str(value).lower() in words else float(value)
        except ValueError:
            found = math.nan
        if math.isnan(found) or (self.whole and not float(found).is_integer()):
            self.fail(f"must be a {'whole ' * self.whole}number, got {value!r}.", param, ctx)
        return int(value if str(value).lstrip("+-").isdigit() else found) if self.whole else found


@final
class Names(click.ParamType):
    """Names with commas between them, as a list.

    Attributes:
        single: Whether a name alone stays a text.
        known: The names that there are; empty: any.
    """

    name = "names"

    def __init__(self, *, single: bool, known: Sequence[str] = ()) -> None:
        self.single = single
        self.known = known

    def convert(self, value: Any, param: Any, ctx: Any) -> str | list[str]:
        """The list; fails where a name is empty or unknown."""
        found = [name.strip() for name in value.split(",")]
        if not all(found):
            self.fail(f"must be names with commas between them, got {value!r}.", param, ctx)
        if self.known and not set(found) <= set(self.known):
            self.fail(f"must be among {', '.join(self.known)}, got {value!r}.", param, ctx)
        return found[0] if self.single and len(found) == 1 else found


@final
class Folder(click.ParamType):
    """A folder that is there."""

    name = "folder"

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """The path; fails where it is no folder."""
        if not Path(value).is_dir():
            self.fail(f"must be a folder, got {value}.", param, ctx)
        return Path(value)

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[Any]:
        """Folders, as the shell lists them."""
        return click.Path(file_okay=False).shell_complete(ctx, param, incomplete)


@final
class NewFile(click.ParamType):
    """A file that can be written, and whose ending says what it is.

    Attributes:
        endings: Those it may have.
    """

    name = "file"

    def __init__(self, *endings: str) -> None:
        self.endings = endings

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """The path; fails where it has another ending, or cannot be written."""
        path = Path(value)
        if path.suffix not in self.endings:
            self.fail(f"must end in one of {list(self.endings)}, got {value}.", param, ctx)
        if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
            rule = "must be a file that can be written, in a folder that is there"
            self.fail(f"{rule}, got {value}.", param, ctx)
        return path

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[Any]:
        """Files, as the shell lists them."""
        return click.Path().shell_complete(ctx, param, incomplete)


def settings(assignments: Sequence[str]) -> dict[str, Any]:
    """`KEY=VALUE` in Hydra's grammar, as plain values.

    Example:
        >>> settings(["lapse=0.1", "guess=null", "beta=[1e-4, 1e3]"])
        {'lapse': 0.1, 'guess': None, 'beta': [0.0001, 1000.0]}

    Raises:
        ConfigError: If one is no such assignment.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import OverrideType, QuotedString
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    found: dict[str, Any] = {}
    for assignment in assignments:
        rule = f"`--set` must be KEY=VALUE, got {assignment!r}"
        try:
            override = parser.parse_override(assignment)
        except HydraException as error:
            reason = str(error).partition("\n")[0]
            raise ConfigError(f"{rule}: {reason}. Write lists as [1,2], texts as 'a b'.") from error
        if override.type != OverrideType.CHANGE or override.is_sweep_override():
            raise ConfigError(f"{rule}. Write one value, lists as [1,2].")
        value = override.value()
        found[override.key_or_group] = value.text if isinstance(value, QuotedString) else value
    return found
