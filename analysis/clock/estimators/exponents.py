"""Numbers of the laws with the limits of seeds left out one at a time."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from observatory.analysis.clock.estimators.fitting import ClockSample, LawFit
from observatory.analysis.clock.estimators.likelihood import limits, maximise
from observatory.analysis.clock.estimators.verdict import LawEvidence
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Array
from observatory.analysis.stats.resample import jackknife_limits
from observatory.analysis.stats.search import end_of_search
from observatory.analysis.times.estimators.aft_errors import ERRORS


def exponents(
    sample: ClockSample, evidence: LawEvidence, distribution: str, level: float
) -> dict[str, Parameter]:
    """Exponents of lr and weight decay, constant part and decay time.

    lr_exponent, decay_exponent and constant (steps) are those of t = constant + C / (lr^b'
    weight_decay^a'); the constant is left out at the end of its search, where it is as good as 0.
    decay_time is the median of lr x weight_decay x t under t = C / (lr weight_decay),
    dimensionless.
    """
    fit = evidence.fits["separate_constant"]
    k = fit.law.n_linear
    axes = sample.axes
    centre = axes.log_lr + axes.log_decay
    separate = _limits(
        sample,
        fit,
        distribution,
        level,
        lambda theta: np.stack([theta[:, 2], theta[:, 1], np.exp(theta[:, k])], axis=1),
    )
    inverse = _limits(
        sample,
        evidence.fits["clock_inverse"],
        distribution,
        level,
        lambda theta: theta[:, :1] + centre,
    )
    lr, decay, constant = separate
    log_time = inverse[0]
    value = float(np.exp(log_time.value))
    low, high = (np.exp(end) for end in (log_time.ci_low or 0.0, log_time.ci_high or 0.0))
    found = {
        "lr_exponent": lr,
        "decay_exponent": decay,
        "constant": replace(constant, ci_low=max(constant.ci_low or 0.0, 0.0)),
        "decay_time": Parameter(value, value * (log_time.se or 0.0), float(low), float(high)),
    }
    least = float(limits(sample.problem(fit.law, ERRORS[distribution]))[0][k])
    if end_of_search(float(fit.theta[k]), least, float(fit.theta[k]) + 1.0):
        del found["constant"]  # as good as none: an end of its search is no estimate
    return found


def _limits(
    sample: ClockSample,
    fit: LawFit,
    distribution: str,
    level: float,
    numbers: Callable[[Array], Array],
) -> list[Parameter]:
    """Numbers of a law without a critical point, `numbers` of theta being `[problem, number]`."""
    without = sample.without_units()
    problem = sample.problem(fit.law, ERRORS[distribution])
    again = maximise(replace(problem, weights=without), np.tile(fit.theta, (len(without), 1)))
    values = numbers(fit.theta[None])[0]
    found = jackknife_limits(values, numbers(again.theta), level)
    return [
        Parameter(float(v), float(e), float(lo), float(hi))
        for v, e, lo, hi in zip(values, *found, strict=True)
    ]
