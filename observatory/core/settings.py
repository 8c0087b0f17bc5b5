"""What a setting must be, and the one check of settings: names, types, ranges.

A setting is declared by a type, such as `int | None` or `Literal["fast", "generic"]`. The range of
a number is noted on its type, as in `Annotated[float, Range(0.0, 1.0, open=True)]`. Declarations
are annotations of a class or a table by name; nothing heavy is imported to check them.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, get_close_matches
from itertools import pairwise
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, cast, get_args, get_origin, get_type_hints

from observatory.core.errors import ConfigError

_WORDS = {
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
    str: "a text",
    NoneType: "null",
}
_MAPPINGS = (dict, Mapping)
_LISTS = (tuple, list, Sequence, Collection, Iterable)


@dataclass(frozen=True)
class Range:
    """Which numbers a setting may be.

    Attributes:
        low: Smallest value.
        high: Largest value; None: any finite one; inf: infinity too.
        open: Whether the ends themselves are excluded.
        whole: Whether a `float` must be a whole number, also written 1e6.
        advice: What to do.
    """

    low: float
    high: float | None = None
    open: bool = False
    whole: bool = False
    advice: str = ""

    def kept(self, value: Any) -> bool:
        """Whether a number is in it."""
        high = math.inf if self.high is None else self.high
        if self.whole and not float(value).is_integer():
            return False
        return bool(self.low < value < high if self.open else self.low <= value <= high)

    def words(self, kind: Any) -> str:
        """What a number of type `kind` in it is called."""
        number = "whole number" if self.whole or kind is int else "number"
        if self.high not in (None, math.inf):
            ends = "()" if self.open else "[]"
            inside = f"in {ends[0]}{self.low:g}, {self.high:g}{ends[1]}"
            return f"a whole number {inside}" if number == "whole number" else inside
        if self.open:
            return f"a positive {number}" if self.low == 0 else f"a {number} above {self.low:g}"
        return f"a {number} of at least {self.low:g}"


@dataclass(frozen=True)
class Rising:
    """A list of numbers, each of which is above the one before by at least this share of it."""

    share: float = 0.0
    advice: str = ""

    def kept(self, value: Any) -> bool:
        """Whether a list of numbers is so."""
        return all(a < b and b - a >= self.share * abs(a) for a, b in pairwise(value))

    def words(self, kind: Any) -> str:
        """What such a list of type `kind` is called."""
        step = f", each at least {self.share:.0%} above the one before" if self.share else ""
        return f"{_words(kind)}, rising{step}"


Size = Annotated[int, Range(1)]
Count = Annotated[int, Range(0)]
Positive = Annotated[float, Range(0.0, open=True)]
NotNegative = Annotated[float, Range(0.0)]
Fraction = Annotated[float, Range(0.0, 1.0)]
Seed = Annotated[int, Range(0, 2**63 - 1)]
Threads = Annotated[int, Range(1, 1024)]
Share = Annotated[
    float, Range(0.0, 1.0, open=True, advice="Give the fraction, not the percentage.")
]


def checked(
    values: Any,
    types: Mapping[str, Any],
    group: str = "",
    *,
    owner: str = "",
    advice: str = "",
    open_ended: bool = False,
    complete: bool = False,
) -> dict[str, Any]:
    """Settings that are what was declared of them; whole numbers written 1e6 are made whole.

    Args:
        values: By name. What is made of a `_target_` of its own is left to that.
        types: What each must be, by name.
        group: Group of the configuration that holds them, for messages.
        owner: Whose settings they are, in words; those of the group where it is not given.
        advice: What to do with an unknown one.
        open_ended: Whether there may be names that nothing is declared of.
        complete: Whether all must be given.

    Raises:
        ConfigError: If one is unknown, missing, of another type or out of its range.

    Example:
        >>> checked({"level": 0.9}, {"level": Share})
        {'level': 0.9}
        >>> checked({"level": 95}, {"level": Share})
        Traceback (most recent call last):
        observatory.core.errors.ConfigError: `level` must be in (0, 1), got 95. Give the fraction...
    """
    whose, start = owner or f"`{group}`", f"{group}." if group else ""
    if not isinstance(values, Mapping):
        raise ConfigError(f"`{group}` must have settings by name, got {values!r}.")
    given = cast(Mapping[str, Any], values)
    if not open_ended and (unknown := [name for name in given if name not in types]):
        raise ConfigError(
            f"`{start}{unknown[0]}` is no setting of {whose}, which has "
            f"{nearest_first(unknown[0], types)}.{did_you_mean(unknown[0], types)}{advice}"
        )
    if complete and (missing := [name for name in types if name not in given]):
        raise ConfigError(
            f"`{start}{missing[0]}` must be given, {_words(types[missing[0]])}, and is missing."
        )
    for name, value in given.items():
        if name in types and not fits(value, types[name]):
            advice = "".join(f" {rule.advice}" for rule in _rules(types[name]) if rule.advice)
            must = _words(types[name])
            raise ConfigError(f"`{start}{name}` must be {must}, got {value!r}.{advice}")
    return {name: _whole(value, types.get(name)) for name, value in given.items()}


def check_arguments(owner: Any, **given: Any) -> None:
    """Refuse arguments of a constructor that are not what `owner` declares; see `checked`."""
    checked(given, declared(owner))


def known_name(setting: str, name: Any, known: Iterable[str]) -> None:
    """Refuse a name that is none of the known ones.

    Raises:
        ConfigError: If it is not; the message lists them, the nearest first.
    """
    names = list(known)
    if name not in names:
        listed, meant = nearest_first(name, names), did_you_mean(name, names)
        raise ConfigError(f"`{setting}` must be one of {listed}, got {name!r}.{meant}")


def nearest_first(name: Any, known: Iterable[str]) -> list[str]:
    """Known names in the order of their likeness to another one."""
    return sorted(sorted(known), key=lambda k: -SequenceMatcher(None, str(name), k).ratio())


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """A question that names what is nearest to a mistyped name, empty where nothing is near.

    Example:
        >>> did_you_mean("trian", ["map", "train"]), did_you_mean("x", ["map"])
        (' Did you mean train?', '')
    """
    near = get_close_matches(str(name), list(known), n=1, cutoff=0.5)
    return f" Did you mean {near[0]}?" if near else ""


def declared(owner: Any) -> dict[str, Any]:
    """Types that a class, or whatever is called with settings, declares of them."""
    made = owner.__init__ if isinstance(owner, type) else owner
    try:
        hints = get_type_hints(made, include_extras=True)
    except (NameError, TypeError, SyntaxError, AttributeError):
        return {}  # a component of the user's own may declare what cannot be read here
    return {name: hint for name, hint in hints.items() if name != "return"}


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is what was declared; types of objects are not judged.

    Example:
        >>> fits(1, float), fits(True, int), fits(float("nan"), float), fits([1], tuple[int, ...])
        (True, False, False, True)
    """
    if hint is Any or (isinstance(value, Mapping) and "_target_" in value):
        return True
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin is Annotated:
        rules = _rules(hint)
        endless = value == math.inf and any(getattr(r, "high", None) == math.inf for r in rules)
        return (endless or fits(value, args[0])) and all(rule.kept(value) for rule in rules)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in args)
    if origin is Literal:
        return value in args
    if hint in (int, float):
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        return isinstance(value, Integral) or (hint is float and math.isfinite(value))
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


