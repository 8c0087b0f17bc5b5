"""Amplitude and exponent of the time to grok, replicas that did not grok included."""

import math
from typing import cast, final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain
from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.resample import percentile_interval, standard_error
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_interval import (
    Table,
    chi_bar_square,
    critical_limits,
    exponent_limits,
    joint_region,
    upper_limit,
)
from observatory.analysis.times.estimators.aft_law import Laws
from observatory.analysis.times.estimators.aft_offset import N_PARAMS as OFFSET_PARAMS
from observatory.analysis.times.estimators.aft_offset import offset_law
from observatory.analysis.times.estimators.aft_table import (
    competing_warnings,
    drawn_replicas,
    parametric_p,
    require_times,
    resampled_laws,
    sample_of,
    table_of,
    zero_ratio,
)
from observatory.analysis.times.estimators.power_law import (
    KINDS,
    N_PARAMS,
    UNDECIDED,
    Critical,
    require_law,
)
from observatory.core.errors import ConfigError, FitRefusedError

Array = NDArray[np.float64]

_TOO_NARROW = 1.3
"""Ratio of the bootstrap's interval to the profile's from which a reader is warned."""


def possible(data: Observations, critical: float) -> tuple[Observations, list[str]]:
    """The rows that a law with a given critical point allows, and how many it does not."""
    against = data.grokked & (data.weight_decay <= critical)
    n = data.count(against)
    if not n:
        return data, []
    return data.take(~against), [
        f"Replicas that grokked at or below the critical point are left out ({n}): a law with that "
        "critical point says that they cannot."
    ]


def criteria(table: Table, n: int, critical: Critical) -> dict[str, Plain]:
    """Log-likelihood of ln t and Akaike's criteria.

    Comparable between laws and error distributions on the same replicas only.
    """
    k, loglik = N_PARAMS[critical], float(table.law.loglik[0])
    aic = 2.0 * k - 2.0 * loglik
    few = n - k - 1.0
    corrected = aic + 2.0 * k * (k + 1.0) / few if few > 0 else None
    return {"loglik": loglik, "aic": aic, "aicc": corrected}


def _zero_law(zero: Table, free: Table, n: int, level: float) -> dict[str, Plain]:
    """The law without a threshold, and the test of it against the one with its own."""
    ratio = zero_ratio(zero, free)
    low, high = exponent_limits(zero, level, free=False)
    of_zero = criteria(zero, n, "zero")
    return {
        "nu_zero": float(zero.law.nu[0]),
        "nu_zero_low": low,
        "nu_zero_high": high,
        "amplitude_zero": math.exp(float(zero.law.log_amplitude[0])),
        "sigma_zero": float(zero.law.sigma[0]),
        **{f"{name}_zero": value for name, value in of_zero.items()},
        "lr_zero": ratio,
        "p_zero": chi_bar_square(ratio),
        "critical_upper": upper_limit(free, level),
    }


def rival(table: Table) -> dict[str, Plain]:
    """The law without a threshold but with a part of the time that is the same everywhere."""
    law = offset_law(table.errors, table.records, table.weights, table.begin)
    return {
        "offset_rival": law.offset,
        "nu_rival": law.nu,
        "aic_rival": 2.0 * OFFSET_PARAMS - 2.0 * law.loglik,
    }


def _bootstrapped(value: float, draws: Array, level: float) -> Parameter:
    """A positive parameter with the basic bootstrap interval of its logarithm.

    A resample repeats replicas and so has too small a spread: the basic interval turns that bias
    round, where the percentile interval would double it.
    """
    low, high = percentile_interval(draws, level)
    return Parameter(value, standard_error(draws), value * value / high, value * value / low)


def _too_narrow(nu: Parameter, draws: Array, level: float) -> list[str]:
    """A warning where resampling finds the exponent much less certain than the likelihood."""
    if nu.ci_low is None or nu.ci_high is None:
        return []
    low, high = percentile_interval(draws, level)
    ratio = (high - low) / (nu.ci_high - nu.ci_low)
    if ratio < _TOO_NARROW:
        return []
    return [
        f"The bootstrap's interval of nu [{low:.3g}, {high:.3g}] is {ratio:.1f} times as wide as "
        "the profile's: replicas of a seed are not independent, or the law does not hold."
    ]


