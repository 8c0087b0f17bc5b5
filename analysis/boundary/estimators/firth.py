"""The boundary with Firth's bias reduction: an answer where the counts are separated."""

from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import (
    boundary_warnings,
    misfit,
    require_logistic_rise,
)
from observatory.analysis.boundary.estimators.firth_points import firth_box, firth_likelihood
from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    fit_many,
    starts,
)
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Maximum,
    boundary_record,
    profiled,
)
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import bin_rates, require_boundary
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations


@final
class BoundaryFirth:
    """Critical weight decay and slope of the logistic with Jeffreys' prior.

    The estimate exists for every table in which some replicas grok and some do not. Intervals are
    those of the profile of the penalised likelihood.

    Attributes:
        fit_name: What is fitted.
        estimator: How.

    Source:
        Firth (1993), Biometrika 80, 27; Heinze and Schemper (2002), Stat. Med. 21, 2409.
        Deviation: none.
    """

    fit_name = "boundary"
    estimator = "firth"

    def __init__(self, window_max: float | None, n_simulations: int, level: float) -> None:
        self.window_max = window_max
        self.n_simulations = n_simulations
        self.level = level

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table; `seed` is that of the counts that judge the curve.

        Raises:
            FitRefusedError: If no boundary can lie in the bins, or the rate does not rise beyond
                its scatter.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        require_boundary(bins)
        n, k = bins.n[None], bins.k[None]
        low, high = firth_box(bins.x)
        evaluate = firth_likelihood(bins.x, n, k)
        begin = starts(bins.x, k, n, low, high)
        theta, value = best_of(*climb(evaluate, begin, low, high, 1e-14), len(begin))
        found = Maximum(evaluate, NAMES, theta[0], float(value[0]), low, high)
        plain = require_logistic_rise(bins, theta[0, 0], theta[0, 1], self.level)
        params = profiled(found, bins.x, self.level)
        checked = misfit(
            bins,
            found.theta,
            (low, high),
            LINKS["logistic"],
            self.n_simulations,
            np.random.default_rng(seed),
        )
        warnings = boundary_warnings(data, bins, params, checked["deviance_p"])
        margin = fit_many(bins.x, n, k, LINKS["logistic"], low, high)[2]
        separated = bool(margin[0] < SEPARATED)
        if separated:
            warnings.append(
                "The counts are separated: the slope is bounded by the prior alone, and the "
                "critical point lies where the values tried leave room for it."
            )
        return boundary_record(
            data,
            bins,
            params,
            self.estimator,
            self.level,
            seed,
            warnings,
            {
                "method": f"logistic in log10({data.control}) with Firth's penalty; profile of the "
                "penalised likelihood",
                "link": "logistic",
                "log_likelihood": plain,
                "penalised_log_likelihood": found.value,
                **checked,
                "separated": separated,
                "window_max": self.window_max,
            },
        )
