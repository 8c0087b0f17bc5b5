"""The rate of grokking as a curve with one edge or two, and its derivatives.

Letters: x = log10 weight decay, F a link, theta = (x0, log slope, guess, lapse) and for a window
also (x1, log of its slope); rise R = F(k0 (x - x0)), stay D = 1 - F(k1 (x - x1)) or 1, s = R D,
p = guess (1 - s) + (1 - lapse) s, q = 1 - p.
"""

import numpy as np

from observatory.analysis.stats.links import Array, Link

X0, LOG_SLOPE, GUESS, LAPSE, X1, LOG_SLOPE_1 = range(6)
TINY = 1e-100
"""Smallest probability: its square is a number still."""


def rates(x: Array, theta: Array, link: Link, shift: Array | float = 0.0) -> tuple[Array, ...]:
    """P and q, `[row, bin]`, and the derivatives of p, `[row, param, bin]`.

    Args:
        x: `[bin]`.
        theta: `[row, 4]` for one edge, `[row, 6]` for a window.
        link: The shape of the edges.
        shift: Added to x0 and x1, `[row, 1]`.
    """
    x0, k0 = theta[:, X0, None] + shift, np.exp(theta[:, LOG_SLOPE, None])
    guess, lapse = theta[:, GUESS, None], theta[:, LAPSE, None]
    z0 = k0 * (x - x0)
    rise, not_rise, bell = link.rise(z0), link.fall(z0), link.bell(z0)
    by_s = 1.0 - guess - lapse
    if theta.shape[1] == 4:
        s, not_s = rise, not_rise
        edges = [-k0 * bell, z0 * bell]
    else:
        x1, k1 = theta[:, X1, None] + shift, np.exp(theta[:, LOG_SLOPE_1, None])
        z1 = k1 * (x - x1)
        stay, gone, bell_1 = link.fall(z1), link.rise(z1), link.bell(z1)
        s, not_s = rise * stay, not_rise + rise * gone
        edges = [-k0 * bell * stay, z0 * bell * stay, k1 * bell_1 * rise, -z1 * bell_1 * rise]
    p = np.maximum(guess * not_s + (1.0 - lapse) * s, TINY)
    q = np.maximum((1.0 - guess) * not_s + lapse * s, TINY)
    slopes = [by_s * edge for edge in edges]
    return p, q, np.stack([*slopes[:2], not_s, -s, *slopes[2:]], axis=1)
