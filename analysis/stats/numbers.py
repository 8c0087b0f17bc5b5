"""What the numbers of every fit must be, by name, and the check of them."""

from collections.abc import Mapping
from typing import Annotated, Any

from observatory.core.settings import (
    NotNegative,
    Positive,
    Range,
    Rising,
    Share,
    checked,
)


def _whole(low: int, advice: str = "", high: float | None = None) -> Any:
    """A whole number of at least `low`, which may be written 1e6."""
    return Annotated[float, Range(low, high, whole=True, advice=advice)]


def _or_null(kind: Any) -> Any:
    return kind | None


def _rate(most: float) -> Any:
    return _or_null(Annotated[float, Range(0.0, most, advice="Give null to have it fitted.")])


_LIMIT = Annotated[float, Range(1e-9, 1e9)]
_LIMITS = Annotated[tuple[_LIMIT, _LIMIT], Rising(0.01, advice="They limit a search.")]
_WINDOW = Annotated[
    tuple[float, float],
    Rising(advice="Give the steps between which the norm comes down."),
]
_WIDEST = Annotated[float, Range(0.0, float("inf"), advice="Give its largest control.")]
_DRAWS = _whole(20, "An interval needs them.")
_FLIPS = _whole(99, "A p-value needs them.")
_SIZE = Annotated[float, Range(0.0, open=True, advice="Give its size, without a sign.")]
_GROUPS: dict[Any, tuple[str, ...]] = {
    Share: (
        *("level", "held_out", "assurance", "power", "coverage", "max_lead_share", "lead_floor"),
        *("least_r2", "flat_level", "se_floor", "min_share", "min_overlap", "max_lost"),
    ),
    _rate(0.5): ("guess",),
    _rate(0.4999): ("lapse",),
    _DRAWS: ("n_bootstrap", "n_law_draws"),
    _FLIPS: ("n_flips", "n_permutations", "n_uniform"),
    _whole(0, "Give 0 for none."): ("n_simulations", "n_studies", "n_parametric"),
    _whole(0): ("seed",),
    _whole(1): (
        *("n_starts", "n_steps", "n_verdicts", "min_points", "longest_block"),
        *("max_emergence_curves", "max_emergence_layers"),
        *("max_relaxation_decays", "max_saturation_decays"),
    ),
    _whole(1, "Give steps."): ("horizon_steps", "steps_per_epoch"),
    _whole(2): ("n_grid", "n_horizons", "n_folds", "min_readings"),
    _whole(3): ("min_pairs", "min_levels", "max_levels", "min_seeds"),
    _whole(5): ("n_profile", "min_events"),
    _whole(11): ("n_centres", "n_widths"),
    _whole(19, "A p-value needs them."): ("n_null",),
    _or_null(_whole(1, "Give null for the tests of the table.", 1e6)): ("n_tests",),
    Positive: ("lr", "width_decades", "identified_width"),
    _or_null(Positive): ("margin", "target", "half_width", "sd"),
    _or_null(_SIZE): ("effect", "difference"),
    NotNegative: ("weight_decay", "smoothing", "min_lead", "nowcast_margin"),
    _or_null(_WIDEST): ("window_max",),
    _LIMITS: ("beta", "tau", "rate", "exponents", "width"),
    _or_null(_WINDOW): ("window",),
    list[Share]: ("shares",),
    Annotated[float, Range(1e-3, 20.0)]: ("exponent",),
    Annotated[float, Range(1.0, open=True)]: ("identified_ratio",),
}
NUMBERS: dict[str, Any] = {name: must for must, names in _GROUPS.items() for name in names}
"""What a number must be, by its name."""


def checked_numbers(values: Mapping[str, Any], *, given: bool = False) -> dict[str, Any]:
    """The settings of a fit, whole numbers as such, such as 1e6 for a number of tests.

    Args:
        values: By name; names that no number has are passed over.
        given: Whether null says that an option was not given.

    Raises:
        ConfigError: If a number is not what it must be, or null where it must not be.

    Example:
        >>> checked_numbers({"n_tests": 1e6, "level": 0.9})
        {'n_tests': 1000000, 'level': 0.9}
    """
    stated = {name: value for name, value in values.items() if not given or value is not None}
    return {**values, **checked(stated, NUMBERS, open_ended=True)}
