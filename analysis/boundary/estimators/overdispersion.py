"""The beta-binomial likelihood: rates that scatter around a curve more than counts alone would.

Letters as in `rate_curve`, and rho the correlation of two replicas of one group; theta = (x0, log
slope, guess, lapse, rho), s = (1 - rho) / rho.
"""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.rate_curve import rates
from observatory.analysis.stats.ascent import Evaluate
from observatory.analysis.stats.links import Link
from observatory.analysis.stats.solvers import digamma, log_gamma

Array = NDArray[np.float64]

RHO = 4
SMALLEST, LARGEST = 1e-4, 0.5
"""Ends of rho: below the first, no table of runs distinguishes it from the binomial."""


def beta_binomial(
    x: Array, group_bin: NDArray[np.int64], n: Array, k: Array, link: Link
) -> Evaluate:
    """The likelihood of counts per group, without binomial coefficients.

    Args:
        x: `[bin]`.
        group_bin: Bin of each group, `[group]`.
        n: Replicas, `[group]`.
        k: Grokked replicas, `[group]`.
        link: The shape of the rise.
    """
    missed = n - k

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        p, q, slopes = rates(x, theta[:, :4], link)
        p, q, slopes = p[:, group_bin], q[:, group_bin], slopes[:, :, group_bin]
        rho = theta[:, RHO, None]
        s = (1.0 - rho) / rho
        a, b = p * s, q * s
        value = log_gamma(k + a) - log_gamma(a) + log_gamma(missed + b) - log_gamma(b)
        value = (value + log_gamma(s) - log_gamma(n + s)).sum(axis=1)
        up, down = digamma(k + a) - digamma(a), digamma(missed + b) - digamma(b)
        by_s = p * up + q * down + digamma(s) - digamma(n + s)
        terms = np.concatenate(
            [slopes * (s * (up - down))[:, None], (by_s * (-1.0 / rho**2))[:, None]], axis=1
        )
        weight = n / (p * q * (1.0 + (n - 1.0) * rho))
        metric = terms @ terms.swapaxes(1, 2)
        expected = (slopes * weight[:, None]) @ slopes.swapaxes(1, 2)
        metric[:, :4, :4] = expected
        metric[:, RHO, :4] = metric[:, :4, RHO] = 0.0
        return value, terms.sum(axis=2), metric

    return evaluate
