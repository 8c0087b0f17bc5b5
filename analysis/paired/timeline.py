"""How arms run beside their replicas after the act: mean differences of signals, with a band."""

from collections.abc import Sequence

import numpy as np

from observatory.analysis.page.frames import column
from observatory.analysis.paired.arms import (
    PARENT,
    Array,
    Curves,
    Networks,
    by_seed,
    curves_of,
    ends,
)
from observatory.analysis.stats.solvers import student_quantile

_POINTS = 60
"""Steps after the act at which a difference is stored."""
_LEAST = 3
"""Seeds of a mean."""


def timeline(
    nets: Sequence[Networks], signals: Sequence[str], level: float
) -> dict[str, list[float | None]]:
    """Mean difference arm - parent of recorded signals by steps since the act.

    Columns of `Estimate.curves`: `SIGNAL ARM.since`, `.mean`, `.low`, `.high`, the t interval of
    the seeds, each with the mean of its pairs that were both watched then, and `.n`, how many these
    are; readings between two looks are interpolated. A point with fewer than three seeds is left
    out.

    Raises:
        StoreError: If a run does not record a signal.
    """
    made: dict[str, list[float | None]] = {}
    for signal in signals:
        by_part = [(part, curves_of(part.runs, signal)) for part in nets]
        for arm in dict.fromkeys(name for part in nets for name in part.arms):
            found = [_differences(part, arm, curves) for part, curves in by_part]
            since, each = _together([pair for pairs, _ in found for pair in pairs])
            own = by_seed(each.T, np.concatenate([seeds for _, seeds in found]))[0].T
            n = np.isfinite(own).sum(axis=0)
            kept = n >= _LEAST
            if not kept.any():
                continue
            own, n, since = own[:, kept], n[kept], since[kept]
            mean, sd = np.nanmean(own, axis=0), np.nanstd(own, axis=0, ddof=1)
            quantiles = np.array([student_quantile(0.5 + level / 2.0, int(k) - 1) for k in n])
            reach = quantiles * sd / np.sqrt(n)
            columns = {"since": since, "mean": mean, "low": mean - reach, "high": mean + reach}
            for name, values in {**columns, "n": n}.items():
                made[f"{signal} {arm}.{name}"] = [float(value) for value in values]
    return made


def _differences(
    part: Networks, arm: str, curves: Curves
) -> tuple[list[tuple[Array, Array]], Array]:
    """Of each pair the steps since the act at which both were looked at, and arm - parent.

    And the seeds of these pairs.
    """
    found, seeds, pairs = list[tuple[Array, Array]](), list[float](), part.pairs(arm, PARENT)
    for each, seed in zip(ends(pairs), column(pairs, "seed").tolist(), strict=True):
        parent, own, moment, until = each
        if parent not in curves or own not in curves:
            continue
        (steps, before), (others, after) = curves[parent], curves[own]
        shared, i, j = np.intersect1d(steps, others, return_indices=True)
        inside = (shared > moment) & (shared <= until)
        if inside.sum() > 1:
            found.append((shared[inside] - moment, after[j][inside] - before[i][inside]))
            seeds.append(seed)
    return found, np.array(seeds)


def _together(pairs: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Differences on one axis of steps since the act, `[pair, step]`, NaN beyond a pair's record.

    Example:
        >>> _together([(np.array([0.0, 10.0]), np.array([0.0, 1.0]))])[1][0, -1]
        np.float64(1.0)
    """
    if not pairs:
        return np.zeros(0), np.zeros((0, 0))
    since = np.linspace(0.0, max(steps[-1] for steps, _ in pairs), _POINTS)
    rows = [np.interp(since, *pair, left=np.nan, right=np.nan) for pair in pairs]
    return since, np.array(rows)
