"""How often an interval holds the truth, in studies simulated from the fit itself."""

from collections.abc import Callable

import numpy as np

from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.resample import few_seeds_warning

_Refit = Callable[[Array, Array], Array]
"""From n and k, `[row, bin]`, to log10 of the critical point, `[row]`; NaN where there is none."""

_N_DRAWS = 199
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

    The truth has these rates, `[bin]`, and this log10 of the critical point; `refit` estimates it.
    """
    trials = np.rint(n).astype(np.int64)
    studies = rng.binomial(trials, rate, size=(n_studies, n.size))
    shares = np.repeat(studies / trials, _N_DRAWS, axis=0)
    drawn = rng.binomial(trials, shares).astype(np.float64)
    points = refit(np.tile(trials.astype(np.float64), (len(drawn), 1)), drawn)
    table = np.sort(points.reshape(n_studies, _N_DRAWS), axis=1)  # NaN goes last
    known = np.isfinite(table).sum(axis=1)
    tail = (1.0 - level) / 2.0
    rows = np.arange(n_studies)
    low = table[rows, np.floor(tail * np.maximum(known - 1, 0)).astype(int)]
    high = table[rows, np.ceil((1.0 - tail) * np.maximum(known - 1, 0)).astype(int)]
    return float(np.mean((low <= critical) & (critical <= high)))


def bootstrap_warnings(
    bins: RateBins, covered: float, n_studies: int, level: float, interval: str
) -> list[str]:
    """Warnings of few seeds, and of an interval that covers less than it claims.

    The error of the simulation is allowed for.
    """
    error = (level * (1.0 - level) / n_studies) ** 0.5
    if covered >= level - 2.0 * error:
        return few_seeds_warning(bins)
    return [
        *few_seeds_warning(bins),
        f"In {n_studies} studies simulated from this fit, the {level:.0%} {interval} interval of "
        f"the critical point covered it in {covered:.0%}.",
    ]
