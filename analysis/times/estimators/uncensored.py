"""Amplitude and exponent of the time to grok against weight decay, with their intervals."""

import math
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.observations import Array, Observations, critical_words
from observatory.analysis.stats.resample import percentile_interval, standard_error
from observatory.analysis.times.estimators.aft_table import drawn_replicas
from observatory.analysis.times.estimators.power_law import (
    KINDS,
    N_PARAMS,
    bootstrap_law,
    fit_law,
    held_warning,
    information,
    require_among,
    uncensored,
)
from observatory.core.errors import FitRefusedError


def _interval(value: float, draws: Array, level: float) -> Parameter:
    return Parameter(value, standard_error(draws), *percentile_interval(draws, level))


@final
@dataclass(frozen=True)
class TimePowerLaw:
    """Amplitude and exponent of t = A (weight_decay - critical)^-nu on replicas that grokked.

    Least squares in ln t, with t the upper end of the event's interval, in steps. Replicas that did
    not grok are left out, so times near the boundary are too short: a description, not a test.
    `critical` is "zero", "boundary" (held where a boundary fit has it), or "free".

    Source:
        arXiv:2605.20441, fit of nu (critical held at its point estimate). Deviation: the bootstrap
        draws seeds where they recur over weight decays, else replicas, censored ones included.
    """

    fit_name = "times"
    critical: str
    window_max: float
    n_grid: int
    n_bootstrap: int
    level: float

    def __post_init__(self) -> None:
        require_among("critical", self.critical, N_PARAMS)

    @property
    def estimator(self) -> str:
        """How, as one word."""
        return f"log_least_squares_{self.critical}"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `fit_law`; also where more resamples than the interval leaves out
                cannot fix a law.
        """
        data = observations.within(self.window_max)
        known = data.critical if self.critical == "boundary" else None
        keep, warnings = uncensored(data, above=known or 0.0)
        times = data.weight_decay[keep], data.time[keep]
        weights = data.weights[keep]
        point, line = fit_law(*times, weights, self.critical, known, self.n_grid, data.control)
        log_amplitude, nu, rss = (float(number) for number in line)
        held = None if self.critical == "free" else point
        drawn = drawn_replicas(data, self.n_bootstrap, seed)[:, keep]
        draws = bootstrap_law(*times, drawn, held, self.n_grid)
        usable = draws[~np.isnan(draws).any(axis=1)]
        if len(draws) - len(usable) > (1.0 - self.level) * len(draws):
            raise FitRefusedError(
                f"{len(draws) - len(usable)} of {len(draws)} resamples cannot fix a power law. "
                f"Add replicas at {data.control}s where they have the event."
            )
        params = {
            "nu": _interval(nu, usable[:, 2], self.level),
            "amplitude": _interval(math.exp(log_amplitude), np.exp(usable[:, 1]), self.level),
        }
        extras: dict[str, Plain] = {
            **information(rss, float(weights.sum()), N_PARAMS[self.critical]),
            "method": "least squares of ln t on uncensored replicas; percentile bootstrap by seed",
            "critical_kind": KINDS[self.critical],
            "window_max": self.window_max,
            "n_grokked": data.count(keep),
            "n_censored": data.count(~data.grokked),
        }
        if held is None:
            params["critical"] = _interval(point, usable[:, 0], self.level)
            if point == 0.0:
                params["critical"] = replace(params["critical"], se=None)
                warnings.append(
                    f"The best {critical_words(data.control)} is 0, the end of its range: its "
                    "interval is one-sided and may be too narrow."
                )
        else:
            extras["critical"] = held
        if self.critical == "boundary":
            warnings.append(held_warning(data.control))
            extras["critical_by"] = data.critical_by
        n = data.count(keep)
        return estimate_of(self, data, seed, warnings, n=n, params=params, extras=extras)
