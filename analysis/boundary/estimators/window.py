"""Both edges of the window in which replicas grok: memorisation below, collapse above."""

from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.boundary.estimators.checks import boundary_warnings
from observatory.analysis.boundary.estimators.likelihood import (
    binomial,
    binomial_log_likelihood,
    box,
    penalised,
)
from observatory.analysis.boundary.estimators.profile import (
    WINDOW_NAMES,
    Maximum,
    boundary_record,
    profiled,
)
from observatory.analysis.boundary.estimators.rate_curve import rates
from observatory.analysis.boundary.estimators.window_likelihood import second_edge_p
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.bins import RateBins, bin_rates, require_boundary
from observatory.analysis.stats.estimate import Estimate, Plain
from observatory.analysis.stats.links import link_named
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def _require_window(bins: RateBins) -> None:
    """Refuse counts that do not rise and fall again.

    Raises:
        FitRefusedError: If there are fewer than four bins, or the rate is as high at the largest
            weight decay as anywhere.
    """
    if bins.x.size < 4:
        raise FitRefusedError(
            f"A window needs at least four {bins.control}s, got {bins.x.size}. Add some "
            "on both sides of both edges."
        )
    if bins.rate[-1] >= bins.rate.max() or bins.rate[0] >= bins.rate.max():
        end = "largest" if bins.rate[-1] >= bins.rate.max() else "smallest"
        raise FitRefusedError(
            f"The rate is highest at the {end} {bins.control} tried: that edge of the window lies "
            "beyond it. Add some there."
        )


def _window_starts(bins: RateBins, low: Array, high: Array) -> Array:
    """A pair of edges for every pair of gaps that a fit may start from, `[start, 6]`."""
    peak = int(np.argmax(bins.rate))
    half = bins.rate.max() / 2.0
    left = int(np.flatnonzero(bins.rate[: peak + 1] >= half)[0])
    right = peak + int(np.flatnonzero(bins.rate[peak:] >= half)[-1])
    edges = (
        0.5 * (bins.x[max(left - 1, 0)] + bins.x[left]),
        0.5 * (bins.x[right] + bins.x[min(right + 1, bins.x.size - 1)]),
    )
    slopes = np.log(np.array([4.0, 12.0, 30.0]))
    made = [
        [edges[0], rise, 0.0, lapse, edges[1], fall]
        for rise in slopes
        for fall in slopes
        for lapse in (0.01, 0.1)
    ]
    return np.clip(np.array(made), low, high)


@final
class BoundaryWindow:
    """Critical weight decay and slope of both edges, and the rate of lapsing between them.

    P = (1 - lapse) R D with R the rise at the lower edge and D the fall at the upper one, each a
    logistic in log10 of the weight decay. Jeffreys' prior bounds a slope that the counts do not:
    an edge is often a clean step between two neighbouring weight decays. Intervals are those of the
    profile of the penalised likelihood.

    Attributes:
        fit_name: What is fitted.
        estimator: How.
    """

    fit_name = "boundary"
    estimator = "window"

    def __init__(
        self,
        link: str,
        window_max: float | None,
        lapse: float | None,
        n_simulations: int,
        level: float,
    ) -> None:
        self.link = link_named(link)
        self.window_max = window_max
        self.lapse = lapse
        self.n_simulations = n_simulations
        self.level = level

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table; `seed` is that of the counts that judge the second edge.

        Raises:
            FitRefusedError: As `_require_window`; also where no boundary can lie in the bins or two
                edges cannot be distinguished from one.
        """
        data = observations.within(self.window_max)
        bins, link = bin_rates(data), self.link
        require_boundary(bins)
        _require_window(bins)
        low, high = box(bins, 0.0, self.lapse, two_edges=True)
        evaluate = penalised(binomial(bins.x, bins.n[None], bins.k[None], link), low < high)
        begin = _window_starts(bins, low, high)
        theta, value = best_of(*climb(evaluate, begin, low, high, 1e-12), len(begin))
        found = Maximum(evaluate, WINDOW_NAMES, theta[0], float(value[0]), low, high)
        p = rates(bins.x, theta, link)[0][0]
        plain = float(binomial_log_likelihood(bins.k, bins.n, p).sum())
        p_one_edge = second_edge_p(
            bins, link, self.lapse, self.n_simulations, np.random.default_rng(seed)
        )
        if p_one_edge > 1.0 - self.level:
            raise FitRefusedError(
                "A second edge cannot be told from one edge alone (likelihood ratio, simulated, "
                f"p = {p_one_edge:.2g}). Add replicas beyond the edges."
            )
        params = profiled(found, bins.x, self.level)
        warnings = boundary_warnings(data, bins, params, None, only_rises=False)
        if params["critical_upper"].value <= params["critical"].value:
            warnings.append("The edges cross: there is no window at this horizon.")
        extras: dict[str, Plain] = {
            "method": f"product of two {link.name} edges in log10({data.control}) with Jeffreys' "
            "prior; profile of the penalised likelihood",
            "link": link.name,
            "log_likelihood": plain,
            "penalised_log_likelihood": found.value,
            "p_one_edge": p_one_edge,
            "width_decades": float(theta[0, 4] - theta[0, 0]),
            "guess": 0.0,
            "window_max": self.window_max,
        }
        if self.lapse is not None:
            extras["lapse"] = self.lapse
        return boundary_record(
            data, bins, params, self.estimator, self.level, seed, warnings, extras
        )