def _rules(hint: Any) -> list[Range | Rising]:
    """The ranges that are noted on a type, or on one of several."""
    if get_origin(hint) in (Union, UnionType):
        return [rule for each in get_args(hint) for rule in _rules(each)]
    noted = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return [rule for rule in noted if isinstance(rule, Range | Rising)]


def _whole(value: Any, hint: Any) -> Any:
    """A whole number as such, where one may be written 1e6."""
    whole = any(isinstance(rule, Range) and rule.whole for rule in _rules(hint))
    return int(value) if whole and value is not None else value


def _words(hint: Any) -> str:
    """A declared type as users call it."""
    origin, args = get_origin(hint) or hint, get_args(hint)
    if hint is Any:
        return "any value"
    if origin is Annotated:
        rules = _rules(hint)
        return rules[0].words(args[0]) if rules else _words(args[0])
    if origin in (Union, UnionType):
        return " or ".join(_words(each) for each in args)
    if origin is Literal:
        return f"one of {list(args)}" if len(args) > 1 else ", ".join(map(repr, args))
    if origin is tuple and args and args[-1] is not Ellipsis:
        return f"[{', '.join(_words(each) for each in args)}]"
    if origin in _LISTS:
        return f"a list, each {_words(args[0])}" if args else "a list"
    if origin in _MAPPINGS:
        return "settings by name"
    return _WORDS.get(hint, f"a {getattr(hint, '__name__', hint)}")
