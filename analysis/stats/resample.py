"""Bootstrap and jackknife: what rows share is the unit, else the replica in its cell."""

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.bins import RateBins, seeds_recur
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import student_quantile

Array = NDArray[np.float64]

FEW_SEEDS = 5
"""Smallest group of seeds that is resampled within itself."""


def replica_weights(
    stratum: NDArray[np.int64], n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """How often each unit appears in each resample.

    Drawn with replacement within each stratum, since the number of replicas per weight decay was
    chosen, not observed. For the same strata in the same order and the same seed the draws are the
    same: one set of replicas, re-censored at several horizons, is so resampled jointly.

    Returns:
        Multiplicities, `[draw, unit]`; each row sums to the size of the stratum in each.

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


def _seed_strata(present: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Seeds that may stand in for each other: those that were run in the same cells.

    Where a set of cells has too few seeds of its own, all seeds are one stratum, unless every seed
    is in one cell alone.

    Example:
        >>> _seed_strata(np.array([[True, True]] * 5 + [[True, False]] * 5)).tolist()
        [1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    """
    _, pattern, sizes = np.unique(present, axis=0, return_inverse=True, return_counts=True)
    few = bool(np.any(sizes < FEW_SEEDS)) and bool(np.any(present.sum(axis=1) > 1))
    return np.zeros(len(present), dtype=np.int64) if few else pattern.reshape(-1).astype(np.int64)


def row_weights(
    cell: NDArray[np.int64],
    seed: NDArray[np.int64] | None,
    weight: Array,
    n_draws: int,
    rng: np.random.Generator,
) -> Array:
    """How often each row appears in each resample: seeds are drawn where they recur over cells.

    Else the replicas of each cell are drawn, those that a weighted row stands for one by one.

    Returns:
        Replicas drawn of each row, `[draw, row]`.
    """
    if seed is not None and seeds_recur(cell, seed, weight):
        seeds, which = np.unique(seed, return_inverse=True)
        present = np.zeros((seeds.size, int(cell.max()) + 1), dtype=np.bool_)
        present[which, cell] = True
        return replica_weights(_seed_strata(present), n_draws, rng)[:, which] * weight
    drawn = np.zeros((n_draws, cell.size))
    for value in np.unique(cell):
        members = np.flatnonzero(cell == value)
        total = float(weight[members].sum())
        n = max(round(total), 1)
        drawn[:, members] = rng.multinomial(n, weight[members] / total, size=n_draws) * (total / n)
    return drawn


def resampled_counts(bins: RateBins, n_draws: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Replicas and grokked replicas of each bin in each resample.

    Where seeds recur over bins they are drawn whole, so that what a seed does at one weight decay
    stays beside what it does at the next; else the count of each bin is drawn anew.

    Returns:
        n and k, both `[draw, bin]`; a bin may be empty in a draw of whole seeds.
    """
    if bins.n_by is None or bins.k_by is None:
        n = np.rint(bins.n)
        k = rng.binomial(n.astype(np.int64), bins.rate, size=(n_draws, n.size))
        return np.tile(bins.n, (n_draws, 1)), k * (bins.n / n)
    strata = _seed_strata(bins.n_by > 0)
    step = max(1, 20_000_000 // len(strata))
    parts = [
        replica_weights(strata, min(step, n_draws - at), rng).astype(np.float64)
        for at in range(0, n_draws, step)
    ]
    n = np.concatenate([weights @ bins.n_by for weights in parts])
    return n, np.concatenate([weights @ bins.k_by for weights in parts])


def n_units(data: Observations) -> int:
    """Seeds that a resample draws, or replicas of a weight decay where every row is its own."""
    if data.seed is not None and np.unique(data.seed).size < data.seed.size:
        return max(np.unique(data.seed).size, 2)
    cells = np.unique(data.weight_decay, return_inverse=True)[1]
    return max(round(float(np.median(np.bincount(cells, data.weights)))), 2)


def few_seeds_warning(bins: RateBins) -> list[str]:
    """A warning where whole seeds are resampled and there are few of them."""
    if bins.n_by is None or len(bins.n_by) >= 10:
        return []
    return [
        f"The bootstrap draws whole seeds, of which there are {len(bins.n_by)}: with fewer than "
        "10 its intervals are too narrow."
    ]


def left_out(bins: RateBins) -> tuple[Array, Array, Array]:
    """The counts without one unit at a time: a seed where seeds recur, else a replica.

    Replicas that are alike give the same counts, so each kind comes once, with how many it is.

    Returns:
        n and k without each unit, `[unit, bin]`, and how many units are alike, `[unit]`.
    """
    if bins.n_by is not None and bins.k_by is not None:
        return bins.n - bins.n_by, bins.k - bins.k_by, np.ones(len(bins.n_by))
    one = np.eye(bins.n.size)
    n = np.concatenate([bins.n - one, bins.n - one])
    k = np.concatenate([bins.k - one, np.tile(bins.k, (bins.n.size, 1))])
    alike = np.concatenate([bins.k, bins.n - bins.k])
    there = alike > 0
    return n[there], k[there], alike[there]


def percentile_interval(draws: Array, level: float) -> tuple[float, float]:
    """Percentile interval of resampled estimates, none NaN.

    The limits are order statistics, rounded outwards, so that infinite draws are allowed.
    """
    tail = (1.0 - level) / 2.0
    low = np.quantile(draws, tail, method="lower")
    high = np.quantile(draws, 1.0 - tail, method="higher")
    return float(low), float(high)


def bca_interval(
    value: float, draws: Array, without: Array, alike: Array, level: float
) -> tuple[float, float]:
    """Bias-corrected and accelerated bootstrap interval.

    `without` are the estimates without one unit at a time, finite, each of which stands for as many
    units as `alike` says.

    Source:
        Efron (1987), J. Am. Stat. Assoc. 82, 171. Deviation: draws equal to the estimate count one
        half each, since estimates of counts repeat.
    """
    normal = NormalDist()
    less, same = (draws < value).sum(), (draws == value).sum()
    below = float(less + 0.5 * same) / draws.size
    bias = normal.inv_cdf(min(max(below, 0.5 / draws.size), 1.0 - 0.5 / draws.size))
    centred = (without * alike).sum() / max(float(alike.sum()), 1.0) - without
    second = float((alike * centred**2).sum())
    third = float((alike * centred**3).sum())
    acceleration = third / (6.0 * second**1.5) if second > 0 else 0.0

    def end(tail: float) -> float:
        z = bias + normal.inv_cdf(tail)
        return normal.cdf(bias + z / (1.0 - acceleration * z))

    half = (1.0 - level) / 2.0
    low = np.quantile(draws, end(half), method="lower")
    high = np.quantile(draws, end(1.0 - half), method="higher")
    return float(low), float(high)


def bootstrap_parameter(
    value: float, draws: Array, without: Array, alike: Array, interval: str, level: float
) -> Parameter:
    """An estimate with its standard error and bootstrap limits, `interval` being "bca" or not."""
    if interval == "bca":
        ends = bca_interval(value, draws, without, alike, level)
    else:
        ends = percentile_interval(draws, level)
    return Parameter(value, standard_error(draws), *ends)


def standard_error(draws: Array) -> float | None:
    """Standard deviation of the finite draws, or None where a draw is infinite."""
    return float(np.std(draws, ddof=1)) if np.all(np.isfinite(draws)) else None


def jackknife_limits(value: Array, without: Array, level: float) -> tuple[Array, Array, Array]:
    """Standard errors and Student's limits of estimates, `[number]`, by the jackknife.

    Args:
        value: The estimates.
        without: The same without each unit in turn, `[unit, number]`.
        level: Coverage.

    Source:
        Efron (1982), The jackknife, the bootstrap and other resampling plans, equation 3.2.
        Deviation: none. Student's quantile with as many degrees of freedom as units less one.
    """
    n = len(without)
    se = np.sqrt((n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0))
    half = student_quantile(0.5 + 0.5 * level, n - 1) * se
    return se, value - half, value + half
