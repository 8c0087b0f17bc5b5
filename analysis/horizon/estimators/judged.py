"""A table as the verdict on a boundary looks at it, and the verdict alone."""

import numpy as np

from observatory.analysis.boundary.estimators.checks import require_logistic_rise
from observatory.analysis.boundary.estimators.likelihood import firth_points
from observatory.analysis.horizon.estimators.boundary import boundaries, shorter_horizons
from observatory.analysis.horizon.estimators.verdict import (
    Samples,
    evidence_of,
    longest,
    verdict_of,
)
from observatory.analysis.stats.bins import RateBins, bin_rates, require_boundary
from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_table import (
    Sample,
    require_fixed,
    require_times,
    sample_of,
)
from observatory.core.errors import FitRefusedError


def rising_bins(data: Observations, level: float) -> RateBins:
    """The counts of a table that can be judged; refuses all others, as `Horizon.fit` says."""
    require_times(data)
    require_fixed(data, "free")
    bins = bin_rates(data)
    require_boundary(bins)
    x0, log_slope = firth_points(bins.x, bins.n[None], bins.k[None])[0]
    require_logistic_rise(bins, x0, log_slope, level)
    return bins


def _fixed_sample(data: Observations) -> Sample | None:
    """A part of a table; None where too few of its replicas grokked to fix the laws."""
    try:
        require_fixed(data, "free")
    except FitRefusedError:
        return None
    return sample_of(data)


def lower_window(data: Observations, observed: float) -> float:
    """The largest weight decay that is left without the largest third of those above a boundary."""
    cells = np.unique(data.weight_decay)
    n_above = int((cells > observed).sum())
    return float(cells[-1 - max(n_above // 3, 1)])


def samples(data: Observations, whole: Sample, early: float, lower: float) -> Samples:
    """A table as the verdict looks at it: whole, at an earlier horizon, up to a smaller control."""
    parts = data.at_horizon(early), data.within(lower)
    return Samples(whole, *(_fixed_sample(part) for part in parts))


def verdict_by(
    observations: Observations, window_max: float, held_out: float, n_grid: int, level: float
) -> tuple[str, str]:
    """The verdict of `Horizon` on one table and its reason, without limits and without an outlook.

    Args:
        observations: The records, cut at the horizon of the verdict.
        window_max: Largest control that enters.
        held_out: The shorter horizon, as a share of the longest.
        n_grid: Points of the search for a critical point.
        level: Of the tests.

    Raises:
        FitRefusedError: As `Horizon.fit`.
    """
    data = observations.within(window_max)
    rising_bins(data, level)
    whole = sample_of(data)
    steps = longest(whole)
    horizons = shorter_horizons(data, steps, 2)
    observed = float(boundaries(data, horizons, data.weights[None])[0, -1])
    of = samples(data, whole, held_out * steps, lower_window(data, observed))
    evidence = {name: evidence_of(name, of, data.weights[None], n_grid, level) for name in ERRORS}
    return verdict_of(evidence, observed, level, data.control)
