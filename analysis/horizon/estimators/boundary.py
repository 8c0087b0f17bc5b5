"""The boundary as the same records show it at shorter horizons."""

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import (
    firth_points,
)
from observatory.analysis.stats.observations import Array, Observations
from observatory.core.errors import FitRefusedError


def boundaries(data: Observations, horizons: Array, drawn: Array) -> Array:
    """Boundaries in resamples of one table, each resample at every horizon, `[draw, horizon]`.

    The weight decays at which half of the replicas grok by Firth's penalised logistic in log10
    weight decay, which is finite for separated counts too: infinite where none of a resample
    grokked, 0 where all did. `drawn` says how many replicas of each row are in a resample, `[draw,
    row]`.
    """
    cells, index = np.unique(data.weight_decay, return_inverse=True)
    member = (index[:, None] == np.arange(cells.size)).astype(np.float64)
    n = drawn @ member
    k = np.stack([drawn @ (member * data.grokked_by(steps)[:, None]) for steps in horizons], axis=1)
    every = np.repeat(n, horizons.size, axis=0)
    flat = k.reshape(-1, cells.size)
    found = 10.0 ** firth_points(np.log10(cells), every, flat)[:, 0]
    none, full = flat.sum(axis=1) == 0, flat.sum(axis=1) == every.sum(axis=1)
    return np.where(none, np.inf, np.where(full, 0.0, found)).reshape(-1, horizons.size)


def shorter_horizons(data: Observations, longest: float, n_horizons: int) -> Array:
    """Horizons in steps, log-spaced, from the shortest with a boundary up to the longest.

    The boundary must lie between the smallest and the largest weight decay; refused if that of the
    longest horizon does not.
    """
    tried = np.geomspace(longest, float(data.time[data.grokked].min()), 60)
    found = boundaries(data, tried, data.weights[None])[0]
    low, high = float(data.weight_decay.min()), float(data.weight_decay.max())
    inside = (found > low) & (found < high)
    if not inside[0]:
        side = "smaller" if found[0] <= low else "larger"
        raise FitRefusedError(
            f"The boundary at {longest:g} steps, {found[0]:.3g}, lies outside the {data.control}s "
            f"tried, {low:g} to {high:g}: how it moves with the horizon cannot be seen. Add "
            f"{side} {data.control}s."
        )
    last = int(np.argmin(inside)) if not inside.all() else tried.size
    return np.geomspace(float(tried[last - 1]), longest, n_horizons)
