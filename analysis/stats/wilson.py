"""Wilson's interval for a share of replicas."""

from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray


def wilson_interval(
    k: ArrayLike, n: ArrayLike, level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper limits of the share k / n.

    Unlike the normal interval it stays inside [0, 1] and is not empty at 0 of n and n of n.

    Raises:
        ValueError: If a bin holds no trial.

    Source:
        Wilson (1927), J. Am. Stat. Assoc. 22, 209. Deviation: none.

    Example:
        >>> low, high = wilson_interval([0, 8], [8, 8], 0.95)
        >>> low.round(3).tolist(), high.round(3).tolist()
        ([0.0, 0.676], [0.324, 1.0])
    """
    successes, trials = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    if np.any(trials <= 0):
        raise ValueError(f"`n` must be positive in every bin, got {trials}.")
    z2 = NormalDist().inv_cdf(0.5 + level / 2.0) ** 2
    share = successes / trials
    centre = (share + z2 / (2.0 * trials)) / (1.0 + z2 / trials)
    spread = z2 * (share * (1.0 - share) / trials + z2 / (4.0 * trials**2))
    half = np.sqrt(spread) / (1.0 + z2 / trials)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)