@final
class TimesAft:
    """The law t = A (weight_decay - critical)^-nu of median times, by censored likelihood.

    ln t = ln A - nu ln(weight_decay - critical) + errors; A is the median time, in steps, at a
    distance of 1 from the critical point. Replicas that did not grok within the horizon enter as
    such; an event between two looks enters as that interval. Limits of nu and of the critical point
    are those of the profile likelihood, of amplitude and spread those of a bootstrap by seed.

    Attributes:
        fit_name: What is fitted.
        estimator: How.

    Source:
        arXiv:2605.20441 fits the same law to uncensored replicas (`TimePowerLaw`). Deviation:
        censored likelihood; the critical point may be fitted, between 0 and the smallest weight
        decay that grokked, and is then tested against 0 (Self and Liang 1987).
    """

    fit_name = "times_censored"

    def __init__(
        self,
        distribution: str,
        critical: str,
        window_max: float,
        n_grid: int,
        n_bootstrap: int,
        n_parametric: int,
        level: float,
    ) -> None:
        if distribution not in ERRORS:
            raise ConfigError(f"`distribution` must be among {sorted(ERRORS)}, got {distribution}.")
        if critical not in N_PARAMS:
            raise ConfigError(f"`critical` must be among {sorted(N_PARAMS)}, got {critical}.")
        self.errors = ERRORS[distribution]
        self.critical: Critical = cast(Critical, critical)
        self.window_max = window_max
        self.n_grid = n_grid
        self.n_bootstrap = n_bootstrap
        self.n_parametric = n_parametric
        self.level = level
        self.estimator = f"{distribution}_{critical}"

    def held(self, data: Observations) -> float | None:
        """The critical point that is not fitted; None where it is.

        Raises:
            FitRefusedError: If a boundary should give it and none did.
        """
        if self.critical != "boundary":
            return 0.0 if self.critical == "zero" else None
        if data.critical is None:
            raise FitRefusedError(
                "No critical weight decay to hold fixed: no boundary fit gave one at this horizon."
            )
        return data.critical

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: If an event has no time, if too few replicas grokked to fix the law, or
                if a critical point should be given and is not.
        """
        data = observations.within(self.window_max)
        require_times(data)
        held = self.held(data)
        data, warnings = possible(data, held or 0.0)
        n_grokked = data.count(data.grokked)
        require_law(data.weight_decay[data.grokked], N_PARAMS[self.critical], n_grokked)
        sample = sample_of(data)
        table = table_of(sample, self.errors, held, self.n_grid)
        weights = sample.resampled(drawn_replicas(data, self.n_bootstrap, seed))
        draws = resampled_laws(table, weights, free=held is None)
        extras: dict[str, Plain] = {
            "method": "censored likelihood of ln t; profile limits of nu and critical, basic "
            "bootstrap of amplitude and sigma",
            "distribution": self.errors.name,
            "critical_kind": KINDS[self.critical],
            "amplitude_is": "median time in steps at critical + 1",
            "window_max": self.window_max,
            "n_grokked": n_grokked,
            "n_censored": data.count(~data.grokked),
            "n_competing": data.count(data.failed),
            **criteria(table, data.n, self.critical),
        }
        curves: dict[str, list[float | None]] = {}
        if warnings:
            extras |= {"aic": None, "aicc": None}  # other laws have these replicas too
        params = self.parameters(table, draws)
        usable = np.isfinite(draws.nu)
        warnings += _too_narrow(params["nu"], draws.nu[usable], self.level)
        if held is None:
            zero = table_of(sample, self.errors, 0.0, self.n_grid)
            extras |= _zero_law(zero, table, data.n, self.level) | rival(table)
            if self.n_parametric:
                ratio = zero_ratio(zero, table)
                extras["p_zero_simulated"] = parametric_p(
                    zero, ratio, data, self.n_parametric, seed
                )
            region = joint_region(table, self.level)
            curves = {f"region.{name}": column for name, column in region.items()}
            curves["joint.critical"] = [float(f"{x:.6g}") for x in draws.critical[usable]]
            curves["joint.nu"] = [float(f"{x:.6g}") for x in draws.nu[usable]]
            warnings += self.told_of_zero(extras)
        else:
            extras["critical"] = held
        if self.critical == "boundary":
            warnings.append(
                "The critical weight decay is held at its point estimate: its uncertainty is not "
                "in these intervals."
            )
        if not usable.all():
            warnings.append(f"Resamples that cannot fix the law are left out ({(~usable).sum()}).")
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params=params,
            level=self.level,
            n=data.n,
            seed=seed,
            warnings=[*data.horizon_warnings, *competing_warnings(data), *warnings],
            extras=extras,
            curves=curves,
        )

    def parameters(self, table: Table, draws: Laws) -> dict[str, Parameter]:
        """All parameters with their limits."""
        usable, law, free = np.isfinite(draws.nu), table.law, self.critical == "free"
        nu_limits = exponent_limits(table, self.level, free)
        params = {
            "nu": Parameter(float(law.nu[0]), standard_error(draws.nu[usable]), *nu_limits),
            "amplitude": _bootstrapped(
                math.exp(float(law.log_amplitude[0])),
                np.exp(draws.log_amplitude[usable]),
                self.level,
            ),
            "sigma": _bootstrapped(float(law.sigma[0]), draws.sigma[usable], self.level),
        }
        if free:
            params["critical"] = Parameter(
                float(law.critical[0]),
                standard_error(draws.critical[usable]),
                *critical_limits(table, self.level),
            )
        return params

    def rivalled(self, extras: dict[str, Plain]) -> bool:
        """Whether the rival's criterion is within 2 of the law's, or better."""
        ours, theirs = float(extras["aic"] or 0.0), float(extras["aic_rival"] or 0.0)
        return theirs < ours + UNDECIDED

    def told_of_zero(self, extras: dict[str, Plain]) -> list[str]:
        """A warning where the times do not tell the critical point from 0."""
        p = float(extras.get("p_zero_simulated", extras["p_zero"]) or 0.0)
        offset = float(extras["offset_rival"] or 0.0)
        if p < 1.0 - self.level and self.rivalled(extras):
            return [
                f"A law without a threshold, {offset:.3g} steps plus a power of the weight decay, "
                "fits these times as well (AIC within 2): they bend, but not only a threshold "
                "bends them."
            ]
        if p < 1.0 - self.level:
            return []
        return [
            f"The times do not tell this critical weight decay from 0 (p = {p:.2g}); the one-sided "
            f"upper limit is {float(extras['critical_upper'] or 0.0):.3g}."
        ]
