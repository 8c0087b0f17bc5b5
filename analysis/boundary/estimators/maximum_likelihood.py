"""The boundary by maximum likelihood: binomial counts, a link, and rates of lapsing."""

from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.boundary.estimators.checks import boundary_warnings, misfit, require_fit
from observatory.analysis.boundary.estimators.coverage import (
    INTERVALS,
    bootstrap_coverage,
    bootstrap_warnings,
    coverage_extras,
)
from observatory.analysis.boundary.estimators.likelihood import (
    SEPARATED,
    binomial,
    box,
    fit_many,
    rates,
)
from observatory.analysis.boundary.estimators.profile import (
    NAMES,
    Fitted,
    LikelihoodFit,
    Maximum,
    named_edge,
    profiled,
)
from observatory.analysis.stats.ascent import Array
from observatory.analysis.stats.bins import RateBins, distinct_rows
from observatory.analysis.stats.estimate import Parameter, Plain
from observatory.analysis.stats.links import Link, link_named
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import bootstrap_parameter, left_out, resampled_counts
from observatory.core.errors import ConfigError, FitRefusedError

_INTERVALS = {"profile": "profile likelihood", **INTERVALS}


def fit_likelihood(
    bins: RateBins, link: Link, guess: float | None, lapse: float | None, level: float
) -> Maximum:
    """The maximum of the likelihood with one edge.

    Raises:
        FitRefusedError: If there are fewer bins than free parameters, or as `require_fit`.
    """
    low, high = box(bins, guess, lapse)
    n_free = int((low < high).sum())
    if bins.x.size < n_free:
        raise FitRefusedError(
            f"{n_free} free parameters need as many {bins.control}s, got {bins.x.size}. "
            "Add some, or hold the lapse rate."
        )
    theta, value = require_fit(bins, link, low, high, level, 1e-14)
    evaluate = binomial(bins.x, bins.n[None], bins.k[None], link)
    return Maximum(evaluate, NAMES, theta, value, low, high, bins.sign)


def refit(bins: RateBins, n: Array, k: Array, link: Link, found: Maximum) -> Array:
    """The reported parameters, `[draw, 4]`, of other counts, `[draw, bin]`, of the same bins.

    Where the optimum is at infinite slope, the slope is infinite and the critical point is where
    the climb stopped, between the two bins that it separates. Counts without any boundary are NaN.
    """
    first, back = distinct_rows(np.concatenate([n, k], axis=1))
    n, k = n[first], k[first]
    theta, _, margin = fit_many(bins.x, n, k, link, found.low, found.high, found.theta)
    sign = bins.sign
    critical, slope = 10.0 ** (sign * theta[:, 0]), sign * np.exp(theta[:, 1])
    made = np.array([critical, slope, theta[:, 2], theta[:, 3]]).T
    made[margin < SEPARATED, 1] = sign * np.inf
    made[(k.sum(axis=1) == 0) | (k.sum(axis=1) == n.sum(axis=1))] = np.nan
    return made[back]


def resampled(
    bins: RateBins,
    link: Link,
    found: Maximum,
    interval: str,
    n_bootstrap: int,
    level: float,
    rng: np.random.Generator,
) -> dict[str, Parameter]:
    """Every fitted parameter with its bootstrap limits, seeds drawn whole where they recur.

    Raises:
        FitRefusedError: If more resamples than the interval leaves out hold no boundary.
    """
    draws = refit(bins, *resampled_counts(bins, n_bootstrap, rng), link, found)
    usable = draws[~np.isnan(draws[:, 0])]
    if len(draws) - len(usable) > (1.0 - level) * len(draws):
        raise FitRefusedError("Too many resamples hold no boundary at all. Add replicas.")
    n_without, k_without, alike = left_out(bins)
    without = refit(bins, n_without, k_without, link, found)
    params: dict[str, Parameter] = {}
    for i in np.flatnonzero(found.free):
        value = found.natural(int(i), float(found.theta[i]))
        finite = np.isfinite(without[:, i])
        left = without[finite, i], alike[finite]
        params[NAMES[i]] = bootstrap_parameter(value, usable[:, i], *left, interval, level)
    return params


@final
@dataclass(kw_only=True)
class BoundaryMle(LikelihoodFit):
    """Critical weight decay, slope and lapse rates by `fit_likelihood`.

    The critical point is the midpoint of the underlying curve (F = 1/2), not where the rate is one
    half: the two differ where there are lapses.
    """

    link: str  # the shape of the rise
    edge: str  # "lower", or "upper" where replicas grok below it
    guess: float | None  # the rate far from the critical point, where few grok; None to fit it
    lapse: float | None  # one minus the rate far on its other side; None to fit it
    interval: str  # kind of interval
    n_bootstrap: int  # resamples
    n_simulations: int  # sets of counts that judge the curve
    n_studies: int  # studies that measure what the bootstrap covers

    def __post_init__(self) -> None:
        if self.interval not in _INTERVALS:
            raise ConfigError(
                f"`interval` must be among {sorted(_INTERVALS)}, got {self.interval}."
            )
        self._link = link_named(self.link)
        lapses = "_lapse" if self.guess != 0.0 or self.lapse != 0.0 else ""
        shape = "" if self.link == "logistic" else f"_{self.link}"
        self.estimator = named_edge(f"maximum_likelihood{lapses}{shape}", self.edge)

    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Refuses as `fit_likelihood` and, where asked for, `resampled`."""
        link, level, rng = self._link, self.level, np.random.default_rng(seed)
        found = fit_likelihood(bins, link, self.guess, self.lapse, level)
        few: list[str] = []
        covers: dict[str, Plain] = {}
        if self.interval == "profile":
            params = profiled(found, bins.x, level)
        else:
            at = np.flatnonzero(found.free).tolist()
            covered = bootstrap_coverage(
                bins,
                rates(bins.x, found.theta[None], link)[0][0],
                {NAMES[i]: found.natural(i, float(found.theta[i])) for i in at},
                lambda n, k: refit(bins, n, k, link, found)[:, at],
                self.interval,
                self.n_studies,
                level,
                rng,
            )
            few = bootstrap_warnings(bins, covered, self.n_studies, level, self.interval)
            covers |= coverage_extras(covered)
            params = resampled(bins, link, found, self.interval, self.n_bootstrap, level, rng)
        checked = misfit(bins, found.theta, (found.low, found.high), link, self.n_simulations, rng)
        extras: dict[str, Plain] = {
            "method": f"binomial maximum likelihood of the {link.name} curve in "
            f"log10({data.control}); {_INTERVALS[self.interval]}",
            "link": link.name,
            "log_likelihood": found.value,
            **checked,
            **covers,
            "aic": found.aic,
            "window_max": self.window_max,
            **found.held_shares,
        }
        warnings = [*boundary_warnings(data, bins, params, checked["deviance_p"]), *few]
        return found, params, warnings, extras
