"""The boundary as the same records show it at shorter horizons."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.firth_points import firth_points
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def boundaries(data: Observations, horizons: Array, drawn: Array) -> Array:
    """Boundaries in resamples of one table, each resample at every horizon.

    Firth's penalised logistic in log10 weight decay: finite for separated counts too.

    Args:
        data: A table whose events have times.
        horizons: Steps, `[horizon]`.
        drawn: Replicas of each row, `[draw, row]`.

    Returns:
        Weight decays at which half of the replicas grok, `[draw, horizon]`: infinite where none of
        a resample did, 0 where all did.
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
    """Horizons, log-spaced, from the shortest at which a boundary is found up to the longest.

    A boundary is found where it lies between the smallest and the largest weight decay.

    Args:
        data: A table whose events have times.
        longest: Steps.
        n_horizons: How many.

    Raises:
        FitRefusedError: If none is found at the longest.
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
