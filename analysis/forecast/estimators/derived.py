"""Signals that are made of the last readings of another one, by name: `mobility16(train_loss)`."""

import re
from collections.abc import Callable, Mapping

from observatory.analysis.forecast.estimators.dmd import hankel_residual
from observatory.analysis.forecast.estimators.hjorth import QUANTITIES, hjorth
from observatory.analysis.forecast.estimators.records import Array
from observatory.analysis.forecast.estimators.tokens import saliency, surprise
from observatory.core.errors import ConfigError

MADE: Mapping[str, Callable[[Array, int], Array]] = {
    **{name: lambda y, window, name=name: hjorth(y, window)[name] for name in QUANTITIES},
    "dmd": hankel_residual,
    "saliency": saliency,
    "surprise": surprise,
}
"""From readings and how many of them are taken at once."""

OF_LISTS = "dmd"
"""What takes all entries of a list; the others take its mean."""

_NAME = re.compile(rf"({'|'.join(MADE)})(\d+)\((.+)\)")
_FEWEST = 4


def base_of(name: str) -> str:
    """The signal that a name is made of: itself, but for `mobility16(train_loss)` and the like.

    Example:
        >>> base_of("mobility16(train_loss)"), base_of("s_bar@layer0")
        ('train_loss', 's_bar@layer0')
    """
    made = _NAME.fullmatch(name)
    return made[3] if made else name


def takes_lists(name: str) -> bool:
    """Whether a signal is made of all entries of a list at once."""
    made = _NAME.fullmatch(name)
    return made is not None and made[1] == OF_LISTS


def derived(name: str, values: Array) -> Array:
    """The series of that name, from that of its base.

    Raises:
        ConfigError: If it takes too few readings at once.
    """
    made = _NAME.fullmatch(name)
    assert made is not None
    window = int(made[2])
    if window < _FEWEST:
        raise ConfigError(
            f"`signals` must take at least {_FEWEST} readings at once, got {name!r}. Write "
            f"{made[1]}16({made[3]}) for 16."
        )
    return MADE[made[1]](values, window)
