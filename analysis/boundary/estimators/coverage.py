"""How often an interval holds the truth, in studies simulated from the fit itself."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_Refit = Callable[[Array, Array], Array]
"""From n and k, `[row, bin]`, to log10 of the critical point, `[row]`; NaN where there is none."""

N_DRAWS = 199
"""Resamples per simulated study: enough for the limits of one study, whose error averages out."""


def percentile_coverage(
    n: Array,
    rate: Array,
    critical: float,
    refit: _Refit,
    n_studies: int,
    level: float,
    rng: np.random.Generator,
) -> float:
    """Share of simulated studies whose percentile bootstrap interval holds the truth.

    Args:
        n: Replicas, `[bin]`.
        rate: Rate of the truth, `[bin]`.
        critical: log10 of the critical point of the truth.
        refit: The estimator.
        n_studies: Studies simulated.
        level: Coverage that the interval claims.
        rng: Where studies and resamples come from.
    """
    trials = np.rint(n).astype(np.int64)
    studies = rng.binomial(trials, rate, size=(n_studies, n.size))
    shares = np.repeat(studies / trials, N_DRAWS, axis=0)
    drawn = rng.binomial(trials, shares).astype(np.float64)
    points = refit(np.tile(trials.astype(np.float64), (len(drawn), 1)), drawn)
    table = np.sort(points.reshape(n_studies, N_DRAWS), axis=1)  # NaN goes last
    known = np.isfinite(table).sum(axis=1)
    tail = (1.0 - level) / 2.0
    rows = np.arange(n_studies)
    low = table[rows, np.floor(tail * np.maximum(known - 1, 0)).astype(int)]
    high = table[rows, np.ceil((1.0 - tail) * np.maximum(known - 1, 0)).astype(int)]
    return float(np.mean((low <= critical) & (critical <= high)))


def coverage_warning(measured: float, n_studies: int, level: float, interval: str) -> list[str]:
    """A warning where an interval covers less than it claims, simulation error allowed for."""
    error = (level * (1.0 - level) / n_studies) ** 0.5
    if measured >= level - 2.0 * error:
        return []
    return [
        f"In {n_studies} studies simulated from this fit, the {level:.0%} {interval} interval of "
        f"the critical point covered it in {measured:.0%}."
    ]
