r"""The exponentially modulated logarithm: formula, linear form, peak, and what it is called.

$f(t) = A e^{-\lambda x} \ln x + K$ with $x = \gamma t + t_0$. Letters as in arXiv:2508.03616: A
amplitude, lambda decay, gamma time scale, t0 offset, K baseline. The linear form has beta = lambda
gamma and tau = t0 / gamma: $f = e^{-\beta t} (A_1 \ln(t + \tau) + A_2) + K$.

The fit runs on u = (t - first) / span, from 0 to 1, with the columns $e^{-bu} \ln(u + s)$,
$(1 - e^{-bu}) / b$ and 1: the same curves, and still three columns where the decay vanishes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.separable import Law, Solution
from observatory.analysis.stats.solvers import lambert_of_log

Array = NDArray[np.float64]

PARAMETERS = ("A", "lambda", "gamma", "t0", "K")


def emergence_curve(
    t: Array, amplitude: float, decay: float, gamma: float, t0: float, baseline: float
) -> Array:
    r"""$A e^{-\lambda x} \ln x + K$, $x = \gamma t + t_0$, in the unit of the values.

    Args:
        t: Steps, `[step]`, such that x > 0.
        amplitude: A.
        decay: lambda, at least 0.
        gamma: Per step, positive.
        t0: Dimensionless.
        baseline: K.

    Source:
        arXiv:2508.03616, its five-parameter model. Deviation: none.

    Example:
        >>> emergence_curve(np.array([0.0, 1e4]), 3000.0, 0.6, 1e-4, 1.0, 120.0).round(5).tolist()
        [120.0, 746.31576]
    """
    x = gamma * t + t0
    return amplitude * np.exp(-decay * x) * np.log(x) + baseline


@dataclass(frozen=True)
class Peak:
    """Where the curve is stationary.

    Attributes:
        x: gamma t + t0 there.
        step: Steps; negative where only the decay after it is seen.
        height: Value of the curve; a trough where A is negative.
    """

    x: Array
    step: Array
    height: Array


def peak_of(amplitude: Array, decay: Array, gamma: Array, t0: Array, baseline: Array) -> Peak:
    r"""The stationary point: $x^* = 1 / (\lambda W)$ and $A W e^{-1/W} + K$, $W = W(1/\lambda)$.

    Args:
        amplitude: A, `[draw]`, as all others.
        decay: lambda.
        gamma: Per step.
        t0: Dimensionless.
        baseline: K.

    Source:
        The place: arXiv:2508.03616. The height follows from ln x* = W.
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        w = lambert_of_log(-np.log(decay))
        x = 1.0 / (decay * w)
        return Peak(x, (x - t0) / gamma, amplitude * w * np.exp(-1.0 / w) + baseline)


def _columns(u: Array, theta: Array) -> Array:
    b, s = (np.exp(theta[:, i, None]) for i in range(2))
    fade = np.exp(-b * u)
    return np.stack(
        [fade * np.log(u + s), -np.expm1(-b * u) / b, np.ones((len(theta), u.size))], axis=-1
    )


def _slopes(u: Array, theta: Array) -> Array:
    b, s = (np.exp(theta[:, i, None]) for i in range(2))
    fade = np.exp(-b * u)
    zero = np.zeros_like(fade)
    by_b = [-b * u * fade * np.log(u + s), u * fade + np.expm1(-b * u) / b, zero]
    by_s = [fade * s / (u + s), zero, zero]
    return np.stack([np.stack(by_b, axis=-1), np.stack(by_s, axis=-1)], axis=-1)


def published_start(u: Array, v: Array) -> tuple[float, float, float, float, float]:
    """A, lambda, gamma, t0 and K from which the published fits start, on scaled data.

    Args:
        u: Steps, scaled to 0 to 1.
        v: Values, scaled likewise.

    Source:
        arXiv:2508.03616, start values: ymax - ymin, 1 / std, 1 / range, 1, ymin + A / 2. The
        scaling to 0 to 1 is ours, it does not name one.

    Example:
        >>> u = np.linspace(0, 1, 37)
        >>> [round(number, 6) for number in published_start(u, u)]
        [1.0, 3.371709, 1.0, 1.0, 0.5]
    """
    height = float(np.ptp(v))
    return height, 1.0 / float(u.std()), 1.0 / float(np.ptp(u)), 1.0, float(v.min()) + height / 2


def emergence_law(beta: Sequence[float], tau: Sequence[float]) -> Law:
    """The curve on u with theta = (ln b, ln s), between these limits of b and s, per span."""
    low, high = np.log([beta[0], tau[0]]), np.log([beta[1], tau[1]])
    _, decay, gamma, t0, _ = published_start(np.linspace(0.0, 1.0, 37), np.array([0.0, 1.0]))
    beside = np.clip(np.log([decay * gamma, t0 / gamma]), low, high)
    return Law("emergence", _columns, 3, low.tolist(), high.tolist(), _slopes, beside.tolist())


@dataclass(frozen=True)
class Emergence:
    """Fitted curves in the unit of the data, `[draw]` each.

    Attributes:
        params: A, lambda, gamma, t0 and K, by name; not finite where the curve has none.
        peak: Step and height, which exist even where single parameters do not.
        rising: Whether A is positive, so that the stationary point is a peak.
    """

    params: dict[str, Array]
    peak: Peak
    rising: NDArray[np.bool_]


def in_steps(found: Solution, first: float, span: float) -> Emergence:
    """The parameters and the peak of fits on u = (t - first) / span.

    The peak is 1 / (beta W) - tau and needs no gamma, whose value may be beyond all numbers.

    Args:
        found: Of `emergence_law`.
        first: First step.
        span: Steps from first to last.
    """
    b, s = np.exp(found.theta[:, 0]), np.exp(found.theta[:, 1])
    one, two, three = found.coefficients.T
    with np.errstate(all="ignore"):
        turn = -two / (one * b)  # ln gamma + ln span
        w = lambert_of_log(turn - np.log(b))
        gamma = np.exp(turn) / span
        params = {
            "A": one * np.exp(b * s),
            "lambda": np.exp(np.log(b) - turn),
            "gamma": gamma,
            "t0": gamma * (s * span - first),
            "K": three + two / b,
        }
        place = 1.0 / (b * w) - s
        fade = np.exp(-b * place)
        height = one * fade * np.log(place + s) - two * np.expm1(-b * place) / b + three
        peak = Peak(np.exp(w), first + span * place, height)
    return Emergence(params, peak, one > 0)


CLASSES = ("early peak", "log increase", "decay only", "trough")


def classes_of(found: Emergence, first: float, last: float) -> NDArray[np.int64]:
    """Index into `CLASSES` of each curve, by what a record from `first` to `last` shows, `[draw]`.

    Early peak: it lies inside the record. Log increase: the curve rises all the way, its peak at or
    beyond the end. Decay only: it falls all the way. Trough: it falls, then rises (A < 0).
    """
    step = np.where(np.isnan(found.peak.step), np.inf, found.peak.step)
    before, beyond = step <= first, step >= last
    inside = np.where(found.rising, 0, 3)
    return np.where(before | beyond, np.where(beyond == found.rising, 1, 2), inside)
