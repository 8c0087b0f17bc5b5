"""Bootstrap over replicas: a replica is the unit, drawn again within its weight decay."""

import numpy as np
from numpy.typing import NDArray


def replica_weights(
    stratum: NDArray[np.int64], n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each replica appears in each resample.

    Drawn with replacement within each stratum, since the number of replicas per weight decay was
    chosen, not observed. For the same strata in the same order and the same seed the draws are the
    same: one set of replicas, re-censored at several horizons, is so resampled jointly.

    Args:
        stratum: Index of each replica's weight decay, `[replica]`.
        n_draws: Number of resamples.
        rng: Where the draws come from.

    Returns:
        Multiplicities, `[draw, replica]`; each row sums to the size of the stratum in each.

    Example:
        >>> replica_weights(np.array([0, 0, 1]), 2, np.random.default_rng(0))[:, 2].tolist()
        [1, 1]
    """
    weights = np.zeros((n_draws, stratum.size), dtype=np.int64)
    for value in np.unique(stratum):
        members = np.flatnonzero(stratum == value)
        share = np.full(members.size, 1.0 / members.size)
        weights[:, members] = rng.multinomial(members.size, share, size=n_draws)
    return weights


def percentile_interval(draws: NDArray[np.float64], level: float) -> tuple[float, float]:
    """Percentile interval of resampled estimates.

    The limits are order statistics, rounded outwards, so that infinite draws are allowed.

    Args:
        draws: One estimate per resample, no NaN, `[draw]`.
        level: Coverage, such as 0.95.
    """
    tail = (1.0 - level) / 2.0
    low = np.quantile(draws, tail, method="lower")
    high = np.quantile(draws, 1.0 - tail, method="higher")
    return float(low), float(high)


def standard_error(draws: NDArray[np.float64]) -> float | None:
    """Standard deviation of the finite draws, or None where a draw is infinite."""
    return float(np.std(draws, ddof=1)) if np.all(np.isfinite(draws)) else None
