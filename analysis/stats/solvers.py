"""The few functions of scipy that the fits call, with types: scipy ships none."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportAssignmentType=false, reportArgumentType=false

import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import NDArray
from scipy.optimize import OptimizeWarning, brentq, curve_fit, least_squares, minimize_scalar
from scipy.special import gammaln, log_ndtr, ndtr, ndtri, psi
from scipy.stats import chi2, f, fisher_exact, t

Array = NDArray[np.float64]


def fit_curve(
    function: Callable[[Array, float, float], Array], x: Array, y: Array, start: Sequence[float]
) -> Array | None:
    """`scipy.optimize.curve_fit` with its default settings; None where it does not converge."""
    with warnings.catch_warnings(), np.errstate(over="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", OptimizeWarning)  # its covariance is not used
        try:
            found = curve_fit(function, x, y, p0=start, full_output=True)
        except RuntimeError:
            return None
    return np.asarray(found[0], dtype=np.float64)


def minimise_between(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one number is least between two limits (Brent, bounded)."""
    found = minimize_scalar(
        function, bounds=(low, high), method="bounded", options={"xatol": 1e-12}
    )
    return float(found.x)


def chi2_quantile(level: float, degrees: int) -> float:
    """The quantile of the chi-square distribution."""
    return float(chi2.ppf(level, degrees))


def chi2_tail(value: float, degrees: int) -> float:
    """The chance that a chi-square variable exceeds `value`."""
    return float(chi2.sf(value, degrees))


def f_quantile(level: float, above: int, below: int) -> float:
    """The quantile of the F distribution with these degrees of freedom."""
    return float(f.ppf(level, above, below))


def fisher_p(table: list[list[int]]) -> float:
    """Two-sided p-value of Fisher's exact test on a two by two table."""
    return float(fisher_exact(table).pvalue)


def _typed(function: Any) -> Callable[[Array], Array]:
    return lambda z: np.asarray(function(z), dtype=np.float64)


normal_cdf, log_normal_cdf = _typed(ndtr), _typed(log_ndtr)
"""The standard normal distribution function and its logarithm, exact in the lower tail."""
normal_quantile = _typed(ndtri)
"""Where the normal distribution function has a given value."""
log_gamma, digamma = _typed(gammaln), _typed(psi)
"""The logarithm of the gamma function at positive values, and its derivative."""
expit = _typed(scipy.special.expit)
"""The logistic 1 / (1 + exp(-z)), exact in both tails."""


def xlogy(x: float, y: float) -> float:
    """X ln y; 0 where x is 0."""
    return float(scipy.special.xlogy(x, y))


def alpha_of(level: float) -> float:
    """The level of a test beside intervals of this coverage: 0.05, not 1 - 0.95, which is above it.

    Example:
        >>> 1.0 - 0.95 > 0.05, alpha_of(0.95)
        (True, 0.05)
    """
    return round(1.0 - level, 12)


def solve_each(matrix: Array, vector: Array) -> Array:
    """Solutions of many small linear systems, `[..., k, k]` and `[..., k]`."""
    return np.asarray(np.linalg.solve(matrix, vector[..., None])[..., 0], dtype=np.float64)


def beta_quantile(share: float, a: Array, b: Array) -> Array:
    """Quantiles of beta distributions, dimensionless."""
    return np.asarray(scipy.special.betaincinv(a, b, share), dtype=np.float64)


def student_quantile(level: float, degrees: int) -> float:
    """The quantile of Student's t distribution."""
    return float(t.ppf(level, degrees))


def student_tail(value: float, degrees: int) -> float:
    """The chance that Student's t lies farther from 0 than `value`, on either side."""
    return float(2.0 * t.sf(abs(value), degrees))


def bounded_least_squares(
    residual: Callable[[Array], Array],
    slopes: Callable[[Array], Array],
    start: Array,
    low: Sequence[float],
    high: Sequence[float],
) -> Array:
    """`scipy.optimize.least_squares`, trust-region reflective, to the last digits."""
    inside = np.clip(start, np.array(low) + 1e-9, np.array(high) - 1e-9)
    found = least_squares(
        residual, inside, jac=slopes, bounds=(low, high), method="trf",
        ftol=1e-15, xtol=1e-15, gtol=1e-15, max_nfev=100,
    )  # fmt: skip
    return np.asarray(found.x, dtype=np.float64)


def lambert_of_log(log_z: Array) -> Array:
    """W(exp(log_z)), the principal branch, where exp(log_z) itself may overflow.

    Above 700 it solves w + ln w = log_z by Newton's rule, which then needs a few steps.
    """
    known = np.isfinite(log_z)
    large = np.where(known, np.maximum(log_z, 700.0), 700.0)
    w = large - np.log(large)
    for _ in range(4):
        w = w - (w + np.log(w) - large) / (1.0 + 1.0 / w)
    small = np.where(known, np.minimum(log_z, 700.0), 0.0)
    exact = np.asarray(scipy.special.lambertw(np.exp(small)).real, dtype=np.float64)
    limits = np.where(log_z == -np.inf, 0.0, log_z)  # NaN and infinity stay
    return np.where(known, np.where(log_z <= 700.0, exact, w), limits)


def zero_between(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a continuous function of one number is 0, between two places of other sign (Brent)."""
    root: object = brentq(function, low, high, xtol=1e-10)
    return float(np.asarray(root))


def magnitude(values: Array) -> float:
    """The power of two below the largest absolute value: division by it is exact.

    1 where all values are 0.

    Example:
        >>> magnitude(np.array([-6.0, 1.0])), magnitude(np.zeros(2))
        (4.0, 1.0)
    """
    largest = float(np.abs(values).max(initial=0.0))
    return math.ldexp(1.0, math.frexp(largest)[1] - 1) if largest else 1.0
