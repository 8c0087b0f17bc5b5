"""How a series oscillates: Hjorth's parameters of its last readings, as signals of their own."""

import re

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from observatory.analysis.forecast.estimators.records import Array
from observatory.core.errors import ConfigError

QUANTITIES = ("activity", "mobility", "complexity")
_NAME = re.compile(rf"({'|'.join(QUANTITIES)})(\d+)\((.+)\)")
_FEWEST = 4
_ROUNDING = 1e-12
"""A deviation below this share of the largest value is none."""


def base_of(name: str) -> str:
    """The signal that a name is made of: itself, but for `mobility16(train_loss)` and the like.

    Example:
        >>> base_of("mobility16(train_loss)"), base_of("s_bar@layer0")
        ('train_loss', 's_bar@layer0')
    """
    made = _NAME.fullmatch(name)
    return made[3] if made else name


def oscillation(name: str, values: Array) -> Array:
    """The series of that name, from that of its base, `[reading]`.

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
    return hjorth(values, window)[made[1]]


def hjorth(values: Array, window: int) -> dict[str, Array]:
    r"""Activity, mobility and complexity of the last readings, less their straight line.

    Activity is the variance of x, mobility $m(x) = \sqrt{\mathrm{var}(x') / \mathrm{var}(x)}$ with
    x' the differences of neighbours, complexity $m(x') / m(x)$, 1 for a sine.

    Args:
        values: Readings, `[reading]`.
        window: How many at once, 4 at least, whatever the steps between them.

    Returns:
        One number of each per reading; NaN before there are as many, where one of them is not
        finite, and mobility and complexity where nothing oscillates.

    Source:
        Hjorth (1970); of the train loss: arXiv:2306.13253. Deviations: at every reading instead of
        once, differences of readings and not of steps.
    """
    found = {name: np.full(values.size, np.nan) for name in QUANTITIES}
    if values.size < window:
        return found
    rows = sliding_window_view(values, window)
    rows = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.nan)
    at = np.arange(window) - (window - 1) / 2
    centred = rows - rows.mean(axis=1, keepdims=True)
    flat = centred - (centred @ at / (at @ at))[:, None] * at
    variances = [np.diff(flat, n=n, axis=1).var(axis=1) for n in range(3)]
    least = (_ROUNDING * np.abs(rows).max(axis=1)) ** 2
    moves = [np.where(v > least, v, np.nan) for v in variances[:2]]
    mobility = np.sqrt(variances[1] / moves[0])
    made = (variances[0], mobility, np.sqrt(variances[2] / moves[1]) / mobility)
    for name, value in zip(QUANTITIES, made, strict=True):
        found[name][window - 1 :] = value
    return found
