"""The likelihood of a boundary that differs between seeds: each seed has its own critical point.

Letters as in `rate_curve`, and u a standard normal number per seed: the critical point of a seed is
x0 + spread u, in decades; theta = (x0, log slope, guess, lapse, spread).
"""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.rate_curve import X0, rates
from observatory.analysis.stats.ascent import Evaluate
from observatory.analysis.stats.links import Link

Array = NDArray[np.float64]

SPREAD = 4
REACH = 6.0
"""How far the rule over u reaches, in standard deviations."""
N_NODES, MOST_NODES = 61, 401
"""Points of that rule: at least, and where every seed has a sharp edge at most."""
SMALLEST = 2e-3
"""Smallest spread looked at, in decades: no table of runs can tell it from none."""


def nodes_for(theta: Array) -> int:
    """Points that resolve a seed's edge: two per width of it, in standard deviations of u.

    Example:
        >>> nodes_for(np.array([-1.0, np.log(10.0), 0.0, 0.0, 0.1])) == N_NODES
        True
    """
    steepness = float(np.exp(theta[1]) * theta[SPREAD])
    return int(np.clip(np.ceil(4.0 * REACH * steepness), N_NODES, MOST_NODES))


def seed_likelihood(x: Array, n_by: Array, k_by: Array, link: Link, n_nodes: int) -> Evaluate:
    """The likelihood with u integrated out, with the observed scores' outer product as metric.

    The integral is a sum over evenly spaced u with normal weights: exact to many digits as long as
    no seed's edge is sharper than the spacing.

    Args:
        x: `[bin]`.
        n_by: Replicas of each seed, `[seed, bin]`.
        k_by: Grokked replicas of each seed, likewise.
        link: The shape of the rise.
        n_nodes: Points of the sum, see `nodes_for`.
    """
    nodes = np.linspace(-REACH, REACH, n_nodes)
    weights = np.exp(-0.5 * nodes**2)
    log_weights = np.log(weights / weights.sum())
    missed = n_by - k_by

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        n_row = len(theta)
        every = np.repeat(theta[:, :4], n_nodes, axis=0)
        u = np.tile(nodes, n_row)[:, None]
        p, q, slopes = rates(x, every, link, np.repeat(theta[:, SPREAD], n_nodes)[:, None] * u)
        slopes = np.concatenate([slopes, slopes[:, [X0]] * u[:, :, None]], axis=1)
        shape = (n_row, n_nodes, 5, x.size)
        by_p = (slopes / p[:, None]).reshape(shape)
        by_q = (slopes / q[:, None]).reshape(shape)
        log_p, log_q = (np.log(s).reshape(n_row, n_nodes, x.size) for s in (p, q))
        joint = log_p @ k_by.T + log_q @ missed.T + log_weights[:, None]  # [row, node, seed]
        top = joint.max(axis=1, keepdims=True)
        share = np.exp(joint - top)
        total = share.sum(axis=1, keepdims=True)
        value = (top + np.log(total)).sum(axis=(1, 2))
        score = by_p @ k_by.T - by_q @ missed.T  # [row, node, param, seed]
        each = ((share / total)[:, :, None, :] * score).sum(axis=1)
        return value, each.sum(axis=2), each @ each.swapaxes(1, 2)

    return evaluate
