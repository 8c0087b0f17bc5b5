"""Firth's boundary with its profile limits, of many tables at once: one climb for all of them.

Letters: t tables, x log10 of the control, theta = (x0, log slope, guess 0, lapse 0).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.likelihood import (
    firth_box,
    firth_likelihood,
    firth_points,
)
from observatory.analysis.stats.ascent import Array, climb
from observatory.analysis.stats.solvers import chi2_quantile

_BEYOND, _SPACING = 1.0, 0.1
"""Decades beyond the data up to which a limit is looked for, and between the places looked at."""
_ROUNDS, _FINER = 2, 8
"""Times that the cell with the crossing is cut, and into how many parts."""


@dataclass(frozen=True)
class Boundaries:
    """Boundaries of tables that share their values of the control, on its own scale, `[t]`."""

    critical: Array
    ci_low: Array  # NaN where the profile has no lower end
    ci_high: Array  # NaN where it has no upper one
    log_slope: Array


def firth_boundaries(x: Array, n: Array, k: Array, level: float) -> Boundaries:
    """The penalised estimate of each table of counts with the limits of its profile.

    Args:
        x: log10 of the control, rising, `[bin]`.
        n: Replicas, `[t, bin]`.
        k: Replicas with the event; neither none nor all of a table, `[t, bin]`.
        level: Coverage of the limits.

    Source:
        Firth (1993), Biometrika 80, 27. Deviation: none; the profile is that of `BoundaryFirth`,
        cut to steps of a thousandth of a decade or less.
    """
    points = firth_points(x, n, k)
    top = _Profile(x, n, k, points[:, 1]).at(points[:, :1])[:, 0]
    drop = top - 0.5 * chi2_quantile(level, 1)
    ends = [_limit(x, n, k, points, drop, side) for side in (-1, 1)]
    return Boundaries(10.0 ** points[:, 0], 10.0 ** ends[0], 10.0 ** ends[1], points[:, 1])


@dataclass(frozen=True)
class _Profile:
    """The penalised likelihood with x0 held, the slope fitted anew."""

    x: Array
    n: Array
    k: Array
    log_slope: Array  # of the estimates, `[t]`

    def at(self, places: Array) -> Array:
        """The greatest value at each x0, `[t, place]`."""
        n_tables, n_places = places.shape
        of = firth_likelihood(self.x, self.n, self.k)
        which = np.repeat(np.arange(int(n_tables)), int(n_places))

        def likelihood(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
            return of(theta, which[rows])

        begin = np.zeros((n_tables * n_places, 4))
        begin[:, 0], begin[:, 1] = places.ravel(), self.log_slope[which]
        lows, highs = (np.tile(end, (len(begin), 1)) for end in firth_box(self.x))
        lows[:, 0] = highs[:, 0] = begin[:, 0]
        return climb(likelihood, begin, lows, highs, 1e-7)[1].reshape(n_tables, n_places)


def _limit(x: Array, n: Array, k: Array, points: Array, drop: Array, side: int) -> Array:
    """The outermost crossing of `drop` on one side, as log10; NaN where the profile stays above."""
    end = x[-1] + _BEYOND if side > 0 else x[0] - _BEYOND
    start = points[:, 0]
    n_places = int(np.ceil((np.ptp(x) + 2.0 * _BEYOND) / _SPACING)) + 1
    profile, tables = _Profile(x, n, k, points[:, 1]), np.arange(len(n))
    places = np.linspace(start, np.full(start.shape, end), n_places, axis=1)
    values = profile.at(places)
    last = _outermost(values, drop)
    open_ended = (last == n_places - 1) | (side * (end - start) <= 0)
    last = np.minimum(last, n_places - 2)
    for _ in range(_ROUNDS):
        places = np.linspace(places[tables, last], places[tables, last + 1], _FINER + 1, axis=1)
        values = profile.at(places)
        last = np.minimum(_outermost(values, drop), _FINER - 1)
    near, far = places[tables, last], places[tables, last + 1]
    above, below = (values[tables, at] - drop for at in (last, last + 1))
    share = np.clip(above / np.where(above > below, above - below, 1.0), 0.0, 1.0)
    return np.where(open_ended, np.nan, near + share * (far - near))


def _outermost(values: Array, drop: Array) -> NDArray[np.intp]:
    """The last place of each row at which the profile is not below, `[t]`; the first counts."""
    inside = values >= drop[:, None]
    inside[:, 0] = True
    return inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1)
