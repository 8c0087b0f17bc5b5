"""Rates and concordance of held-out seeds, with the seed as the unit of every interval."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import numpy as np
from scipy.stats import beta, t

from observatory.analysis.forecast.estimators.records import (
    Array,
    Ints,
    Mask,
)
from observatory.analysis.stats.paired_tests import sign_flip_p
from observatory.analysis.stats.resample import percentile_interval


def by_seed(values: Array | Mask, seed: Ints, seeds: Ints) -> Array:
    """Sums over the replicas of each seed, `[seed]`; replicas of other seeds are left out."""
    inside = np.isin(seed, seeds)
    sums = np.zeros(seeds.size)
    np.add.at(sums, np.searchsorted(seeds, seed[inside]), values[inside].astype(np.float64))
    return sums


def share_interval(hits: Array, sizes: Array, level: float) -> tuple[float, float]:
    """Clopper and Pearson's limits of a share, at the number that clustered replicas are worth.

    Seeds whose replicas agree count as fewer trials: n is divided by the design effect of the
    seeds, and shrunk for their small number. Where all replicas agree the effect is not known, and
    the limits are those of independent ones.

    Args:
        hits: Successes of each seed, `[seed]`.
        sizes: Its trials, `[seed]`; seeds without any do not count.
        level: Coverage.

    Source:
        Korn & Graubard (1998), Surv. Methodol. 24, 193. Deviation: a design effect below 1 is 1.
    """
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    n, k, m = float(sizes.sum()), float(hits.sum()), sizes.size
    if n == 0:
        return 0.0, 1.0
    share = k / n
    worth = n
    if 0.0 < share < 1.0 and m > 1:
        rest = hits - share * sizes
        variance = m / (m - 1) * float((rest**2).sum()) / n**2
        single, tail = share * (1.0 - share) / (n - 1.0), 0.5 + level / 2.0
        shrink = (float(t.ppf(tail, n - 1)) / float(t.ppf(tail, m - 1))) ** 2
        worth = n * shrink * min(1.0, single / variance if variance else 1.0)
    k, half = share * worth, (1.0 - level) / 2.0
    low = 0.0 if k <= 0 else float(beta.ppf(half, k, worth - k + 1.0))
    high = 1.0 if k >= worth else float(beta.ppf(1.0 - half, k + 1.0, worth - k))
    return low, high


def ratio_interval(top: Array, bottom: Array, weights: Ints, level: float) -> tuple[float, float]:
    """Percentile interval of a ratio of sums, the seeds weighted as in each resample."""
    below = weights @ bottom
    return percentile_interval((weights @ top)[below > 0] / below[below > 0], level)


def difference_interval(
    one: Array, other: Array, sizes: Array, draws: Array, level: float
) -> tuple[float, float]:
    """Paired bootstrap by seed of a difference of shares, the rules chosen anew in each resample.

    `draws` are differences on the seeds that each resample lacks, NaN where it lacks none. Where
    all are the same: Newcombe's limits, which are never of no width.

    Source:
        Newcombe (1998), Stat. Med. 17, 2635, with Korn and Graubard's limits and no correlation.
    """
    low, high = percentile_interval(draws[np.isfinite(draws)], level)
    if low < high:
        return low, high
    (a, b), (c, d) = (share_interval(hits, sizes, level) for hits in (one, other))
    n = float(sizes.sum())
    p, q = float(one.sum()) / n, float(other.sum()) / n
    return p - q - float(np.hypot(p - a, d - q)), p - q + float(np.hypot(b - p, q - c))


def difference_p(
    gaps: Array, draws: Array, n_flips: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Two-sided p-value of a difference of two signals: the larger one of two; and that of flips.

    Sign flips of the seeds' differences take the chosen rules as they are: exact for the rules, and
    bounded by the number of seeds. Resampled seeds choose the rules anew and are scored on the
    seeds that they lack: what other training seeds would have chosen is then in the p-value.
    """
    if not gaps.any():
        return 1.0, 1.0
    known = draws[np.isfinite(draws)]
    against = min(int((known <= 0).sum()), int((known >= 0).sum()))
    flips = sign_flip_p(gaps, n_flips, rng)
    return max(flips, min(1.0, 2.0 * (against + 1) / (known.size + 1))), flips


def wider(limits: tuple[float, float], draws: Array, level: float) -> tuple[float, float]:
    """Limits that hold those of replicas and those of resampled seeds."""
    low, high = percentile_interval(draws[np.isfinite(draws)], level)
    return min(limits[0], low), max(limits[1], high)
