"""Rules that the numbers of every fit keep, checked before anything is computed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
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
        null: Whether a setting may be null instead.
    """

    must: str
    low: float
    high: float = math.inf
    inside: bool = False
    whole: bool = False
    advice: str = "Give such a number."
    null: bool = False

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


@dataclass(frozen=True)
class ListRule:
    """What a list of numbers must be.

    Attributes:
        must: In words.
        each: What each number must be.
        advice: What to do.
        size: How many; None for any number of them.
        apart: Numbers rise, by at least this share of the one before; None where they need not.
        null: Whether a setting may be null instead.
    """

    must: str
    each: Rule
    advice: str
    size: int | None = None
    apart: float | None = None
    null: bool = False
    whole = False

    def kept(self, value: Any) -> bool:
        """Whether a value keeps it."""
        if not isinstance(value, Sequence) or isinstance(value, str):
            return False
        if self.size not in (None, len(value)) or not all(map(self.each.kept, value)):
            return False
        steps = pairwise(value)
        least = self.apart
        return least is None or all(a < b and b - a >= least * abs(a) for a, b in steps)


SHARE = Rule("in (0, 1)", 0.0, 1.0, inside=True, advice="Give the share, not the percentage.")
RATE = Rule("in [0, 0.5), or null", 0.0, 0.4999, advice="Give null to have it fitted.", null=True)
DRAWS = Rule("a whole number of at least 20", 20, whole=True, advice="An interval needs them.")
COUNT = Rule("a whole number of at least 0", 0, whole=True, advice="Give 0 for none.")
SOME = Rule("a whole number of at least 2", 2, whole=True)
ONE = Rule("a whole number of at least 1", 1, whole=True)
THREE = Rule("a whole number of at least 3", 3, whole=True)
FIVE = Rule("a whole number of at least 5", 5, whole=True)
ELEVEN = Rule("a whole number of at least 11", 11, whole=True)
NULLS = Rule("a whole number of at least 19", 19, whole=True, advice="A p-value needs them.")
STEPS = Rule("a positive whole number", 1, whole=True, advice="Give steps.")
FLIPS = Rule("a whole number of at least 99", 99, whole=True, advice="A p-value needs them.")
TESTS = Rule(
    "a whole number of at least 1 and at most a million, or null",
    1,
    1e6,
    whole=True,
    advice="Give null for the tests of the table.",
    null=True,
)
POSITIVE = Rule("a positive number", 0.0, inside=True)
NOT_NEGATIVE = Rule("at least 0 and finite", 0.0, 1e100)
WANTED = replace(POSITIVE, null=True)
WIDEST = Rule("a positive number, or null for no end", 0.0, advice="Give its largest x.", null=True)
LIMITS = ListRule(
    "[low, high], two numbers between 1e-9 and 1e9, the second at least 1 % above the first",
    Rule("between 1e-9 and 1e9", 1e-9, 1e9),
    "They limit a search.",
    size=2,
    apart=0.01,
)
WINDOW = ListRule(
    "[first, last], two rising steps, or null",
    Rule("finite", -1e100, 1e100),
    "Give the steps between which the norm comes down.",
    size=2,
    apart=0.0,
    null=True,
)
ASIDE = ("what", "json", "set", "plot", "tracking_uri")
"""Options of every fit: they say where, not what."""
RULES: dict[str, Rule | ListRule] = {
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
    "margin": WANTED,
    "target": WANTED,
    "half_width": WANTED,
    "lr": POSITIVE,
    "weight_decay": Rule("at least 0", 0.0),
    "horizon_steps": STEPS,
    "steps_per_epoch": STEPS,
    "smoothing": Rule("at least 0", 0.0, advice="Give 0 for none."),
    "width_decades": POSITIVE,
    "window_max": WIDEST,
    **dict.fromkeys(("beta", "tau", "rate", "exponents", "width"), LIMITS),
    "window": WINDOW,
    "shares": ListRule("numbers in (0, 1)", SHARE, "Give [0.5, 0.9]."),
    "exponent": Rule("a positive number of at most 20", 1e-3, 20.0),
    **dict.fromkeys(("min_points", "longest_block"), ONE),
    **dict.fromkeys(("max_emergence_curves", "max_emergence_layers"), ONE),
    **dict.fromkeys(("max_relaxation_decays", "max_saturation_decays"), ONE),
    "identified_width": POSITIVE,
    "identified_ratio": Rule("a number above 1", 1.0, inside=True),
    **dict.fromkeys(("least_r2", "flat_level", "se_floor", "min_share", "min_overlap"), SHARE),
    "min_seeds": THREE,
    "n_profile": FIVE,
    **dict.fromkeys(("n_centres", "n_widths"), ELEVEN),
    "n_null": NULLS,
    "n_uniform": FLIPS,
    "min_events": FIVE,
    "min_readings": SOME,
    **dict.fromkeys(("coverage", "max_lead_share", "lead_floor"), SHARE),
    **dict.fromkeys(("min_lead", "nowcast_margin"), NOT_NEGATIVE),
}
"""By name."""


def checked_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a fit, whole numbers as such, such as 1e6 for a number of tests.

    Raises:
        ConfigError: If one breaks its rule, or is null where it must not be.

    Example:
        >>> checked_numbers({"n_tests": 1e6, "level": 0.9})
        {'n_tests': 1000000, 'level': 0.9}
    """
    require_numbers(values)
    for name, value in values.items():
        rule = RULES.get(name)
        if rule is not None and value is None and not rule.null:
            raise ConfigError(f"`{name}` must be {rule.must}, got null. {rule.advice}")
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
    """Refuse numbers that break their rule; null, and names without a rule, are passed over.

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
