"""The boundary with Firth's bias reduction: an answer where the counts are separated."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import (
    boundary_warnings,
    misfit,
    require_logistic_rise,
)
from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    firth_box,
    firth_likelihood,
    fit_many,
    starts,
)
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Fitted,
    LikelihoodFit,
    Maximum,
    named_edge,
    profiled,
)
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.estimate import Plain
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations


@final
@dataclass(kw_only=True)
class BoundaryFirth(LikelihoodFit):
    """Critical weight decay and slope of the logistic with Jeffreys' prior.

    The estimate exists for every table in which some replicas grok and some do not. Intervals are
    those of the profile of the penalised likelihood.

    Source:
        Firth (1993), Biometrika 80, 27; Heinze and Schemper (2002), Stat. Med. 21, 2409.
        Deviation: none.
    """

    n_simulations: int  # sets of counts that judge the curve
    edge: str  # "lower", or "upper" where replicas grok below it

    def __post_init__(self) -> None:
        self.estimator = named_edge("firth", self.edge)

    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Refuses where the rate does not rise beyond its scatter."""
        n, k, link = bins.n[None], bins.k[None], LINKS["logistic"]
        low, high = firth_box(bins.x)
        evaluate = firth_likelihood(bins.x, n, k)
        begin = starts(bins.x, k, n, low, high)
        theta, value = best_of(*climb(evaluate, begin, low, high, 1e-14), len(begin))
        found = Maximum(evaluate, NAMES, theta[0], float(value[0]), low, high, bins.sign)
        plain = require_logistic_rise(bins, theta[0, 0], theta[0, 1], self.level)
        params = profiled(found, bins.x, self.level)
        rng = np.random.default_rng(seed)
        checked = misfit(bins, found.theta, (low, high), link, self.n_simulations, rng)
        warnings = boundary_warnings(data, bins, params, checked["deviance_p"])
        separated = bool(fit_many(bins.x, n, k, link, low, high)[2][0] < SEPARATED)
        if separated:
            warnings.append(
                "The counts are separated: the slope is bounded by the prior alone, and the "
                "critical point lies where the values tried leave room for it."
            )
        extras: dict[str, Plain] = {
            "method": f"logistic in log10({data.control}) with Firth's penalty; profile of the "
            "penalised likelihood",
            "link": "logistic",
            "log_likelihood": plain,
            "penalised_log_likelihood": found.value,
            **checked,
            "separated": separated,
            "window_max": self.window_max,
        }
        return found, params, warnings, extras
