"""Curves of one cell over its replicas: which steps are final, which are kept, what is drawn."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

NEVER = np.iinfo(np.int64).max
"""Last look of a replica that has left: no later step can still change."""


@dataclass(frozen=True)
class Looks:
    """All looks of one cell in one table, sorted by replica, then step.

    Attributes:
        replica: Which replica each row belongs to.
        step: The replica's own step of each row.
        values: One column per quantity; NaN where it was not measured or not finite.
    """

    replica: Int[np.ndarray, " row"]
    step: Int[np.ndarray, " row"]
    values: Float[np.ndarray, "row quantity"]


def final_step(looks: Looks, left: dict[int, bool]) -> int:
    """Last step whose summary over the replicas can no longer change.

    Args:
        looks: What has been recorded so far.
        left: Whether each replica of the cell has left the fleet.

    Returns:
        `NEVER` where all have left; -1 where one has not been looked at yet.

    Example:
        >>> looks = Looks(np.array([0, 0, 1]), np.array([0, 25, 0]), np.zeros((3, 1)))
        >>> final_step(looks, {0: False, 1: False}), final_step(looks, {0: False, 1: True})
        (0, 25)
    """
    waiting = [replica for replica, has_left in left.items() if not has_left]
    lasts = [looks.step[looks.replica == replica].max(initial=-1) for replica in waiting]
    return int(min(lasts, default=NEVER))


def thinned(
    steps: Int[np.ndarray, " step"], horizon: int, points: int
) -> Bool[np.ndarray, " step"]:
    """Which steps a curve keeps: the first of each of `points` log-spaced bins, and step 0.

    A step that was kept stays kept when later steps come.

    Args:
        steps: Distinct steps in rising order.
        horizon: Steps at which the last bin ends.
        points: Number of bins between step 1 and the horizon.

    Example:
        >>> thinned(np.array([0, 1, 10, 11, 12, 100]), horizon=100, points=4)
        array([ True,  True,  True, False, False,  True])
    """
    per_decade = points / np.log10(max(horizon, 10))
    # The tiny shift keeps an exact power, such as 1000, in the bin that it opens.
    bins = np.floor(np.log10(np.maximum(steps, 1)) * per_decade + 1e-9)
    bins[steps < 1] = -1.0
    return np.diff(bins, prepend=-2.0) > 0


def held(
    looks: Looks, steps: Int[np.ndarray, " step"]
) -> Float[np.ndarray, "step replica quantity"]:
    """Values of every replica at `steps`, each held from its last look at or before the step.

    A replica that has left keeps its last values: otherwise the early grokkers, once settled and
    gone, would leave a median over the laggards alone. NaN before the first look.

    Example:
        >>> values = np.array([[0.1], [0.9], [0.2]])
        >>> looks = Looks(np.array([0, 0, 1]), np.array([0, 50, 0]), values)
        >>> held(looks, np.array([0, 25, 50]))[..., 0]
        array([[0.1, 0.2],
               [0.1, 0.2],
               [0.9, 0.2]])
    """
    columns = []
    starts = np.flatnonzero(np.diff(looks.replica, prepend=looks.replica[0] - 1))
    for mine in map(slice, starts, [*starts[1:], None]):
        last = np.searchsorted(looks.step[mine], steps, side="right") - 1
        values = looks.values[mine][np.maximum(last, 0)]
        columns.append(np.where((last < 0)[:, None], np.nan, values))
    return np.stack(columns, axis=1)


def quantiles(
    values: Float[np.ndarray, "step replica quantity"], levels: tuple[float, ...]
) -> Float[np.ndarray, "level step quantity"]:
    """Quantiles over the replicas with a finite value, linear between order statistics.

    Returns:
        NaN where no replica has a finite value.

    Example:
        >>> quantiles(np.array([[[1.0], [np.nan], [3.0]]]), (0.5,)).ravel()
        array([2.])
    """
    ordered = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN sorts last
    count = np.isfinite(ordered).sum(axis=1)
    results = []
    for level in levels:
        place = np.maximum(count - 1, 0) * level
        below = np.floor(place).astype(int)
        above = np.ceil(place).astype(int)
        low = np.take_along_axis(ordered, below[:, None, :], axis=1)[:, 0]
        high = np.take_along_axis(ordered, above[:, None, :], axis=1)[:, 0]
        results.append(low + (high - low) * (place - below))
    return np.stack(results)


def order_statistic(times: Float[np.ndarray, " replica"], level: float) -> float | None:
    """Smallest time by which a share `level` of all replicas has had the event.

    Args:
        times: Upper ends of the event intervals, steps; infinite where the event was not observed.
        level: Share in (0, 1]; 0.5 is the median with censored replicas counted.

    Returns:
        None where fewer replicas than that had it.

    Example:
        >>> order_statistic(np.array([300.0, np.inf, 100.0, 200.0]), 0.5)
        200.0
        >>> order_statistic(np.array([300.0, np.inf, np.inf]), 0.5) is None
        True
    """
    time = np.sort(times)[max(int(np.ceil(level * len(times))) - 1, 0)]
    return float(time) if np.isfinite(time) else None
