"""How often bootstrap intervals hold the truth, in studies simulated from the fit itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.resample import bca_interval, few_seeds_warning, left_out

_Refit = Callable[[Array, Array], Array]
"""From n and k, `[row, bin]`, to the parameters, `[row, param]`; NaN where there are none."""

_N_DRAWS = 199
"""Resamples per simulated study: enough for the limits of one study, whose error averages out."""
INTERVALS = {
    "percentile": "percentile bootstrap",
    "bca": "bias-corrected and accelerated bootstrap",
}
_WORDS = {"critical": "the critical point", "lapse": "the lapse rate", "guess": "the guessing rate"}


def bootstrap_coverage(
    bins: RateBins,
    rate: Array,
    truth: Mapping[str, float],
    refit: _Refit,
    interval: str,
    n_studies: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, float]:
    """Share of simulated studies whose bootstrap interval of each parameter holds the truth.

    The truth has these rates, `[bin]`, and these parameters, in the order in which `refit` has
    them. Replicas are independent. Empty where no study is simulated.
    """
    if not n_studies:
        return {}
    trials = np.rint(bins.n).astype(np.int64)
    studies = rng.binomial(trials, rate, size=(n_studies, trials.size))
    shares = np.repeat(studies / trials, _N_DRAWS, axis=0)
    drawn = rng.binomial(trials, shares).astype(np.float64)
    points = refit(np.tile(trials.astype(np.float64), (len(drawn), 1)), drawn)
    points = points.reshape(n_studies, _N_DRAWS, -1)
    if interval == "bca":
        each = [replace(bins, n=bins.n, k=k, n_by=None, k_by=None) for k in studies.astype(float)]
        ends = _bca_ends(each, points, refit, level)
    else:
        ends = _percentile_ends(points, level)
    held = (ends[0] <= list(truth.values())) & (ends[1] >= list(truth.values()))
    return {name: float(share) for name, share in zip(truth, held.mean(axis=0), strict=True)}


def _percentile_ends(points: Array, level: float) -> tuple[Array, Array]:
    """Limits of every study, `[study, param]`, of its draws, `[study, draw, param]`."""
    table = np.sort(points, axis=1)  # NaN goes last
    last = np.maximum((~np.isnan(table)).sum(axis=1) - 1, 0)
    tail = (1.0 - level) / 2.0
    low, high = np.floor(tail * last).astype(int), np.ceil((1.0 - tail) * last).astype(int)
    both = (np.take_along_axis(table, at[:, None], axis=1)[:, 0] for at in (low, high))
    return next(both), next(both)


def _bca_ends(
    studies: Sequence[RateBins], points: Array, refit: _Refit, level: float
) -> tuple[Array, Array]:
    """The same, corrected for bias and skewness."""
    own = refit(np.array([s.n for s in studies]), np.array([s.k for s in studies]))
    parts = [left_out(study) for study in studies]
    without = refit(*(np.concatenate([part[i] for part in parts]) for i in (0, 1)))
    ends = np.full((2, *own.shape), np.nan)
    start = 0
    for i, (_, _, alike) in enumerate(parts):
        left, start = without[start : start + alike.size], start + alike.size
        for j, value in enumerate(own[i].tolist()):
            draws, kept = points[i, :, j], np.isfinite(left[:, j])
            draws = draws[~np.isnan(draws)]
            if draws.size and not np.isnan(value):
                ends[:, i, j] = bca_interval(value, draws, left[kept, j], alike[kept], level)
    return ends[0], ends[1]


def coverage_extras(covered: Mapping[str, float]) -> dict[str, float | None]:
    """What a record says of it: that of the critical point, and of every other parameter."""
    others = {f"coverage_simulated_{n}": s for n, s in covered.items() if n != "critical"}
    return {"coverage_simulated": covered.get("critical"), **others}


def bootstrap_warnings(
    bins: RateBins, covered: Mapping[str, float], n_studies: int, level: float, interval: str
) -> list[str]:
    """Warnings of few seeds, and of intervals that cover less than they claim.

    The error of the simulation is allowed for.
    """
    error = (level * (1.0 - level) / max(n_studies, 1)) ** 0.5
    return few_seeds_warning(bins) + [
        f"In {n_studies} studies simulated from this fit, the {level:.0%} {INTERVALS[interval]} "
        f"interval of {_WORDS.get(name, f'the {name}')} covered it in {share:.0%}."
        for name, share in covered.items()
        if share < level - 2.0 * error
    ]
