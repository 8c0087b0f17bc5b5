"""Batches of a boundary search without a study: what the sampler asks for, one after the other."""

import numpy as np

from observatory.sweeps.acquisition import GridDraws
from observatory.sweeps.grid_posterior import GridPosterior


def choose_batch(posterior: GridPosterior, size: int, rng: np.random.Generator) -> np.ndarray:
    """Values of the control to run together, rising; values may repeat, `[replica]`."""
    draws = GridDraws(posterior, 16, rng)
    chosen = np.empty(size)
    for i in range(size):
        chosen[i] = draws.next()
        draws.run(chosen[i])
    return np.sort(chosen)
