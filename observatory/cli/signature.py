"""The parameters of a public function: their types from its signature, their texts from docs."""

import inspect
import re
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, final

_ENTRY = re.compile(r"^    (?! )\*{0,2}(\w+)(?: \([^)]*\))?: ?(.*)$")
"""The first line of an entry of `Args:` or `Attributes:`."""
_SECTION = re.compile(r"^(\w[\w ]*):$")


@final
@dataclass(frozen=True)
class Parameter:
    """One parameter of a public function.

    Attributes:
        name: In Python.
        kinds: Its types, null left out; none of a table.
        text: What it means.
        required: Whether it must be given.
        default: What holds where it is not given.
        is_table: Whether it is a table, or several, given by position.
        several: Whether any number of tables may be given.
        unpacked: Whether the function takes these as separate arguments.
    """

    name: str
    kinds: tuple[Any, ...]
    text: str
    required: bool
    default: Any = None
    is_table: bool = False
    several: bool = False
    unpacked: bool = False


def parameters(function: Callable[..., Any]) -> list[Parameter]:
    """What a public function takes, in its order; `**options` counted out.

    Raises:
        TypeError: If a parameter has no text, or a type that cannot be typed in a command.

    Example:
        >>> def f(table: "Table", *, size: int = 3):
        ...     '''Fit.
        ...
        ...     Args:
        ...         table: A CSV file.
        ...         size: How many.
        ...     '''
        >>> [(p.name, p.text, p.is_table, p.default) for p in parameters(f)]
        [('table', 'A CSV file.', True, None), ('size', 'How many.', False, 3)]
    """
    texts = entries(function.__doc__ or "", "Args")
    found: list[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found += options_of(typing.get_args(parameter.annotation)[0])
            continue
        required = parameter.default is parameter.empty
        default = None if required else parameter.default
        text = _required_text(texts, parameter.name, function.__name__)
        if required and parameter.kind is not parameter.KEYWORD_ONLY:
            unpacked = parameter.kind is parameter.VAR_POSITIONAL
            several = unpacked or "Sequence" in str(parameter.annotation)
            made = Parameter(
                parameter.name, (), text, True, None, is_table=True, several=several,
                unpacked=unpacked,
            )  # fmt: skip
        else:
            made = Parameter(parameter.name, kinds(parameter.annotation), text, required, default)
        found.append(made)
    return found


def options_of(options: type) -> list[Parameter]:
    """The keys of a TypedDict as parameters, those of its bases first."""
    texts: dict[str, str] = {}
    for each in bases(options):
        texts |= entries(each.__doc__ or "", "Attributes")
    hints = typing.get_type_hints(options)
    return [
        Parameter(name, kinds(hint), _required_text(texts, name, options.__name__), required=False)
        for name, hint in hints.items()
    ]


def bases(options: type) -> list[type]:
    """A TypedDict and all that it extends, the first of them first.

    Python 3.11 forgets what a TypedDict extends: the names are read from where it is written.
    """
    source = inspect.getsource(options)
    head = re.match(r"\s*class \w+\(([^)]*)\)", source)
    module = vars(sys.modules[options.__module__])
    names = [] if head is None else [name.strip() for name in head[1].split(",")]
    found = [module[name] for name in names if isinstance(module.get(name), type)]
    return [*(b for each in found if hasattr(each, "__total__") for b in bases(each)), options]


def kinds(annotation: Any) -> tuple[Any, ...]:
    """The types that an annotation allows, null left out."""
    if typing.get_origin(annotation) in (typing.Union, UnionType):
        each = [kind for part in typing.get_args(annotation) for kind in kinds(part)]
        return tuple(dict.fromkeys(each))
    return () if annotation in (None, NoneType) else (annotation,)


def entries(doc: str, section: str) -> dict[str, str]:
    r"""The entries of one section of a Google docstring, each on one line.

    Example:
        >>> entries("Fit.\n\nArgs:\n    a: First,\n        or not.\n    b: Second.", "Args")
        {'a': 'First, or not.', 'b': 'Second.'}
    """
    found: dict[str, str] = {}
    inside, name = False, ""
    for line in inspect.cleandoc(doc).splitlines():
        if heading := _SECTION.match(line):
            inside = heading[1] == section
        elif inside and (entry := _ENTRY.match(line)):
            name = entry[1]
            found[name] = entry[2].strip()
        elif inside and name:
            found[name] = f"{found[name]} {line.strip()}".strip()
    return found


def _required_text(texts: Mapping[str, str], name: str, owner: str) -> str:
    if name not in texts:
        raise TypeError(f"`{name}` of `{owner}` has no text in its docstring. Write one.")
    return texts[name]


def holds(parameter: Parameter, *origins: type) -> bool:
    """Whether one of its types is a generic one of these, such as a mapping."""
    return any(typing.get_origin(kind) in origins for kind in parameter.kinds)


def choices(parameter: Parameter) -> list[str]:
    """The values of a `Literal`, none of other types."""
    literal = [kind for kind in parameter.kinds if typing.get_origin(kind) is Literal]
    return [str(value) for kind in literal for value in typing.get_args(kind)]
