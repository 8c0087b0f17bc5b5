"""What the numbers of a law of curves must be, checked before anything is fitted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.rules import ONE, POSITIVE, RULES, SHARE, Rule
from observatory.core.errors import ConfigError

RULES_OF_CURVES = {
    **RULES,
    **dict.fromkeys(("min_points", "longest_block"), ONE),
    "identified_width": POSITIVE,
    "identified_ratio": Rule("a number above 1", 1.0, inside=True),
    "least_r2": SHARE,
    "exponent": Rule("a positive number of at most 20", 1e-3, 20.0),
}
LIMIT = Rule("between 1e-9 and 1e9", 1e-9, 1e9)
RANGES = ("beta", "tau", "rate", "alpha", "width")
"""Settings that are the limits of a search."""
OR_NULL = ("window", "law")
SMALLEST, LARGEST = 1e-100, 1e100
"""Squares of larger and smaller numbers than these are beyond what a computer holds."""


def checked_settings(node: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a law, whole numbers as such.

    Raises:
        ConfigError: If one breaks its rule.

    Example:
        >>> checked_settings({"n_bootstrap": 1e3, "beta": [0.1, 10], "window": None})
        {'n_bootstrap': 1000, 'beta': [0.1, 10], 'window': None}
        >>> checked_settings({"beta": [1, 1]})
        Traceback (most recent call last):
        observatory.core.errors.ConfigError: `beta` must be [low, high], two numbers...
    """
    for name, value in node.items():
        if name not in OR_NULL or value is not None:
            _require(name, value)
    whole = {name for name, rule in RULES_OF_CURVES.items() if rule.whole}
    return {name: int(value) if name in whole else value for name, value in node.items()}


def _require(name: str, value: Any) -> None:
    """Refuse a setting that breaks its rule; one without a rule is passed over."""
    rule = RULES_OF_CURVES.get(name)
    if rule is not None and not rule.kept(value):
        raise ConfigError(f"`{name}` must be {rule.must}, got {value!r}. {rule.advice}")
    if name in RANGES and not (_numbers(value, 2, LIMIT) and value[1] >= 1.01 * value[0]):
        raise ConfigError(
            f"`{name}` must be [low, high], two numbers {LIMIT.must}, the second at least 1 % "
            f"above the first, got {value!r}. They limit a search."
        )
    if name == "window":
        any_number = Rule("finite", -LARGEST, LARGEST)
        if not (_numbers(value, 2, any_number) and value[0] < value[1]):
            raise ConfigError(
                f"`window` must be [first, last], two rising steps, or null, got {value!r}. Give "
                "the steps between which the norm comes down."
            )
    if name == "shares" and not _numbers(value, None, SHARE):
        raise ConfigError(f"`shares` must be numbers in (0, 1), got {value!r}. Give [0.5, 0.9].")


def _numbers(value: Any, size: int | None, rule: Rule) -> bool:
    """Whether a value is a list of so many numbers that each keep a rule."""
    whole = isinstance(value, Sequence) and not isinstance(value, str)
    return whole and size in (None, len(value)) and all(rule.kept(v) for v in value)


def require_size(name: str, values: NDArray[np.float64]) -> None:
    """Refuse numbers that are too large or too small to be squared.

    Args:
        name: Of what they are.
        values: Finite.

    Raises:
        ConfigError: If the largest one is out of range; 0 is not.
    """
    most = float(np.abs(values).max(initial=0.0))
    if most > 0 and not SMALLEST <= most <= LARGEST:
        raise ConfigError(
            f"`{name}` must lie between {SMALLEST:g} and {LARGEST:g} where it is largest, whatever "
            f"its sign, got {most:g}. Give it in another unit."
        )
