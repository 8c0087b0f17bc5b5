"""Rules that the numbers of every fit keep, checked before anything is computed."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

from observatory.core.errors import ConfigError


@dataclass(frozen=True)
class Rule:
    """What a number must be.

    Attributes:
        must: In words.
        low: Smallest value.
        high: Largest value.
        inside: Whether the ends themselves are excluded.
        whole: Whether it must be a whole number.
        advice: What to do.
    """

    must: str
    low: float
    high: float = math.inf
    inside: bool = False
    whole: bool = False
    advice: str = "Give such a number."

    def kept(self, value: Any) -> bool:
        """Whether a value keeps it."""
        if isinstance(value, bool) or not isinstance(value, Real):
            return False
        number = float(value)
        if self.whole and not number.is_integer():
            return False
        if self.inside:
            return self.low < number < self.high
        return self.low <= number <= self.high


SHARE = Rule("in (0, 1)", 0.0, 1.0, inside=True, advice="Give the share, not the percentage.")
RATE = Rule("in [0, 0.5), or null", 0.0, 0.4999, advice="Give null to have it fitted.")
DRAWS = Rule("a whole number of at least 20", 20, whole=True, advice="An interval needs them.")
COUNT = Rule("a whole number of at least 0", 0, whole=True, advice="Give 0 for none.")
SOME = Rule("a whole number of at least 2", 2, whole=True)
ONE = Rule("a whole number of at least 1", 1, whole=True)
THREE = Rule("a whole number of at least 3", 3, whole=True)
STEPS = Rule("a positive whole number", 1, whole=True, advice="Give steps.")
FLIPS = Rule("a whole number of at least 99", 99, whole=True, advice="A p-value needs them.")
TESTS = Rule(
    "a whole number of at least 1 and at most a million, or null",
    1,
    1e6,
    whole=True,
    advice="Give null for the tests of the table.",
)
POSITIVE = Rule("a positive number", 0.0, inside=True)
ASIDE = ("what", "json", "set", "plot", "tracking_uri")
"""Options of every fit: they say where, not what."""
RULES = {
    "level": SHARE,
    "held_out": SHARE,
    "assurance": SHARE,
    "power": SHARE,
    "guess": RATE,
    "lapse": RATE,
    "n_bootstrap": DRAWS,
    "n_law_draws": DRAWS,
    "n_simulations": COUNT,
    "n_studies": COUNT,
    "n_parametric": COUNT,
    "seed": Rule("a whole number of at least 0", 0, whole=True),
    "n_grid": SOME,
    "n_horizons": SOME,
    "n_folds": SOME,
    "n_starts": ONE,
    "n_steps": ONE,
    "n_tests": TESTS,
    "n_flips": FLIPS,
    "n_permutations": FLIPS,
    "min_pairs": THREE,
    "min_levels": THREE,
    "max_levels": THREE,
    "margin": POSITIVE,
    "target": POSITIVE,
    "half_width": POSITIVE,
    "lr": POSITIVE,
    "weight_decay": Rule("at least 0", 0.0),
    "horizon_steps": STEPS,
    "steps_per_epoch": STEPS,
    "smoothing": Rule("at least 0", 0.0, advice="Give 0 for none."),
    "width_decades": POSITIVE,
    "window_max": Rule("a positive number, or null for no end", 0.0, advice="Give its largest x."),
}
"""By name; null, where a setting may be that, keeps every rule."""


def checked_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, whole numbers as such, such as 1e6 for a number of tests.

    Raises:
        ConfigError: If one breaks its rule.

    Example:
        >>> checked_numbers({"n_tests": 1e6, "level": 0.9})
        {'n_tests': 1000000, 'level': 0.9}
    """
    require_numbers(values)
    whole = {name for name, rule in RULES.items() if rule.whole}
    return {
        name: int(value) if name in whole and value is not None else value
        for name, value in values.items()
    }


def given_options(options: Mapping[str, Any], known: Iterable[str], owner: str) -> dict[str, Any]:
    """The options of a command that were given, checked.

    Args:
        options: All, null where one was not given.
        known: Those that the fit takes, beside the ones of every fit.
        owner: Whose they are, in words, such as "of `fit paired`".

    Raises:
        ConfigError: If one is of another fit, or a number breaks its rule.

    Example:
        >>> given_options({"arm": "a", "size": None, "json": True}, ["arm"], "of `fit paired`")
        {'arm': 'a', 'json': True}
    """
    given = {name: value for name, value in options.items() if value is not None}
    if foreign := sorted(set(given) - {*known, *ASIDE}):
        raise ConfigError(f"{foreign} are not {owner}: leave them out.")
    require_numbers(given)
    return given


def require_numbers(values: Mapping[str, Any]) -> None:
    """Refuse numbers that break their rule; names without a rule are passed over.

    Raises:
        ConfigError: If one does.

    Example:
        >>> require_numbers({"level": 0.9, "lapse": None, "link": "probit"})
        >>> require_numbers({"level": 95})
        Traceback (most recent call last):
        observatory.core.errors.ConfigError: `level` must be in (0, 1), got 95. Give the share...
    """
    for name, value in values.items():
        rule = RULES.get(name)
        if rule is not None and value is not None and not rule.kept(value):
            raise ConfigError(f"`{name}` must be {rule.must}, got {value!r}. {rule.advice}")
