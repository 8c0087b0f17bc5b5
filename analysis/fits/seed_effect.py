"""The likelihood of a boundary that differs between seeds: each seed has its own critical point.

Letters as in `rate_curve`, and u a standard normal number per seed: the critical point of a seed is
x0 + spread u, in decades; theta = (x0, log slope, guess, lapse, spread).
"""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.ascent import Evaluate
from observatory.analysis.fits.links import Link
from observatory.analysis.fits.rate_curve import X0, rates

Array = NDArray[np.float64]

SPREAD = 4
N_NODES = 21
"""Points of the Gauss-Hermite rule over u."""
SMALLEST = 2e-3
"""Smallest spread looked at, in decades: no table of runs can tell it from none."""


def seed_likelihood(x: Array, n_by: Array, k_by: Array, link: Link) -> Evaluate:
    """The likelihood with u integrated out, with the observed scores' outer product as metric.

    Args:
        x: `[bin]`.
        n_by: Replicas of each seed, `[seed, bin]`.
        k_by: Grokked replicas of each seed, likewise.
        link: The shape of the rise.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(N_NODES)
    log_weights = np.log(weights / weights.sum())
    missed = n_by - k_by

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        n_row = len(theta)
        every = np.repeat(theta[:, :4], N_NODES, axis=0)
        u = np.tile(nodes, n_row)[:, None]
        p, q, slopes = rates(x, every, link, np.repeat(theta[:, SPREAD], N_NODES)[:, None] * u)
        slopes = np.concatenate([slopes, slopes[:, [X0]] * u[:, :, None]], axis=1)
        shape = (n_row, N_NODES, 5, x.size)
        by_p = (slopes / p[:, None]).reshape(shape)
        by_q = (slopes / q[:, None]).reshape(shape)
        log_p, log_q = (np.log(s).reshape(n_row, N_NODES, x.size) for s in (p, q))
        joint = log_p @ k_by.T + log_q @ missed.T + log_weights[:, None]  # [row, node, seed]
        top = joint.max(axis=1, keepdims=True)
        share = np.exp(joint - top)
        total = share.sum(axis=1, keepdims=True)
        value = (top + np.log(total)).sum(axis=(1, 2))
        score = by_p @ k_by.T - by_q @ missed.T  # [row, node, param, seed]
        each = ((share / total)[:, :, None, :] * score).sum(axis=1)
        return value, each.sum(axis=2), each @ each.swapaxes(1, 2)

    return evaluate
