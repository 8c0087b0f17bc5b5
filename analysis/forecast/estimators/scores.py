"""Rates and concordance of held-out seeds, with the seed as the unit of every interval."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta, t

from observatory.analysis.forecast.estimators.alarm_rules import Design, transformed
from observatory.analysis.forecast.estimators.records import Signal, SignalRecords
from observatory.analysis.stats.paired_tests import sign_flip_p
from observatory.analysis.stats.resample import percentile_interval

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def by_seed(values: Array | Mask, seed: NDArray[np.int64], seeds: NDArray[np.int64]) -> Array:
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

    Example:
        >>> low, high = share_interval(np.array([0.0, 0.0]), np.array([5.0, 5.0]), 0.95)
        >>> round(low, 3), round(high, 3)
        (0.0, 0.308)
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


def ratio_interval(
    top: Array, bottom: Array, weights: NDArray[np.int64], level: float
) -> tuple[float, float]:
    """Percentile interval of a ratio of sums over resampled seeds.

    Args:
        top: Numerator of each seed, `[seed]`.
        bottom: Denominator, `[seed]`.
        weights: How often each seed is in each resample, `[draw, seed]`.
        level: Coverage.
    """
    below = weights @ bottom
    return percentile_interval((weights @ top)[below > 0] / below[below > 0], level)


def difference_interval(
    one: Array, other: Array, sizes: Array, draws: Array, level: float
) -> tuple[float, float]:
    """Paired bootstrap by seed of a difference of shares, the rules chosen anew in each resample.

    Where every resample gives the same, Newcombe's limits, which are never of no width.

    Args:
        one: Successes of each seed, `[seed]`.
        other: Those of what it is compared with, `[seed]`.
        sizes: Trials, `[seed]`.
        draws: Differences on the seeds that each resample lacks, NaN where it lacks none, `[draw]`.
        level: Coverage.

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
    """Two-sided p-value of a difference of two signals: the larger one of two.

    Sign flips of the seeds' differences take the chosen rules as they are: exact for the rules, and
    bounded by the number of seeds. Resampled seeds choose the rules anew and are scored on the
    seeds that they lack: what other training seeds would have chosen is then in the p-value.

    Args:
        gaps: Differences of held-out successes, `[seed]`.
        draws: Of `difference_interval`.
        n_flips: Of signs, see `sign_flip_p`.
        rng: For the flips.

    Returns:
        The larger one, and that of the flips alone.
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


def concordance_pairs(
    signal: Signal, design: Design, records: SignalRecords, transform: str
) -> Array:
    """Who is higher, the replica with the event or one that is still at risk, just before it.

    At the last look that leaves the lead, each event is set beside the replicas of its control and
    task that are watched there, have memorised, and reach the event later or never.

    Returns:
        1 where the first is higher, 0.5 for ties, 0 where it is lower; NaN where they are no pair,
        `[replica, replica]`.
    """
    x = transformed(signal, transform, design.opened)
    here = x[:, design.last].T  # [event, replica]: everyone at the look of the event
    own = np.take_along_axis(x, design.last[:, None], axis=1)
    step = records.steps[design.last][:, None]
    t_lo = np.where(records.kind == "event", records.t_lo, np.inf)
    pair = design.event[:, None] & (records.kind != "twin")[None, :]
    pair &= records.control[:, None] == records.control[None, :]
    pair &= (records.opened[None, :] <= step) & (records.watched[None, :] >= step)
    pair &= t_lo[None, :] > t_lo[:, None]
    pair &= np.isfinite(here) & np.isfinite(own)
    return np.where(pair, (own > here) + 0.5 * (own == here), np.nan)


def held_out_concordance(
    pairs: dict[str, Array], records: SignalRecords, fold: NDArray[np.int64]
) -> tuple[Array, Array]:
    """Concordant pairs of each replica with an event, transform and sign chosen without its fold.

    Args:
        pairs: Of `concordance_pairs`, by transform.
        records: The replicas.
        fold: Of each replica.

    Returns:
        Concordant pairs and all pairs, `[replica]` each.
    """
    good, total = np.zeros(records.n), np.zeros(records.n)
    known = {name: np.isfinite(values) for name, values in pairs.items()}
    for part in np.unique(fold):
        train = fold != part
        best, lead, rising = next(iter(pairs)), -1.0, True
        for name, values in pairs.items():
            inside = known[name] & train[:, None] & train[None, :]
            if (n := int(inside.sum())) == 0:
                continue
            mean = float(values[inside].sum()) / n
            if abs(mean - 0.5) > lead + 1e-12:
                best, lead, rising = name, abs(mean - 0.5), mean >= 0.5
        rows = ~train
        chosen = np.where(known[best][rows], pairs[best][rows], 0.0)
        count = known[best][rows].sum(axis=1)
        good[rows] = chosen.sum(axis=1) if rising else count - chosen.sum(axis=1)
        total[rows] = count
    return good, total
