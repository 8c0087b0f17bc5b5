"""A smooth crossover to compare with: sigmoids of one width for all sizes, and their scatter."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.scaling.estimators.sample import Sample

Array = NDArray[np.float64]


def crossover_draws(
    sample: Sample, fitted: Array, distance: Array, n_draws: int, rng: np.random.Generator
) -> Array:
    """Data sets in which nothing but the place and the plateaus of the sigmoid depends on size.

    The scatter about the sigmoid is a function of the distance from its centre alone: each seed's
    is drawn from the cells of all sizes nearest in that distance, in units of each size's range.

    Args:
        sample: The cells.
        fitted: Mean of each cell under one width for all sizes, `[cell]`.
        distance: Of each cell from the centre of its size, in that width, `[cell]`.
        n_draws: How many data sets.
        rng: Where they come from.

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
