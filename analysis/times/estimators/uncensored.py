"""Amplitude and exponent of the time to grok against weight decay, with their intervals."""

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.observations import Observations, critical_words
from observatory.analysis.stats.resample import standard_error
from observatory.analysis.times.estimators.law_limits import (
    drawn_for_law,
    free_limits,
    student_parameter,
)
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


@final
@dataclass(frozen=True)
class TimePowerLaw:
    """Amplitude and exponent of t = A (weight_decay - critical)^-nu on replicas that grokked.

    Least squares in ln t, with t the upper end of the event's interval, in steps. Replicas that did
    not grok are left out, so times near the boundary are too short: a description, not a test.
    `critical` is "zero", "boundary" (held where a boundary fit has it), or "free".

    Source:
        arXiv:2605.20441, fit of nu (critical held at its point estimate). Deviation: limits of
        `law_limits`; resamples are of seeds where they recur over weight decays, else of replicas,
        censored ones included.
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
        drawn = drawn_for_law(data, self.n_bootstrap, seed)[:, keep]
        draws = bootstrap_law(*times, drawn, held, self.n_grid)
        usable = draws[~np.isnan(draws).any(axis=1)]
        if len(draws) - len(usable) > (1.0 - self.level) * len(draws):
            raise FitRefusedError(
                f"{len(draws) - len(usable)} of {len(draws)} resamples cannot fix a power law. "
                f"Add replicas at {data.control}s where they have the event."
            )
        amplitude = math.exp(log_amplitude), np.exp(usable[:, 1])
        params = {
            "nu": student_parameter(nu, usable[:, 2], data, self.level, log=False),
            "amplitude": student_parameter(*amplitude, data, self.level, log=True),
        }
        extras: dict[str, Plain] = {
            **information(rss, float(weights.sum()), N_PARAMS[self.critical]),
            "method": "least squares of ln t on uncensored replicas; Student's limits, the "
            "variance from resamples by seed; of a free critical point profile limits of it and nu",
            "critical_kind": KINDS[self.critical],
            "window_max": self.window_max,
            "n_grokked": data.count(keep),
            "n_censored": data.count(~data.grokked),
        }
        if held is None:
            ends, of_nu = free_limits(
                times[0], np.log(times[1]), weights, point, self.level, self.n_grid
            )
            se = standard_error(usable[:, 0]) if point > 0.0 else None
            params["critical"] = Parameter(point, se, *ends)
            params["nu"] = Parameter(nu, params["nu"].se, *of_nu)
            if point == 0.0:
                warnings.append(
                    f"The best {critical_words(data.control)} is 0, the end of its range: its "
                    "interval is one-sided."
                )
        else:
            extras["critical"] = held
        if self.critical == "boundary":
            warnings.append(held_warning(data.control))
            extras["critical_by"] = data.critical_by
        n = data.count(keep)
        return estimate_of(self, data, seed, warnings, n=n, params=params, extras=extras)
