"""Collapse: the network can no longer fit even its train split."""

import numpy as np
from numpy.typing import ArrayLike

from observatory.events.threshold import run_starts


def collapsed(
    steps: ArrayLike, train_acc: ArrayLike, level: float, looks: int, after: int
) -> int | None:
    """The step at which collapse was confirmed, or None.

    Confirmed at the last of `looks` consecutive looks with train accuracy below `level`, all of
    them at steps greater than `after`. NaN is not below: that is divergence.

    Args:
        steps: Steps of the looks, increasing, `[look]`.
        train_acc: Train accuracy, 0-1, `[look]`.
        level: Accuracy below which a look counts.
        looks: Length of the run of looks.
        after: Steps granted for memorising; looks up to and at this step do not count.

    Example:
        >>> collapsed([0, 10, 20, 30], [0.0, 0.1, 0.1, 0.1], level=0.3, looks=2, after=5)
        20
    """
    clock = np.asarray(steps)
    low = (np.asarray(train_acc, dtype=np.float64) < level) & (clock > after)
    starts = run_starts(low, looks)
    if not starts.any():
        return None
    return int(clock[int(starts.argmax()) + looks - 1])
