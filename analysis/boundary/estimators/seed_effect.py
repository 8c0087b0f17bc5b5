"""The boundary where seeds differ: a critical point per seed, normal around the common one."""

from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import boundary_warnings, require_rise
from observatory.analysis.boundary.estimators.likelihood import SEPARATED, box, fit_many
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Maximum,
    boundary_record,
    profiled,
)
from observatory.analysis.boundary.estimators.seed_likelihood import (
    N_NODES,
    SMALLEST,
    SPREAD,
    nodes_for,
    seed_likelihood,
)
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import bin_rates, require_boundary, separation_reason
from observatory.analysis.stats.estimate import Estimate, Plain
from observatory.analysis.stats.links import link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_tail
from observatory.core.errors import FitRefusedError

_STEEPEST = 10.0
"""Largest slope looked at, in logits between the two closest weight decays."""


@final
class BoundarySeedEffect:
    """Critical weight decay, slope and the spread of the critical point over seeds, in decades.

    Replicas of one seed share their initial weights and their data, so their outcomes at different
    weight decays may go together: an interval that takes them as independent is then too narrow.
    The slope is that of one seed; the rate over seeds rises less steeply. The spread is integrated
    out by a sum over it. Profile-likelihood intervals, with the quantile of F(1, seeds - 1)
    in place of chi-square: the spread is estimated from as many numbers as there are seeds.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"
    estimator = "seed_effect"

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
            FitRefusedError: If seeds do not recur over weight decays, there are fewer than five of
                them, no boundary can lie in the bins, the counts are separated, or the rate does
                not rise beyond its scatter.
        """
        data = observations.within(self.window_max)
        bins, link = bin_rates(data), self.link
        require_boundary(bins)
        recurring = 0 if bins.n_by is None else int(((bins.n_by > 0).sum(axis=1) > 1).sum())
        if bins.n_by is None or bins.k_by is None or recurring < 5:
            raise FitRefusedError(
                "A seed effect needs at least five seeds that were run at several "
                f"{data.control}s, got {recurring}. Name the column of the seeds, or add seeds."
            )
        low, high = box(bins, 0.0, self.lapse)
        n, k = bins.n[None], bins.k[None]
        plain, value, margin = fit_many(bins.x, n, k, link, low, high)
        if margin[0] < SEPARATED:
            raise FitRefusedError(separation_reason(bins))
        require_rise(float(value[0]), (bins.k, bins.n), self.level)
        low, high = np.append(low, SMALLEST), np.append(high, float(np.ptp(bins.x)))
        width = np.exp(-plain[0, 1])
        begin = np.array([np.append(plain[0], width * share) for share in (0.1, 1.0, 3.0)])
        begin[1:, 1] += np.log([1.3, 2.0])
        # Steeper than this, a seed's edge lies between two weight decays and shows no width.
        high[1] = min(high[1], float(np.log(_STEEPEST / np.diff(bins.x).min())))
        n_nodes = N_NODES
        while True:
            evaluate = seed_likelihood(bins.x, bins.n_by, bins.k_by, link, n_nodes)
            theta, best = best_of(*climb(evaluate, begin, low, high, 1e-12), len(begin))
            if n_nodes >= nodes_for(theta[0]):
                break
            n_nodes, begin = nodes_for(theta[0]), np.concatenate([begin, theta])
        names = (*NAMES, "seed_spread")
        found = Maximum(evaluate, names, theta[0], float(best[0]), low, high)
        params = profiled(found, bins.x, self.level, len(bins.n_by) - 1)
        ratio = 2.0 * max(found.value - float(value[0]), 0.0)
        extras: dict[str, Plain] = {
            "method": f"binomial likelihood of the {link.name} curve in log10({data.control}) with "
            "a normal critical point per seed; profile likelihood with F quantiles",
            "link": link.name,
            "n_seeds": len(bins.n_by),
            "log_likelihood": found.value,
            "aic": 2.0 * float(found.free.sum()) - 2.0 * found.value,
            "lr_no_seed_effect": ratio,
            "p_no_seed_effect": 0.5 * chi2_tail(ratio, 1) if ratio > 0 else 1.0,
            "window_max": self.window_max,
        }
        extras |= {NAMES[i]: float(theta[0, i]) for i in (2, 3) if not found.free[i]}
        warnings = boundary_warnings(data, bins, params, None, assumes_like_seeds=False)
        if theta[0, 1] >= high[1] - 1e-6:
            warnings.append(
                f"The edge of one seed is sharper than the {data.control}s are close: its slope is "
                "a lower bound. Add some in between."
            )
        if theta[0, SPREAD] <= SMALLEST:
            warnings.append("No spread over seeds was found: the fit equals the one without it.")
        return boundary_record(
            data, bins, params, self.estimator, self.level, seed, warnings, extras
        )
