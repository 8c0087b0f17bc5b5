"""The likelihood of two edges for many counts at once, and whether the second one is there."""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.likelihood import (
    binomial,
    box,
    fit_many,
    step_likelihood,
)
from observatory.analysis.boundary.estimators.rate_curve import rates
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import Link

Array = NDArray[np.float64]

_N_STARTS = 4
"""Pairs of gaps from which each set of counts is climbed: the best of all pairs."""


def _window_value(bins: RateBins, k: Array, link: Link, lapse: float | None) -> Array:
    """The greatest log-likelihood of two edges, for many counts of the same bins.

    Args:
        bins: The bins and their replicas.
        k: Grokked replicas, `[row, bin]`.
        link: The shape of the edges.
        lapse: The lapse rate, None to fit it.
    """
    x, n = bins.x, bins.n
    low, high = box(bins, 0.0, lapse, two_edges=True)
    gaps = np.concatenate([[x[0] - 0.3], 0.5 * (x[1:] + x[:-1]), [x[-1] + 0.3]])
    left, right = np.triu_indices(gaps.size, 1)
    steep = np.full(left.size, np.log(10.0))
    shares = np.zeros(left.size), np.full(left.size, 0.02)
    pairs = np.clip(np.stack([gaps[left], steep, *shares, gaps[right], steep], 1), low, high)
    p, q, _ = rates(x, pairs, link)
    fits = k @ np.log(p).T + (n - k) @ np.log(q).T
    begin = pairs[np.argsort(-fits, axis=1)[:, :_N_STARTS]].reshape(-1, 6)
    n_each, k_each = np.tile(n, (len(begin), 1)), np.repeat(k, _N_STARTS, axis=0)
    return best_of(*climb(binomial(x, n_each, k_each, link), begin, low, high, 1e-7), _N_STARTS)[1]


def _edge_value(bins: RateBins, k: Array, link: Link) -> tuple[Array, NDArray[np.float64]]:
    """The greatest log-likelihood of one edge, rising or falling, and the rates of the first row.

    Its lapse rate is fitted: a few replicas that fail anywhere are no second edge.

    Returns:
        `[row]` and, of the better edge of the first row, `[bin]`.
    """
    low, high = box(bins, 0.0, None)
    n = np.tile(bins.n, (len(k), 1))
    values: list[Array] = []
    curves: list[Array] = []
    for sign in (1, -1):
        x = np.sort(sign * bins.x)
        ends = low.copy(), high.copy()
        ends[0][0], ends[1][0] = x[0] - 10.0, x[-1] + 10.0
        turned = k[:, ::sign], n[:, ::sign]
        theta, value, _ = fit_many(x, turned[1], turned[0], link, *ends)
        values.append(np.maximum(value, step_likelihood(*turned, *ends)[0]))
        curves.append(rates(x, theta[:1], link)[0][0][::sign])
    table = np.stack(values)
    return table.max(axis=0), curves[int(np.argmax(table[:, 0]))]


def second_edge_p(
    bins: RateBins, link: Link, lapse: float | None, n_simulations: int, rng: np.random.Generator
) -> float:
    """How often counts of the best single edge favour two edges as much as these do.

    The reference of the likelihood ratio is simulated and refitted, since both edges are chosen
    from the data: chi-square would call one odd bin a second edge.

    Args:
        bins: The counts.
        link: The shape of the edges.
        lapse: The lapse rate of the window, None to fit it.
        n_simulations: Sets of counts drawn.
        rng: Where they come from.
    """
    _, single = _edge_value(bins, bins.k[None], link)
    n = np.rint(bins.n)
    drawn = rng.binomial(n.astype(np.int64), single, size=(n_simulations, n.size)) * (bins.n / n)
    k = np.concatenate([bins.k[None], drawn])
    ratio = _window_value(bins, k, link, lapse) - _edge_value(bins, k, link)[0]
    return (1.0 + float((ratio[1:] >= ratio[0] - 1e-6).sum())) / (1.0 + n_simulations)
