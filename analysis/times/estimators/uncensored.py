"""Amplitude and exponent of the time to grok against weight decay, with their intervals."""

import math
from typing import cast, final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import percentile_interval, standard_error
from observatory.analysis.times.estimators.aft_table import drawn_replicas
from observatory.analysis.times.estimators.power_law import (
    KINDS,
    N_PARAMS,
    Critical,
    bootstrap_law,
    fit_law,
    information,
    uncensored,
)
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

_METHOD = "least squares of ln t on uncensored replicas; percentile bootstrap by seed"


def interval(value: float, draws: Array, level: float) -> Parameter:
    """A parameter with its percentile interval."""
    return Parameter(value, standard_error(draws), *percentile_interval(draws, level))


@final
class TimePowerLaw:
    """Amplitude and exponent of t = A (weight_decay - critical)^-nu on replicas that grokked.

    Least squares in ln t, with t the upper end of the event's interval, in steps. Replicas that did
    not grok are left out, so times near the boundary are too short: a description, not a test.

    Attributes:
        fit_name: What is fitted.
        estimator: How.

    Source:
        arXiv:2605.20441, fit of nu (critical held at its point estimate). Deviation: the bootstrap
        draws seeds where they recur over weight decays, else replicas, censored ones included.
    """

    fit_name = "times"

    def __init__(
        self, critical: str, window_max: float, n_grid: int, n_bootstrap: int, level: float
    ) -> None:
        if critical not in N_PARAMS:
            raise ConfigError(f"`critical` must be among {sorted(N_PARAMS)}, got {critical}.")
        self.critical: Critical = cast(Critical, critical)
        self.window_max = window_max
        self.n_grid = n_grid
        self.n_bootstrap = n_bootstrap
        self.level = level
        self.estimator = f"log_least_squares_{critical}"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: As `fit_law`; also where more resamples than the interval leaves out
                cannot fix a law.
        """
        data = observations.within(self.window_max)
        known = data.critical if self.critical == "boundary" else None
        keep, warnings = uncensored(data, above=known or 0.0)
        weight_decay, time = data.weight_decay[keep], data.time[keep]
        weights = data.weights[keep]
        point, (log_amplitude, nu, rss) = fit_law(
            weight_decay, time, weights, self.critical, known, self.n_grid
        )
        drawn = drawn_replicas(data, self.n_bootstrap, seed)
        draws = bootstrap_law(
            weight_decay,
            time,
            drawn[:, keep],
            None if self.critical == "free" else point,
            self.n_grid,
        )
        usable = draws[~np.isnan(draws).any(axis=1)]
        if len(draws) - len(usable) > (1.0 - self.level) * len(draws):
            raise FitRefusedError(
                f"{len(draws) - len(usable)} of {len(draws)} resamples cannot fix a power law. "
                "Add replicas at weight decays where they grok."
            )
        params = {
            "nu": interval(float(nu), usable[:, 2], self.level),
            "amplitude": interval(math.exp(float(log_amplitude)), np.exp(usable[:, 1]), self.level),
        }
        extras: dict[str, Plain] = {
            **information(float(rss), float(weights.sum()), N_PARAMS[self.critical])
        }
        extras |= {
            "method": _METHOD,
            "critical_kind": KINDS[self.critical],
            "window_max": self.window_max,
            "n_grokked": data.count(keep),
            "n_censored": data.count(~data.grokked),
        }
        if self.critical == "free":
            params["critical"] = interval(point, usable[:, 0], self.level)
            if point == 0.0:
                warnings.append(
                    "The best critical weight decay is 0, the end of its range: its interval is "
                    "one-sided and may be too narrow."
                )
        else:
            extras["critical"] = point
        if self.critical == "boundary":
            warnings.append(
                "The critical weight decay is held at its point estimate: its uncertainty is not "
                "in these intervals."
            )
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params=params,
            level=self.level,
            n=data.count(keep),
            seed=seed,
            warnings=[*data.horizon_warnings, *warnings],
            extras=extras,
        )
