"""Times that are only known to lie between two looks far apart: their distribution and a test."""

import numpy as np

from observatory.analysis.stats.observations import Array, Observations


def bounds_of(data: Observations) -> tuple[Array, Array]:
    """The interval (low, high] that holds each time, `[row]`: high is infinite where it is open."""
    seen, high = data.grokked, data.followed
    low = high if data.time_lo is None else np.where(np.isnan(data.time_lo), high, data.time_lo)
    low = np.where(low >= high, np.nextafter(high, 0.0), low)
    return np.where(seen, low, high), np.where(seen, high, np.inf)


def overlapping(data: Observations) -> bool:
    """Whether some of the intervals overlap in part: then their upper ends alone mislead."""
    low, high = (bound[data.grokked] for bound in bounds_of(data))
    pairs = np.unique(np.column_stack([low, high]), axis=0)
    return bool(np.any(np.maximum.accumulate(pairs[:-1, 1]) > pairs[1:, 0]))


def turnbull(low: Array, high: Array, weights: Array) -> tuple[Array, Array]:
    """The distribution that is likeliest for intervals (low, high], by self-consistency.

    Where in an innermost interval its mass lies cannot be known: it is put at the upper end.

    Returns:
        Upper ends of the innermost intervals, rising, the last infinite where a time may be, and
        their masses, `[interval]` each.

    Source:
        Turnbull (1976), J. R. Stat. Soc. B 38, 290. Deviation: none.
    """
    ends = np.concatenate([high, low])
    opens = np.repeat([0, 1], low.size)  # at one place, what ends there does so before what begins
    order = np.lexsort((opens, ends))
    ends, opens = ends[order], opens[order]
    inner = np.flatnonzero((opens[:-1] == 1) & (opens[1:] == 0))
    left, right = ends[inner], ends[inner + 1]
    holds = (low[:, None] <= left) & (right <= high[:, None])
    share, mass = weights / weights.sum(), np.full(left.size, 1.0 / left.size)
    for _ in range(20_000):
        new = mass * ((share / (holds @ mass)) @ holds)
        moved, mass = float(np.abs(new - mass).max()), new
        if moved < 1e-12:
            break
    return right, mass


def interval_log_rank(low: Array, high: Array, weights: Array, group: Array) -> float:
    """Chi-square of the log-rank test of intervals: groups less one degrees of freedom.

    Every interval has the score of proportional hazards under the distribution of all of them
    together; scores are compared between groups by their variance under permutation.

    Source:
        Finkelstein (1986), Biometrics 42, 845; Fay and Shih (1998), J. Am. Stat. Assoc. 93, 387,
        for the permutation. Deviation: none.
    """
    ends, mass = turnbull(low, high, weights)

    def left_at(steps: Array) -> Array:
        return np.clip(1.0 - (ends[None] <= steps[:, None]) @ mass, 0.0, 1.0)

    before, after = left_at(low), left_at(high)
    logs = [np.where(s > 1e-12, s * np.log(np.maximum(s, 1e-300)), 0.0) for s in (before, after)]
    score = (logs[0] - logs[1]) / np.maximum(before - after, 1e-300)
    n, mean = weights.sum(), np.average(score, weights=weights)
    spread = float(weights @ (score - mean) ** 2) / (n - 1.0)
    _, of = np.unique(group, return_inverse=True)
    size, total = np.bincount(of, weights), np.bincount(of, weights * (score - mean))
    return float((total**2 / size).sum() / spread)
