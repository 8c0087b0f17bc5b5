r"""What an emerging curve may be instead: constant, logarithm, first- and second-order step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.separable import Law

Array = NDArray[np.float64]


def _ones(u: Array, theta: Array) -> Array:
    return np.ones((len(theta), u.size))


def step_response(t: Array, damping: Array, frequency: Array) -> Array:
    r"""Unit step response of a second-order system, for any damping.

    With $z = \zeta \omega t$ and $q = \sqrt{|1 - \zeta^2|}$ it is $1 - e^{-z} (\cos q\omega t + z
    \,\mathrm{sinc}\, q\omega t)$ below critical damping, with hyperbolic functions above it.

    Args:
        t: Times, at least 0.
        damping: zeta, positive.
        frequency: omega, per unit of t, positive.

    Example:
        >>> critical = np.array(1.0)
        >>> step_response(np.array([0.0, 1.0, 50.0]), critical, critical).round(4).tolist()
        [0.0, 0.2642, 1.0]
    """
    z, q = damping * frequency * t, np.sqrt(np.abs(1.0 - damping**2))
    angle = q * frequency * t
    safe = np.where(angle > 1e-8, angle, 1.0)
    sine = np.where(angle > 1e-8, np.sin(angle) / safe, 1.0)
    under = np.exp(-z) * (np.cos(angle) + z * sine)
    slow = np.exp(-frequency * t / (damping + q))
    fast = np.exp(-(damping + q) * frequency * t)
    hyperbolic = np.where(angle > 1e-8, (slow - fast) / (2.0 * safe), np.exp(-z))
    return 1.0 - np.where(damping < 1.0, under, 0.5 * (slow + fast) + z * hyperbolic)


def alternatives(rate: Sequence[float], tau: Sequence[float]) -> dict[str, Law]:
    """The laws that an emergence curve is compared with, on u from 0 to 1, by name.

    Args:
        rate: Limits of rates and frequencies per span.
        tau: Limits of the offset of the logarithm, in spans.

    Source:
        Steps: arXiv:2508.03616. Deviation: each has an offset, since a curve that starts at 7 and
        not at 0 is no evidence against a step.
    """
    r_low, r_high = np.log(rate)
    t_low, t_high = np.log(tau)

    def logarithm(u: Array, theta: Array) -> Array:
        return np.stack([_ones(u, theta), np.log(u + np.exp(theta[:, :1]))], axis=-1)

    def first(u: Array, theta: Array) -> Array:
        return np.stack([_ones(u, theta), -np.expm1(-np.exp(theta[:, :1]) * u)], axis=-1)

    def second(u: Array, theta: Array) -> Array:
        response = step_response(u, np.exp(theta[:, 1:]), np.exp(theta[:, :1]))
        return np.stack([_ones(u, theta), response], axis=-1)

    return {
        "constant": Law("constant", lambda u, theta: _ones(u, theta)[..., None], 1),
        "logarithm": Law("logarithm", logarithm, 2, (t_low,), (t_high,)),
        "first_order_step": Law("first_order_step", first, 2, (r_low,), (r_high,)),
        "second_order_step": Law(
            "second_order_step", second, 2, (r_low, np.log(0.05)), (r_high, np.log(20.0))
        ),
    }
