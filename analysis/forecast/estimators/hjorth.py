"""How a series oscillates: Hjorth's parameters of its last readings."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from observatory.analysis.forecast.estimators.records import Array

QUANTITIES = ("activity", "mobility", "complexity")
ROUNDING = 1e-12
"""A deviation below this share of the largest value is none."""


def windows_of(values: Array, window: int) -> Array:
    """Readings in a row, `[window, reading]`; all NaN where one of them is not finite."""
    rows = sliding_window_view(values, window)
    return np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.nan)


def less_line(rows: Array) -> Array:
    """Every row less its straight line."""
    at = np.linspace(-1.0, 1.0, rows.shape[1])
    centred = rows - rows.mean(axis=1, keepdims=True)
    return centred - (centred @ at / (at @ at))[:, None] * at


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
    rows = windows_of(values, window)
    flat = less_line(rows)
    variances = [np.diff(flat, n=n, axis=1).var(axis=1) for n in range(3)]
    least = (ROUNDING * np.abs(rows).max(axis=1)) ** 2
    moves = [np.where(v > least, v, np.nan) for v in variances[:2]]
    mobility = np.sqrt(variances[1] / moves[0])
    made = (variances[0], mobility, np.sqrt(variances[2] / moves[1]) / mobility)
    for name, value in zip(QUANTITIES, made, strict=True):
        found[name][window - 1 :] = value
    return found
