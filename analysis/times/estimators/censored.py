"""Amplitude and exponent of the time to grok, replicas that did not grok included."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.stats.estimate import Estimate, Parameter, Plain, estimate_of
from observatory.analysis.stats.observations import Array, Observations, critical_words
from observatory.analysis.stats.resample import percentile_interval, standard_error
from observatory.analysis.stats.solvers import alpha_of
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_interval import Table, chi_bar_square, six_digits
from observatory.analysis.times.estimators.aft_law import Laws
from observatory.analysis.times.estimators.aft_table import (
    Sample,
    competing_warnings,
    parametric_p,
    require_fixed,
    require_times,
    resampled_laws,
    sample_of,
    table_of,
    zero_ratio,
)
from observatory.analysis.times.estimators.law_limits import drawn_for_law, student_parameter
from observatory.analysis.times.estimators.power_law import (
    KINDS,
    N_PARAMS,
    UNDECIDED,
    at_limit_reason,
    held_warning,
    no_boundary_reason,
    require_among,
)
from observatory.analysis.times.estimators.rivals import OFFSET_PARAMS, offset_law
from observatory.core.errors import FitRefusedError


def _possible(data: Observations, critical: float) -> tuple[Observations, list[str]]:
    """The rows that a law with a given critical point allows, and how many it does not."""
    against = data.grokked & (data.weight_decay <= critical)
    n = data.count(against)
    if not n:
        return data, []
    return data.take(~against), [
        f"Replicas with the event at or below the critical point are left out ({n}): a law with "
        "that critical point says that they cannot have it."
    ]


def _criteria(table: Table, n: int, critical: str) -> dict[str, Plain]:
    """Log-likelihood of ln t and Akaike's criteria.

    Comparable between laws and error distributions on the same replicas only.
    """
    k, loglik = N_PARAMS[critical], float(table.law.loglik[0])
    aic = table.law.aic(k)
    few = n - k - 1.0
    corrected = aic + 2.0 * k * (k + 1.0) / few if few > 0 else None
    return {"loglik": loglik, "aic": aic, "aicc": corrected}


def _too_narrow(nu: Parameter, draws: Array, level: float) -> list[str]:
    """A warning where resampling finds the exponent much less certain than the likelihood."""
    if nu.ci_low is None or nu.ci_high is None:
        return []
    low, high = percentile_interval(draws, level)
    ratio = (high - low) / (nu.ci_high - nu.ci_low)
    if ratio < 1.3:
        return []
    return [
        f"The bootstrap's interval of nu [{low:.3g}, {high:.3g}] is {ratio:.1f} times as wide as "
        "the profile's: replicas of a seed are not independent, or the law does not hold."
    ]


@final
@dataclass(frozen=True)
class TimesAft:
    """The law t = A (weight_decay - critical)^-nu of median times, by censored likelihood.

    ln t = ln A - nu ln(weight_decay - critical) + errors; A is the median time, in steps, at a
    distance of 1 from the critical point. Replicas without the event by the horizon enter as
    such; an event between two looks enters as that interval. Limits of nu and of the critical point
    are those of the profile likelihood, of amplitude and spread Student's, the variance that of
    resampled seeds.

    Source:
        arXiv:2605.20441 fits the same law to uncensored replicas (`TimePowerLaw`). Deviation:
        censored likelihood; the critical point may be fitted, between 0 and the smallest weight
        decay that grokked, and is then tested against 0 (Self and Liang 1987).
    """

    fit_name = "times_censored"
    distribution: str  # a key of `ERRORS`
    critical: str  # "zero", "boundary" (held where a boundary fit has it), or "free"
    window_max: float  # largest weight decay that enters
    n_grid: int  # points of the search for the critical point
    n_bootstrap: int  # resamples
    n_parametric: int  # simulated tables of the test of 0; 0 to leave that out
    level: float  # coverage of the intervals

    def __post_init__(self) -> None:
        for name, known in (("distribution", ERRORS), ("critical", N_PARAMS)):
            require_among(name, getattr(self, name), known)

    @property
    def estimator(self) -> str:
        """How, as one word."""
        return f"{self.distribution}_{self.critical}"

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """Fit one table.

        Raises:
            FitRefusedError: If an event has no time, if too few replicas had it to fix the law, or
                if a critical point should be given and is not.
        """
        data = observations.within(self.window_max)
        require_times(data)
        held = {"zero": 0.0, "free": None}.get(self.critical, data.critical)
        if self.critical == "boundary" and held is None:
            raise FitRefusedError(no_boundary_reason(data.control))
        data, warnings = _possible(data, held or 0.0)
        require_fixed(data, self.critical)
        sample = sample_of(data)
        table = table_of(sample, ERRORS[self.distribution], held, self.n_grid)
        if held is None and table.at_limit:
            raise FitRefusedError(at_limit_reason(float(table.of.highest[0]), data.control))
        weights = sample.resampled(drawn_for_law(data, self.n_bootstrap, seed))
        draws = resampled_laws(table, weights, free=held is None)
        usable = np.isfinite(draws.nu)
        extras: dict[str, Plain] = {
            "method": "censored likelihood of ln t; profile limits of nu and critical, "
            "Student's of amplitude and sigma, their variance from resamples",
            "distribution": self.distribution,
            "critical_kind": KINDS[self.critical],
            "amplitude_is": "median time in steps at critical + 1",
            "window_max": self.window_max,
            "n_grokked": data.count(data.grokked),
            "n_censored": data.count(~data.grokked),
            "n_competing": data.count(data.failed),
            **_criteria(table, data.n, self.critical),
        }
        if warnings:
            extras |= {"aic": None, "aicc": None}  # other laws have these replicas too
        params, curves = self._parameters(table, draws, data), {}
        warnings += _too_narrow(params["nu"], draws.nu[usable], self.level)
        if held is None:
            extras |= self._of_threshold(sample, table, seed)
            region = table.joint_region(self.level)
            curves = {f"region.{name}": column for name, column in region.items()}
            curves["joint.critical"] = six_digits(draws.critical[usable])
            curves["joint.nu"] = six_digits(draws.nu[usable])
            warnings += self._near_zero(extras, data.control)
        else:
            extras["critical"] = held
        if self.critical == "boundary":
            warnings.append(held_warning(data.control))
            extras["critical_by"] = data.critical_by
        if not usable.all():
            warnings.append(f"Resamples that cannot fix the law are left out ({(~usable).sum()}).")
        if data.horizon_steps is None:
            cut = "runs without the event are censored where their records end"
            warnings.append(f"The table names no horizon: {cut}.")
        warnings = [*competing_warnings(data), *warnings]
        return estimate_of(self, data, seed, warnings, params=params, extras=extras, curves=curves)

    def _parameters(self, table: Table, draws: Laws, data: Observations) -> dict[str, Parameter]:
        usable, law, free = np.isfinite(draws.nu), table.law, self.critical == "free"
        nu_limits = table.exponent_limits(self.level, free)
        amplitude = math.exp(float(law.log_amplitude[0])), np.exp(draws.log_amplitude[usable])
        params = {
            "nu": Parameter(float(law.nu[0]), standard_error(draws.nu[usable]), *nu_limits),
            "amplitude": student_parameter(*amplitude, data, self.level, log=True),
            "sigma": student_parameter(
                float(law.sigma[0]), draws.sigma[usable], data, self.level, log=True
            ),
        }
        if free:
            point = float(law.critical[0])
            se = standard_error(draws.critical[usable]) if point > 0.0 else None
            params["critical"] = Parameter(point, se, *table.critical_limits(self.level))
        return params

    def _of_threshold(self, sample: Sample, free: Table, seed: int) -> dict[str, Plain]:
        """The law without a threshold, the test of it against the one with its own, the rival."""
        zero = table_of(sample, free.of.errors, 0.0, self.n_grid)
        ratio = zero_ratio(zero, free)
        low, high = zero.exponent_limits(self.level, free=False)
        of_zero = _criteria(zero, sample.data.n, "zero")
        rival = offset_law(free.of, free.begin)
        found: dict[str, Plain] = {
            "nu_zero": float(zero.law.nu[0]),
            "nu_zero_low": low,
            "nu_zero_high": high,
            "amplitude_zero": math.exp(float(zero.law.log_amplitude[0])),
            "sigma_zero": float(zero.law.sigma[0]),
            **{f"{name}_zero": value for name, value in of_zero.items()},
            "lr_zero": ratio,
            "p_zero": chi_bar_square(ratio),
            "critical_upper": free.upper_limit(self.level),
            "offset_rival": rival.offset,
            "nu_rival": rival.nu,
            "aic_rival": 2.0 * OFFSET_PARAMS - 2.0 * rival.loglik,
        }
        if self.n_parametric:
            p = parametric_p(zero, ratio, sample.data, self.n_parametric, seed)
            found["p_zero_simulated"] = p
        return found

    def _near_zero(self, extras: Mapping[str, Plain], control: str) -> list[str]:
        """A warning where the times do not tell the critical point from 0, or a rival fits too."""
        p = float(extras.get("p_zero_simulated", extras["p_zero"]) or 0.0)
        if p >= alpha_of(self.level):
            upper = float(extras["critical_upper"] or 0.0)
            return [
                f"The times do not tell this {critical_words(control)} from 0 (p = {p:.2g}); the "
                f"one-sided upper limit is {upper:.3g}."
            ]
        if float(extras["aic_rival"] or 0.0) >= float(extras["aic"] or 0.0) + UNDECIDED:
            return []
        return [
            f"A law without a threshold, {float(extras['offset_rival'] or 0.0):.3g} steps plus a "
            f"power of the {control}, fits these times as well (AIC within 2): they bend, but "
            "not only a threshold bends them."
        ]
