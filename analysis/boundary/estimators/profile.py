"""What every likelihood fit of a boundary does with its maximum: intervals, checks, the record."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from itertools import product

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.ascent import Array, Evaluate, best_of, climb
from observatory.analysis.stats.bins import (
    RateBins,
    bin_rates,
    require_boundary,
    require_inside,
    require_rise,
)
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, about
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.profiles import Axis, profile_limits
from observatory.analysis.stats.search import as_bound, end_of_search
from observatory.analysis.stats.solvers import chi2_quantile, chi2_tail, f_quantile
from observatory.core.errors import ConfigError

NAMES = ("critical", "slope", "guess", "lapse")
WINDOW_NAMES = (*NAMES, "critical_upper", "slope_upper")
Fitted = tuple["Maximum", dict[str, Parameter], list[str], dict[str, Plain]]
_SPANS = {
    "logistic": 2.0 * math.log(9.0),
    "probit": 2.5631031310892007,
    "cloglog": math.log(math.log(0.1) / math.log(0.9)),
}
"""Distance of the arguments at which a link is 0.1 and 0.9."""
_N_DRAWN = 101
"""Points of a curve that parameters do not give."""


@dataclass(frozen=True)
class Maximum:
    """A maximised likelihood."""

    evaluate: Evaluate  # the likelihood
    # of the parameters; `critical*` are held as log10, `slope*` as natural logs
    names: tuple[str, ...]
    theta: Array  # where it is greatest, `[param]`
    value: float  # the log-likelihood there
    low: Array  # lower ends of the box, `[param]`
    high: Array  # upper ends
    sign: int = 1  # -1 where the axis of the control was turned round

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

    @property
    def at_limit(self) -> dict[str, str]:
        """Parameters that lie at an end of their search, and at which; a share may well be 0."""
        ends: dict[str, str] = {}
        for i in np.flatnonzero(self.free).tolist():
            name, low = self.names[i], float(self.low[i])
            low = low if name.startswith(("critical", "slope")) else None
            end = end_of_search(float(self.theta[i]), low, float(self.high[i]))
            if end is not None and low is not None and self.sign < 0:
                end = {"lowest": "highest", "highest": "lowest"}[end]
            if end is not None:
                ends[name] = end
        return ends

    def natural(self, i: int, value: float) -> float:
        """A value of a parameter as it is reported."""
        if self.names[i].startswith("critical"):
            return 10.0 ** (self.sign * value)
        return self.sign * math.exp(value) if self.names[i].startswith("slope") else value

    def gain_over(self, value: float) -> tuple[float, float]:
        """Likelihood ratio to a fit that lacks a variance, and its p-value, 0 being an end."""
        ratio = 2.0 * max(self.value - value, 0.0)
        return ratio, 0.5 * chi2_tail(ratio, 1) if ratio > 0 else 1.0


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
        name, value = found.names[i], abs(found.natural(i, float(found.theta[i])))
        scale = math.log(10.0) * value if name.startswith("critical") else 1.0
        errors[name] = float(se) * (value if name.startswith("slope") else scale)
    return errors


def _around(found: Maximum, x: Array, quick: bool) -> Array:
    """Places beside the maximum: gentler and steeper, shares inside and at 0, `[start, param]`.

    A climb from a gentle curve may not see the steep one that passes a share by, nor a climb that
    starts at a share of 0 leave it.
    """
    slopes = [found.theta[1] + by for by in ((-1.2, 0.0, 1.2) if quick else (-1.2,))]
    slopes += np.log(np.array([4.0, 40.0]) / np.diff(x).min()).tolist() if quick else []
    shares = [
        (0.0, 0.03, 0.15) if found.free[i] and quick else (float(found.theta[i]),) for i in (2, 3)
    ]
    made = [(slope, *pair) for slope in slopes for pair in product(*shares)]
    starts = np.tile(found.theta, (len(made), 1))
    starts[:, 1:4] = made
    return np.clip(starts, found.low, found.high)


def _places(x: Array, spacing: float) -> Array:
    """Critical points to look at, up to a decade beyond the data; the profile may jump at a bin."""
    n_values = int(np.ceil((x[-1] - x[0] + 2.0) / spacing))
    beside = 1e-2 * np.diff(x).min()
    even = np.linspace(float(x[0]) - 1.0, float(x[-1]) + 1.0, n_values + 1)
    return np.unique(np.concatenate([even, x - beside, x + beside]))


def profiled(
    found: Maximum, x: Array, level: float, degrees: int | None = None
) -> dict[str, Parameter]:
    """Every fitted parameter with its standard error and its profile-likelihood limits.

    A critical point is looked at up to a decade beyond the weight decays tried; a share that is
    bounded by its box has the end of the box as its limit. Where a variance is estimated, with so
    many degrees of freedom, F takes the place of chi-square.
    """
    quick = not {"seed_spread", "critical_upper"} & set(found.names)
    coarse = 1.0 if quick else 3.0
    drop = 0.5 * (chi2_quantile(level, 1) if degrees is None else f_quantile(level, 1, degrees))
    errors, free = _errors(found), np.flatnonzero(found.free).tolist()
    axes: list[Axis] = []
    for i in free:
        name, low, high = found.names[i], float(found.low[i]), float(found.high[i])
        if name.startswith("critical"):
            places = _places(x, 0.05 * coarse)
        else:
            step = 0.25 * coarse if name.startswith("slope") else (high - low) / 25.0
            places = np.linspace(low, high, int(np.ceil((high - low) / step)) + 1)
        axes.append(Axis(0, i, places))
    around = _around(found, x, quick)[None]
    box, best = (found.low, found.high), found.theta[None]
    ends_of = profile_limits(found.evaluate, *box, best, around, axes, drop, quick=quick)
    params: dict[str, Parameter] = {}
    for i, limits in zip(free, ends_of, strict=True):
        name, both = found.names[i], (float(found.low[i]), float(found.high[i]))
        if not name.startswith(("critical", "slope")):
            limits = tuple(e if v is None else v for v, e in zip(limits, both, strict=True))
        ends = [None if end is None else found.natural(i, end) for end in limits]
        turned = found.sign if name.startswith(("critical", "slope")) else 1
        value = found.natural(i, float(found.theta[i]))
        params[name] = Parameter(value, errors.get(name), *ends[::turned])
    return params


def named_edge(estimator: str, edge: str) -> str:
    """The name of an estimator of one edge; raises `ConfigError` where there is no such edge."""
    if edge not in ("lower", "upper"):
        raise ConfigError(f"`edge` must be lower or upper, got {edge!r}.")
    return estimator if edge == "lower" else f"{estimator}_upper"


@dataclass(kw_only=True)
class LikelihoodFit(ABC):
    """A boundary from the likelihood of the counts at 0 < control <= `window_max`."""

    window_max: float | None  # largest control that enters; None for no end
    level: float  # coverage of the intervals
    estimator: str = field(init=False)  # how it is fitted, as one word
    edge: str = field(init=False)  # which edge is fitted: "lower", "upper" or "both"

    fit_name = "boundary"

    @abstractmethod
    def fitted(self, data: Observations, bins: RateBins, seed: int) -> Fitted:
        """Maximum, parameters, warnings and extras; raises `FitRefusedError` if there are none."""

    def rate_at(self, found: Maximum, x: Array) -> Array | None:
        """The fitted rate at log10 of the control where its parameters and link do not give it."""
        return None

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table; `seed` is that of all draws.

        Raises:
            FitRefusedError: If no boundary can lie in the table, or the estimator refuses.
        """
        data = observations.within(self.window_max)
        bins = bin_rates(data)
        bins = bins.turned() if self.edge == "upper" else bins
        require_boundary(bins)
        if self.edge != "both":
            require_rise(bins)
        found, params, warnings, extras = self.fitted(data, bins, seed)
        require_inside(bins, float(found.theta[0]))
        for name, end in found.at_limit.items():
            params[name], words = as_bound(name, params[name], end)
            warnings.append(words)
            extras["at_limit"] = ", ".join(found.at_limit)
        link, slope = str(extras["link"]), abs(params["slope"].value)
        unit = {"probit": "probits", "cloglog": "log hazards"}.get(link, "logits")
        x = np.linspace(float(bins.x[0]), float(bins.x[-1]), _N_DRAWN)
        rate = self.rate_at(found, x)
        own = {} if rate is None else {"weight_decay": 10.0**x, "share": rate}
        return Estimate(
            **about(self, seed),
            **data.about,
            params=params,
            warnings=warnings,
            extras={
                "n_bins": bins.x.size,
                "control": data.control,
                **extras,
                "slope_unit": f"{unit} per decade",
                "width_10_90_decades": _SPANS[link] / slope,
            },
            curves={f"rate.{name}": values.tolist() for name, values in own.items()},
        )
