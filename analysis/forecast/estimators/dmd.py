"""How far the last readings of a series are from a linear law: the residual of Hankel-DMD."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from observatory.analysis.forecast.estimators.records import Array

ENERGY = 0.99
"""Share of the squared singular values of the past that the linear law rests on."""


def hankel_residual(values: Array, window: int) -> Array:
    r"""Residual of dynamic mode decomposition of delayed readings, of every window.

    Columns are d = `window` / 4 readings in a row, X all but the last and Y all but the first of
    them; V are the right singular vectors of X that hold 99% of its energy, at most half as many
    as X has columns: all of them fit any Y, once entries times delays reach the columns. The best
    law on them leaves $\lVert Y (1 - V V^\top) \rVert / \lVert Y \rVert$. No mean is taken off:
    what fluctuates about a large level has a small residual.

    Args:
        values: Readings, `[reading]` or `[reading, entry]`.
        window: How many at once, 4 at least, whatever the steps between them.

    Returns:
        One number per reading, in [0, 1]: 0 for a linear law of no more modes than V has. White
        noise at a window of 16 has about 0.4 with one entry (less than 1, since Y and X share all
        but one delay) and 0.6 with 19. NaN before there are as many readings, where one of them is
        not finite, and where Y is zero.

    Source:
        arXiv:2605.08237, of 19 quantiles of the log-probability. Deviation: windows, delays and a
        bound on the modes are not stated there.
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
        modes = np.count_nonzero(held < ENERGY * held[-1]) + 1
        law = v[: min(modes, v.shape[1] // 2)]
        after = hankel[:, 1:]
        if total := np.linalg.norm(after):
            found[last] = np.linalg.norm(after - after @ law.T @ law) / total
    return found
