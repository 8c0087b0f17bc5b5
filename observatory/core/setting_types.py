"""Settings of the wrong type, such as a text where a number belongs, are refused by their names."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from math import isfinite
from types import UnionType
from typing import Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from observatory.core.errors import ConfigError

_WORDS = {
    int: "an integer",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    type(None): "null",
}
_MAPPINGS = (dict, Mapping)
_LISTS = (tuple, list, Sequence, Collection, Iterable)


def declared(owner: Any) -> dict[str, Any]:
    """Types that a class, or whatever is called with settings, declares of them."""
    try:
        return get_type_hints(owner.__init__ if isinstance(owner, type) else owner)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return {}  # a component of the user's own may declare what cannot be read here


def check_types(types: Mapping[str, Any], settings: Mapping[str, Any], group: str = "") -> None:
    """Refuse settings that are not of the types declared of them.

    Args:
        types: By name, see `declared`; others are not checked.
        settings: By name. What is made of a `_target_` of its own is left to that.
        group: What the message puts before a name, such as "fleet.".

    Raises:
        ConfigError: If one is of another type.
    """
    for name, value in settings.items():
        if name in types and not fits(value, types[name]):
            raise ConfigError(f"`{group}{name}` must be {_words(types[name])}, got {value!r}.")


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is of a declared type; types of objects are not judged.

    Example:
        >>> fits(1, float), fits(True, int), fits(float("nan"), float), fits([1], tuple[int, ...])
        (True, False, False, True)
    """
    if hint is Any or (isinstance(value, Mapping) and "_target_" in value):
        return True
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in args)
    if origin is Literal:
        return value in args
    if hint is float and isinstance(value, float):
        return isfinite(value)
    if hint is float or hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in _WORDS:
        return isinstance(value, hint)
    if origin in _LISTS:
        if not isinstance(value, list | tuple):
            return False
        entries = cast(Sequence[Any], value)
        if origin is tuple and args and args[-1] is not Ellipsis:
            return len(entries) == len(args) and all(map(fits, entries, args))
        return not args or all(fits(entry, args[0]) for entry in entries)
    if origin in _MAPPINGS:
        if not isinstance(value, Mapping):
            return False
        return not args or all(fits(e, args[1]) for e in cast(Mapping[str, Any], value).values())
    ours = isinstance(hint, type) and hint.__module__.startswith("observatory.")
    return not ours or not isinstance(value, str | int | float | None)


def _words(hint: Any) -> str:
    """A declared type as users call it."""
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(_words(each) for each in args)
    if origin is Literal:
        return f"one of {list(args)}"
    if origin in _LISTS:
        return f"a list, each {_words(args[0])}" if args else "a list"
    if origin in _MAPPINGS:
        return "settings by name"
    return _WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")
