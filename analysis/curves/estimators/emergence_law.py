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

from observatory.analysis.curves.estimators.separable import Array, Law, Solution
from observatory.analysis.stats.solvers import lambert_of_log

PARAMETERS = ("A", "lambda", "gamma", "t0", "K")
CLASSES = ("early peak", "log increase", "decay only", "trough")


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


def emergence_law(beta: Sequence[float], tau: Sequence[float]) -> Law:
    """The curve on u with theta = (ln b, ln s), between these limits of b and s, per span.

    Beside the grid one search starts where the published fits do, on steps scaled to 0 to 1:
    lambda = 1 / std(u), gamma = 1 / range(u) = 1, t0 = 1.

    Source:
        arXiv:2508.03616. The scaling is ours, it does not name one.
    """
    low, high = np.log([beta[0], tau[0]]), np.log([beta[1], tau[1]])
    beside = np.clip(np.log([1.0 / np.linspace(0.0, 1.0, 37).std(), 1.0]), low, high)
    return Law(_columns, 3, low.tolist(), high.tolist(), _slopes, beside.tolist())


@dataclass(frozen=True)
class Emergence:
    """Fitted curves in the unit of the data, `[draw]` each.

    Attributes:
        params: A, lambda, gamma, t0 and K, by name; not finite where the curve has none.
        t_peak: Step at which the curve is stationary, which exists even where single parameters do
            not; negative where only the decay after it is seen.
        height: Value of the curve there.
        rising: Whether A is positive, so that the stationary point is a peak, not a trough.
    """

    params: dict[str, Array]
    t_peak: Array
    height: Array
    rising: NDArray[np.bool_]


def in_steps(found: Solution, first: float, span: float) -> Emergence:
    r"""The parameters and the peak of fits on u = (t - first) / span.

    In steps the peak is $1 / (\beta W) - \tau$ with $W = W(1 / \lambda)$ (arXiv:2508.03616); gamma,
    whose value may be beyond all numbers, is not needed.
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
    return Emergence(params, first + span * place, height, one > 0)


def classes_of(found: Emergence, first: float, last: float) -> NDArray[np.int64]:
    """Index into `CLASSES` of each curve, by what a record from `first` to `last` shows, `[draw]`.

    Early peak: it lies inside the record. Log increase: the curve rises all the way, its peak at or
    beyond the end. Decay only: it falls all the way. Trough: it falls, then rises (A < 0).
    """
    step = np.where(np.isnan(found.t_peak), np.inf, found.t_peak)
    before, beyond = step <= first, step >= last
    inside = np.where(found.rising, 0, 3)
    return np.where(before | beyond, np.where(beyond == found.rising, 1, 2), inside)
