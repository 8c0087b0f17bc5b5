"""What the links of the finite-size chain share: draws, smooth crossovers, parameters."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from observatory.analysis.scaling.estimators.sample import Moments, Sample
from observatory.analysis.stats.estimate import Parameter, Plain
from observatory.analysis.stats.resample import Array, percentile_interval
from observatory.analysis.stats.solvers import student_quantile

Limits = tuple[float, float]
Curves = dict[str, Sequence[float | None]]


@dataclass(frozen=True)
class Draws:
    """The same cells three times: as they are, with seeds resampled, and as smooth crossovers."""

    sample: Sample
    own: Moments
    again: Moments
    smooth: Moments


@dataclass(frozen=True)
class Found:
    """What one link adds to the estimate."""

    params: dict[str, Parameter] = field(default_factory=dict[str, Parameter])
    curves: Curves = field(default_factory=Curves)
    extras: dict[str, Plain] = field(default_factory=dict[str, Plain])
    table: dict[str, dict[str, Plain]] = field(default_factory=dict[str, dict[str, Plain]])


def parameter(value: float, draws: Array, level: float) -> Parameter:
    """A value with the percentile interval and the spread of its draws, NaN ones left out."""
    seen = draws[np.isfinite(draws)]
    if seen.size < 2:
        return Parameter(value)
    low, high = percentile_interval(seen, level)
    return Parameter(value, float(np.std(seen, ddof=1)), low, high)


def student_parameter(value: float, draws: Array, n_seeds: int, level: float) -> Parameter:
    """A value with Student's limits, its variance that of draws of so many seeds.

    Percentiles of a few seeds lie too close: of five, those of the width's exponent covered 0.71
    for 0.95.

    Source:
        Davison and Hinkley (1997), section 2.4, the variance of a bootstrap of n units being that
        of n - 1 in n. Deviation: none.
    """
    seen = draws[np.isfinite(draws)]
    if seen.size < 2 or n_seeds < 2:
        return Parameter(value)
    spread = float(np.std(seen, ddof=1))
    degrees = n_seeds - 1
    half = student_quantile(0.5 + 0.5 * level, degrees) * spread * math.sqrt(n_seeds / degrees)
    return Parameter(value, spread, value - half, value + half)


def limits_of(found: Parameter) -> Limits:
    """The interval of a parameter, unbounded where it has none."""
    low = -np.inf if found.ci_low is None else found.ci_low
    return low, np.inf if found.ci_high is None else found.ci_high


def spread_columns(name: str, own: Array, draws: Array, level: float) -> Curves:
    """A column with the limits of its draws, `[place]` and `[draw, place]`; NaN is null."""
    limits = [parameter(float(v), d, level) for v, d in zip(own, draws.T, strict=True)]
    return {
        name: [None if np.isnan(v) else float(v) for v in own],
        f"{name}_low": [p.ci_low for p in limits],
        f"{name}_high": [p.ci_high for p in limits],
    }


def crossover_draws(
    sample: Sample, fitted: Array, distance: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    """Smooth crossovers: nothing but place and plateaus of the sigmoid depends on size.

    The scatter about a sigmoid `fitted` with one width for all sizes is a function of the
    `distance` from its centre in widths alone, `[cell]` each: every seed's is drawn from the cells
    of all sizes nearest in that distance, in units of each size's range.

    Returns:
        Distance of each row from the pivot of its cell, `[draw, row]`.
    """
    sizes = range(sample.sizes.size)
    ranges = np.array([float(np.ptp(sample.pivot[sample.cells_of(s)])) for s in sizes])
    amplitude = ranges[sample.of_size]
    inflated = np.sqrt(sample.n / np.maximum(sample.n - 1.0, 1.0)) / amplitude
    scatter = sample.deviation * inflated[sample.of_cell]
    drawn = np.empty((n_draws, sample.value.size))
    for cell, start in enumerate(sample.starts):
        nearest = np.argsort(np.abs(distance - distance[cell]), kind="stable")[: len(sizes)]
        pool = np.flatnonzero(np.isin(sample.of_cell, nearest))
        n = int(sample.n[cell])
        chosen = scatter[pool[rng.integers(pool.size, size=(n_draws, n))]]
        moved = fitted[cell] - sample.pivot[cell]
        drawn[:, start : start + n] = moved + amplitude[cell] * chosen
    return drawn


def tail_share(observed: float, null: Array) -> float:
    """Share of the null at least as large as the observed, which counts itself; never 0."""
    return float((1.0 + (null >= observed).sum()) / (1.0 + null.size))
