"""The boundary where rates scatter around the curve more than their counts allow.

Letters as in `likelihood`, and rho the correlation of two replicas of one group; theta = (x0, log
slope, guess, lapse, rho), s = (1 - rho) / rho.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.checks import boundary_warnings, require_fit
from observatory.analysis.boundary.estimators.likelihood import box, rates
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Fitted,
    LikelihoodFit,
    Maximum,
    profiled,
)
from observatory.analysis.stats.ascent import Array, Evaluate
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.estimate import Plain
from observatory.analysis.stats.links import Link, link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import digamma, log_gamma
from observatory.core.errors import FitRefusedError

_RHO = 4
_SMALLEST, _LARGEST = 1e-4, 0.5
"""Ends of rho: below the first, no table of runs distinguishes it from the binomial."""


def beta_binomial(
    x: Array, group_bin: NDArray[np.int64], n: Array, k: Array, link: Link
) -> Evaluate:
    """The likelihood of counts `[group]`, each of one bin, without binomial coefficients."""
    missed = n - k

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        p, q, slopes = rates(x, theta[:, :4], link)
        p, q, slopes = p[:, group_bin], q[:, group_bin], slopes[:, :, group_bin]
        rho = theta[:, _RHO, None]
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
        metric[:, :4, :4] = (slopes * weight[:, None]) @ slopes.swapaxes(1, 2)
        metric[:, _RHO, :4] = metric[:, :4, _RHO] = 0.0
        return value, terms.sum(axis=2), metric

    return evaluate


@final
@dataclass(kw_only=True)
class BoundaryBetaBinomial(LikelihoodFit):
    """Critical weight decay, slope, lapse rate and overdispersion.

    A group is the replicas of one seed at one weight decay where a seed has several of them there,
    else all replicas of a weight decay. Within a group replicas are alike by the correlation
    `overdispersion`; 0 is the binomial. Profile-likelihood intervals, with the quantile of F(1,
    groups - other parameters) in place of chi-square: the overdispersion is estimated from groups.
    """

    link: str  # the shape of the rise
    lapse: float | None  # the lapse rate; None to fit it

    def __post_init__(self) -> None:
        self.estimator, self.edge, self._link = "beta_binomial", "lower", link_named(self.link)

    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Refuses where there are no more groups than free parameters, or as `require_fit`."""
        link, group_bin, n, k = self._link, np.arange(bins.x.size), bins.n, bins.k
        if bins.n_by is not None and bins.k_by is not None and np.any(bins.n_by > 1):
            which, group_bin = np.nonzero(bins.n_by)
            n, k = bins.n_by[which, group_bin], bins.k_by[which, group_bin]
        low, high = box(bins, 0.0, self.lapse)
        n_free = int((low < high).sum()) + 1
        if n.size <= n_free:
            raise FitRefusedError(
                f"{n_free} free parameters need more groups than that, got {n.size}. Add "
                f"{data.control}s, or several replicas per seed."
            )
        plain, value = require_fit(bins, link, low, high, self.level)
        evaluate = beta_binomial(bins.x, group_bin, n, k, link)
        low, high = np.append(low, _SMALLEST), np.append(high, _LARGEST)
        begin = np.array([np.append(plain, rho) for rho in (0.01, 0.1, 0.3)])
        found = Maximum.climbed(evaluate, (*NAMES, "overdispersion"), begin, low, high)
        params = profiled(found, bins.x, self.level, n.size - n_free + 1)
        ratio, p_value = found.gain_over(value)
        extras: dict[str, Plain] = {
            "method": f"beta-binomial likelihood of the {link.name} curve in "
            f"log10({data.control}); profile likelihood with F quantiles",
            "link": link.name,
            "n_groups": n.size,
            "log_likelihood": found.value,
            "aic": found.aic,
            "lr_no_overdispersion": ratio,
            "window_max": self.window_max,
            "p_no_overdispersion": p_value,
            **found.held_shares,
        }
        warnings = boundary_warnings(data, bins, params, None)
        if found.theta[_RHO] <= _SMALLEST:
            warnings.append("No overdispersion was found: the fit equals the binomial one.")
        return found, params, warnings, extras
