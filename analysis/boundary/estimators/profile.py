"""What every likelihood fit of a boundary does with its maximum: intervals, checks, the record."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.ascent import Array, Evaluate, best_of, climb, profile_limits
from observatory.analysis.stats.bins import RateBins, bin_rates, require_boundary
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_quantile, chi2_tail, f_quantile

NAMES = ("critical", "slope", "guess", "lapse")
WINDOW_NAMES = (*NAMES, "critical_upper", "slope_upper")
Fitted = tuple[dict[str, Parameter], list[str], dict[str, Plain]]
_SPANS = {
    "logistic": 2.0 * math.log(9.0),
    "probit": 2.5631031310892007,
    "cloglog": math.log(math.log(0.1) / math.log(0.9)),
}
"""Distance of the arguments at which a link is 0.1 and 0.9."""


@dataclass(frozen=True)
class Maximum:
    """A maximised likelihood.

    Attributes:
        evaluate: The likelihood.
        names: Of the parameters; `critical*` are held as log10, `slope*` as natural logs.
        theta: Where it is greatest, `[param]`.
        value: The log-likelihood there.
        low: Lower ends of the box, `[param]`.
        high: Upper ends.
    """

    evaluate: Evaluate
    names: tuple[str, ...]
    theta: Array
    value: float
    low: Array
    high: Array

    @staticmethod
    def climbed(
        evaluate: Evaluate, names: tuple[str, ...], begin: Array, low: Array, high: Array
    ) -> "Maximum":
        """The highest place reached from several, `[start, param]`."""
        theta, value = best_of(*climb(evaluate, begin, low, high, 1e-12), len(begin))
        return Maximum(evaluate, names, theta[0], float(value[0]), low, high)

    @property
    def free(self) -> NDArray[np.bool_]:
        """Which parameters were fitted, `[param]`."""
        return self.low < self.high

    @property
    def aic(self) -> float:
        """Akaike's criterion."""
        return 2.0 * float(self.free.sum()) - 2.0 * self.value

    @property
    def held_shares(self) -> dict[str, Plain]:
        """Rates of guessing and lapsing that were not fitted."""
        return {self.names[i]: float(self.theta[i]) for i in (2, 3) if not self.free[i]}

    def gain_over(self, value: float) -> tuple[float, float]:
        """Likelihood ratio to a fit that lacks a variance, and its p-value, 0 being an end."""
        ratio = 2.0 * max(self.value - value, 0.0)
        return ratio, 0.5 * chi2_tail(ratio, 1) if ratio > 0 else 1.0


def natural(name: str, value: float) -> float:
    """A parameter as it is reported."""
    if name.startswith("critical"):
        return 10.0**value
    return math.exp(value) if name.startswith("slope") else value


def _errors(found: Maximum) -> dict[str, float]:
    """Standard errors on the reported scale, of what does not lie on the edge of its box."""
    room = 1e-6 * (1.0 + np.abs(found.theta))
    inside = found.free & (found.theta > found.low + room) & (found.theta < found.high - room)
    at = np.flatnonzero(inside)
    metric = found.evaluate(found.theta[None], np.zeros(1, dtype=np.int64))[2][0][np.ix_(at, at)]
    if not at.size or np.linalg.cond(metric) > 1e12:
        return {}
    spread = np.sqrt(np.diag(np.asarray(np.linalg.inv(metric), dtype=np.float64)))
    errors: dict[str, float] = {}
    for i, se in zip(at.tolist(), spread, strict=True):
        name = found.names[i]
        value = natural(name, float(found.theta[i]))
        scale = math.log(10.0) * value if name.startswith("critical") else 1.0
        errors[name] = float(se) * (value if name.startswith("slope") else scale)
    return errors


def profiled(
    found: Maximum, x: Array, level: float, degrees: int | None = None
) -> dict[str, Parameter]:
    """Every fitted parameter with its standard error and its profile-likelihood limits.

    A critical point is looked at up to a decade beyond the weight decays tried; a share that is
    bounded by its box has the end of the box as its limit. Where a variance is estimated, with so
    many degrees of freedom, F takes the place of chi-square.
    """
    coarse = 1.0 if found.theta.size == 4 else 3.0  # likelihoods that take long
    drop = 0.5 * (chi2_quantile(level, 1) if degrees is None else f_quantile(level, 1, degrees))
    errors = _errors(found)
    around = np.tile(found.theta, (2 if coarse == 1.0 else 0, 1))
    if len(around):
        around[:, 1] = np.clip(found.theta[1] + np.array([-1.2, 1.2]), found.low[1], found.high[1])
    params: dict[str, Parameter] = {}
    for i in np.flatnonzero(found.free).tolist():
        name, low, high = found.names[i], float(found.low[i]), float(found.high[i])
        if name.startswith("critical"):
            axis = (i, float(x[0]) - 1.0, float(x[-1]) + 1.0, 0.05 * coarse)
        else:
            step = 0.25 * coarse if name.startswith("slope") else (high - low) / 25.0
            axis = (i, low, high, step)
        limits = profile_limits(
            found.evaluate, found.low, found.high, found.theta, around, axis, drop
        )
        if not name.startswith(("critical", "slope")):
            limits = tuple(e if v is None else v for v, e in zip(limits, (low, high), strict=True))
        ends = [None if end is None else natural(name, end) for end in limits]
        value = natural(name, float(found.theta[i]))
        params[name] = Parameter(value, errors.get(name), *ends)
    return params


@dataclass(kw_only=True)
class LikelihoodFit(ABC):
    """A boundary from the likelihood of the counts at 0 < control <= `window_max`.

    Attributes:
        window_max: Largest control that enters; None for no end.
        level: Coverage of the intervals.
        estimator: How it is fitted, as one word.
    """

    window_max: float | None
    level: float
    estimator: str = field(init=False)

    fit_name = "boundary"

    @abstractmethod
    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Parameters, warnings and extras; raises `FitRefusedError` where there are none."""

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table; `seed` is that of all draws.

        Raises:
            FitRefusedError: If no boundary can lie in the table, or the estimator refuses.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        require_boundary(bins)
        params, warnings, extras = self.fitted(data, bins, seed)
        link, slope = str(extras["link"]), params["slope"].value
        unit = {"probit": "probits", "cloglog": "log hazards"}.get(link, "logits")
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            **data.about,
            params=params,
            level=self.level,
            seed=seed,
            warnings=warnings,
            extras={
                "n_bins": bins.x.size,
                "control": data.control,
                **extras,
                "slope_unit": f"{unit} per decade",
                "width_10_90_decades": _SPANS[link] / slope,
            },
        )
