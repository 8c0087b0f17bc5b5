"""The error distributions of log-time regression: what each kind of record adds to a likelihood.

Letters: z = standardised log time, S and F = survival and distribution function of the error, f its
density; w = width of an interval in z, whose lower end is z. Every function returns logarithms with
their derivatives, computed so that neither tail loses its digits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from observatory.analysis.stats.solvers import Array, log_normal_cdf, normal_quantile

_Along = tuple[Array, Array, Array]  # a function of z, its first and its second derivative
_Across = tuple[Array, ...]  # a function of (z, w): value, then the derivatives z, w, zz, zw, ww

_LOG_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Errors:
    """One error distribution."""

    median: float  # z at which S is one half
    density: Callable[[Array], _Along]  # ln f
    survival: Callable[[Array], _Along]  # ln S, of a record that ended at z without the event
    cumulative: Callable[[Array], _Along]  # ln F, of an event at some unknown time before z
    mass: Callable[[Array, Array], _Across]  # ln(S(z) - S(z + w)), of an event between two looks
    quantile: Callable[[Array], Array]  # z at which S has a given value


def _sev_density(z: Array) -> _Along:
    """Ln f of the smallest extreme value: z - exp z."""
    a = np.exp(z)
    return z - a, 1.0 - a, -a


def _sev_survival(z: Array) -> _Along:
    """Ln S = -exp z."""
    a = np.exp(z)
    return -a, -a, -a


def _sev_cumulative(z: Array) -> _Along:
    """Ln F = ln(1 - exp(-exp z))."""
    a = np.exp(z)
    q = 1.0 / np.expm1(a)
    return np.log(-np.expm1(-a)), a * q, a * q - a * a * q * (1.0 + q)


def _sev_mass(z: Array, w: Array) -> _Across:
    """ln(S(z) - S(z + w)) = -a + ln(1 - exp(-g)), with a = exp z and g = a (exp w - 1)."""
    a, b = np.exp(z), np.exp(z + w)
    g = a * np.expm1(w)
    q = 1.0 / np.expm1(g)
    gq, curve = g * q, q * (1.0 + q)
    return (
        -a + np.log(-np.expm1(-g)),
        gq - a,
        b * q,
        gq - a - g * g * curve,
        b * q - g * b * curve,
        b * q - b * b * curve,
    )


def _normal_density(z: Array) -> _Along:
    """Ln f of the normal distribution."""
    return -0.5 * z * z - _LOG_ROOT_2PI, -z, -np.ones_like(z)


def _normal_cumulative(z: Array) -> _Along:
    """Ln F; its derivative is the inverse Mills ratio."""
    log_f = log_normal_cdf(z)
    mills = np.exp(-0.5 * z * z - _LOG_ROOT_2PI - log_f)
    return log_f, mills, -mills * (mills + z)


def _normal_survival(z: Array) -> _Along:
    """Ln S(z) = ln F(-z)."""
    value, first, second = _normal_cumulative(-z)
    return value, -first, second


def _normal_mass(z: Array, w: Array) -> _Across:
    """ln(F(z + w) - F(z)), computed in the lower tail, where F keeps its digits."""
    high = z + w
    flip = z + high > 0
    upper, lower = (
        log_normal_cdf(np.where(flip, -z, high)),
        log_normal_cdf(np.where(flip, -high, z)),
    )
    value = upper + np.log(-np.expm1(lower - upper))
    at_low = np.exp(-0.5 * z * z - _LOG_ROOT_2PI - value)
    at_high = np.exp(-0.5 * high * high - _LOG_ROOT_2PI - value)
    slope = at_high - at_low
    return (
        value,
        slope,
        at_high,
        z * at_low - high * at_high - slope * slope,
        -high * at_high - slope * at_high,
        -high * at_high - at_high * at_high,
    )


def _softplus(z: Array) -> tuple[Array, Array]:
    """Values of ln(1 + exp z), and its derivative, the logistic distribution function."""
    small = np.exp(-np.abs(z))
    return np.maximum(z, 0.0) + np.log1p(small), np.where(z > 0, 1.0, small) / (1.0 + small)


def _logistic_survival(z: Array) -> _Along:
    """Ln S = -ln(1 + exp z)."""
    value, f = _softplus(z)
    return -value, -f, -f * (1.0 - f)


def _logistic_cumulative(z: Array) -> _Along:
    """Ln F = z + ln S."""
    value, f = _softplus(z)
    return z - value, 1.0 - f, -f * (1.0 - f)


def _logistic_density(z: Array) -> _Along:
    """Ln f = z + 2 ln S."""
    value, f = _softplus(z)
    return z - 2.0 * value, 1.0 - 2.0 * f, -2.0 * f * (1.0 - f)


def _logistic_mass(z: Array, w: Array) -> _Across:
    """ln(F(z + w) - F(z)) = ln F(z + w) + ln S(z) + ln(1 - exp(-w))."""
    below, above = _logistic_cumulative(z + w), _logistic_survival(z)
    q = 1.0 / np.expm1(w)
    return (
        below[0] + above[0] + np.log(-np.expm1(-w)),
        below[1] + above[1],
        below[1] + q,
        below[2] + above[2],
        below[2],
        below[2] - q * (1.0 + q),
    )


def _sev_quantile(s: Array) -> Array:
    return np.log(-np.log(s))


def _normal_quantile(s: Array) -> Array:
    return -normal_quantile(s)


def _logistic_quantile(s: Array) -> Array:
    return np.log1p(-s) - np.log(s)


_LN_LN2 = math.log(math.log(2.0))
ERRORS = {
    "weibull": Errors(
        _LN_LN2, _sev_density, _sev_survival, _sev_cumulative, _sev_mass, _sev_quantile
    ),
    "lognormal": Errors(
        0.0, _normal_density, _normal_survival, _normal_cumulative, _normal_mass, _normal_quantile
    ),
    "loglogistic": Errors(
        0.0,
        _logistic_density,
        _logistic_survival,
        _logistic_cumulative,
        _logistic_mass,
        _logistic_quantile,
    ),
}
"""By the name of the distribution of the times: errors of ln t are smallest extreme value, normal
and logistic. All three densities are log-concave."""
