"""How far the last readings of a series are from a linear law: the residual of Hankel-DMD."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from observatory.analysis.forecast.estimators.records import Array

ENERGY = 0.99
"""Share of the squared singular values of the past that the linear law rests on."""


def hankel_residual(values: Array, window: int) -> Array:
    r"""Residual of dynamic mode decomposition of delayed readings, of every window.

    Columns are d = `window` / 4 readings in a row, X all but the last and Y all but the first of
    them; V are the right singular vectors of X that hold 99 % of its energy. The best law on them
    leaves $\lVert Y (1 - V V^\top) \rVert / \lVert Y \rVert$.

    Args:
        values: Readings, `[reading]` or `[reading, entry]`.
        window: How many at once, 4 at least, whatever the steps between them.

    Returns:
        One number per reading: 0 for a law of as many modes, up to about $1 / \sqrt{d}$ for noise,
        since Y and X share all but one delay. NaN before there are as many readings, where one of
        them is not finite, and where all are zero.

    Source:
        arXiv:2605.08237, of 19 quantiles of the log-probability. Deviation: windows and delays are
        not stated there.
    """
    rows = values.reshape(len(values), -1)
    found = np.full(len(rows), np.nan)
    delays = window // 4
    for last in range(window - 1, len(rows)):
        own = rows[last - window + 1 : last + 1]
        size = np.abs(own).max(initial=0.0)
        if not np.isfinite(size) or size == 0:
            continue
        hankel = sliding_window_view(own / size, delays, axis=0).reshape(window - delays + 1, -1).T
        _, s, v = np.linalg.svd(hankel[:, :-1], full_matrices=False)
        held = np.cumsum(s**2)
        law = v[: np.searchsorted(held, ENERGY * held[-1]) + 1]
        after = hankel[:, 1:]
        found[last] = np.linalg.norm(after - after @ law.T @ law) / np.linalg.norm(after)
    return found
