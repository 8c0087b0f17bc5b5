"""Batches of a boundary search without a study: what the sampler asks for, one after the other."""

import numpy as np

from observatory.sweeps.acquisition import Worlds
from observatory.sweeps.belief import Belief


def choose_batch(belief: Belief, size: int, rng: np.random.Generator) -> np.ndarray:
    """Values of the control to run together, rising; values may repeat, `[replica]`."""
    worlds = Worlds(belief, 16, rng)
    chosen = np.empty(size)
    for i in range(size):
        chosen[i] = worlds.next()
        worlds.run(chosen[i])
    return np.sort(chosen)
