"""The boundary where rates scatter around the curve more than their counts allow."""

from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import boundary_warnings, require_rise
from observatory.analysis.boundary.estimators.likelihood import SEPARATED, box, fit_many
from observatory.analysis.boundary.estimators.overdispersion import (
    LARGEST,
    RHO,
    SMALLEST,
    beta_binomial,
)
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Maximum,
    boundary_record,
    profiled,
)
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import bin_rates, require_boundary, separation_reason
from observatory.analysis.stats.estimate import Estimate, Plain
from observatory.analysis.stats.links import link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_tail
from observatory.core.errors import FitRefusedError


@final
class BoundaryBetaBinomial:
    """Critical weight decay, slope, lapse rate and overdispersion.

    A group is the replicas of one seed at one weight decay where a seed has several of them there,
    else all replicas of a weight decay. Within a group replicas are alike by the correlation
    `overdispersion`; 0 is the binomial.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"
    estimator = "beta_binomial"

    def __init__(
        self, link: str, window_max: float | None, lapse: float | None, level: float
    ) -> None:
        self.link = link_named(link)
        self.window_max = window_max
        self.lapse = lapse
        self.level = level

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table; `seed` is recorded, nothing is drawn.

        Raises:
            FitRefusedError: If there are no more groups than free parameters, no boundary can lie
                in the bins, the counts are separated, or the rate does not rise beyond its scatter.
        """
        data = observations.within(self.window_max)
        bins, link = bin_rates(data), self.link
        require_boundary(bins)
        group_bin, n, k = np.arange(bins.x.size), bins.n, bins.k
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
        plain, value, margin = fit_many(bins.x, bins.n[None], bins.k[None], link, low, high)
        if margin[0] < SEPARATED:
            raise FitRefusedError(separation_reason(bins))
        require_rise(float(value[0]), (bins.k, bins.n), self.level)
        evaluate = beta_binomial(bins.x, group_bin, n, k, link)
        low, high = np.append(low, SMALLEST), np.append(high, LARGEST)
        begin = np.array([np.append(plain[0], rho) for rho in (0.01, 0.1, 0.3)])
        theta, best = best_of(*climb(evaluate, begin, low, high, 1e-12), 3)
        names = (*NAMES, "overdispersion")
        found = Maximum(evaluate, names, theta[0], float(best[0]), low, high)
        params = profiled(found, bins.x, self.level)
        extras: dict[str, Plain] = {
            "method": f"beta-binomial likelihood of the {link.name} curve in "
            f"log10({data.control}); profile likelihood",
            "link": link.name,
            "n_groups": n.size,
            "log_likelihood": found.value,
            "aic": 2.0 * n_free - 2.0 * found.value,
            "lr_no_overdispersion": 2.0 * max(found.value - float(value[0]), 0.0),
            "window_max": self.window_max,
        }
        ratio = float(extras["lr_no_overdispersion"] or 0.0)
        extras["p_no_overdispersion"] = 0.5 * chi2_tail(ratio, 1) if ratio > 0 else 1.0
        extras |= {NAMES[i]: float(theta[0, i]) for i in (2, 3) if not found.free[i]}
        warnings = boundary_warnings(data, bins, params, None)
        if theta[0, RHO] <= SMALLEST:
            warnings.append("No overdispersion was found: the fit equals the binomial one.")
        return boundary_record(
            data, bins, params, self.estimator, self.level, seed, warnings, extras
        )
