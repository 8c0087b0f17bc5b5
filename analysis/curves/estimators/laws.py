"""Laws that are compared with each other: their columns, and limits of their inner numbers."""

from collections.abc import Sequence

import numpy as np

from observatory.analysis.curves.estimators.separable import Array, Law


def _beside_one(values: Array) -> Array:
    """C + a times these values, `[draw, point]`."""
    return np.stack([np.ones_like(values), values], axis=-1)


def constant_law() -> Law:
    """The same value everywhere."""
    return Law(lambda x, theta: np.ones((len(theta), x.size, 1)), 1)


def line_law() -> Law:
    """C + a x."""
    return Law(lambda x, theta: _beside_one(np.tile(x, (len(theta), 1))), 2)


def exponential_law(low: float, high: float) -> Law:
    """C + a (1 - exp(-b x)), theta = ln b between the logarithms of these limits."""

    def columns(x: Array, theta: Array) -> Array:
        return _beside_one(-np.expm1(-np.exp(theta[:, :1]) * x))

    return Law(columns, 2, (float(np.log(low)),), (float(np.log(high)),))


def tanh_law(shortest: float, longest: float) -> Law:
    """C + a tanh((u - m) / w) on u from 0 to 1, theta = (m, ln w); m may lie a length outside."""

    def columns(u: Array, theta: Array) -> Array:
        return _beside_one(np.tanh((u - theta[:, :1]) / np.exp(theta[:, 1:])))

    return Law(columns, 2, (-1.0, float(np.log(shortest))), (2.0, float(np.log(longest))))


def step_response(t: Array, damping: Array, frequency: Array) -> Array:
    r"""Unit step response of a second-order system, for any damping.

    With $z = \zeta \omega t$ and $q = \sqrt{|1 - \zeta^2|}$ it is $1 - e^{-z} (\cos q\omega t + z
    \,\mathrm{sinc}\, q\omega t)$ below critical damping, with hyperbolic functions above it.

    Times and damping zeta are at least 0, frequency omega is positive, per unit of t.

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


def emergence_alternatives(rate: Sequence[float], tau: Sequence[float]) -> dict[str, Law]:
    """The laws that an emergence curve is compared with, on u from 0 to 1, by name.

    `rate` limits rates and frequencies per span, `tau` the offset of the logarithm, in spans.

    Source:
        Steps: arXiv:2508.03616. Deviation: each has an offset, since a curve that starts at 7 and
        not at 0 is no evidence against a step.
    """
    (r_low, r_high), (t_low, t_high) = np.log(rate), np.log(tau)

    def logarithm(u: Array, theta: Array) -> Array:
        return _beside_one(np.log(u + np.exp(theta[:, :1])))

    def second(u: Array, theta: Array) -> Array:
        return _beside_one(step_response(u, np.exp(theta[:, 1:]), np.exp(theta[:, :1])))

    return {
        "constant": constant_law(),
        "logarithm": Law(logarithm, 2, (t_low,), (t_high,)),
        "first_order_step": exponential_law(*rate),
        "second_order_step": Law(second, 2, (r_low, np.log(0.05)), (r_high, np.log(20.0))),
    }


def saturation_laws(rate: Sequence[float], exponent: float) -> dict[str, Law]:
    """What an amplitude may do with a size, on a size divided by the largest one.

    `rate` limits b times the largest size, `exponent` the power law's, of either sign.
    """

    def power(x: Array, theta: Array) -> Array:
        return np.exp(theta[:, :1] * np.log(x))[..., None]

    return {
        "exponential": exponential_law(*rate),
        "linear": line_law(),
        "logarithm": Law(lambda x, theta: _beside_one(np.tile(np.log(x), (len(theta), 1))), 2),
        "power": Law(power, 1, (-exponent,), (exponent,)),
        "constant": constant_law(),
    }


def sparsity_laws(rate: Sequence[float], alpha: Sequence[float]) -> dict[str, Law]:
    r"""Shares of active units against training D, divided by the largest D.

    ReLU, falling: $e^{-c D^\alpha + b} + A_0$. SiLU, rising: $-c / D^\alpha + A_0$. Published
    numbers are for D in billions of tokens.

    `rate` limits c of the ReLU law on that scale, `alpha` the exponent of both.

    Source:
        Luo et al. (2025), Sparsing Law, arXiv:2411.02335. Deviation: none.
    """
    (c_low, c_high), (a_low, a_high) = np.log(rate), np.log(alpha)

    def relu(x: Array, theta: Array) -> Array:
        power = np.exp(np.exp(theta[:, 1:]) * np.log(x))
        return _beside_one(np.exp(-np.exp(theta[:, :1]) * power))

    def silu(x: Array, theta: Array) -> Array:
        return _beside_one(-np.exp(-np.exp(theta[:, :1]) * np.log(x)))

    return {
        "relu": Law(relu, 2, (c_low, a_low), (c_high, a_high)),
        "silu": Law(silu, 2, (a_low,), (a_high,)),
        "constant": constant_law(),
    }
