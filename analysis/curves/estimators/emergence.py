r"""Emergence of a massive activation: the exponentially modulated logarithm against plainer laws.

$f(t) = A e^{-\lambda x} \ln x + K$ with $x = \gamma t + t_0$. Letters as in arXiv:2508.03616: A
amplitude, lambda decay, gamma time scale, t0 offset, K baseline. The linear form has beta = lambda
gamma and tau = t0 / gamma: $f = e^{-\beta t} (A_1 \ln(t + \tau) + A_2) + K$.

The fit runs on u = (t - first) / span, from 0 to 1, with the columns $e^{-bu} \ln(u + s)$,
$(1 - e^{-bu}) / b$ and 1: the same curves, and still three columns where the decay vanishes.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_fit import CurveLaw, Found, Judged, Named
from observatory.analysis.curves.estimators.laws import emergence_alternatives
from observatory.analysis.curves.estimators.separable import (
    Array,
    Law,
    Solution,
    residual_slopes,
)
from observatory.analysis.curves.estimators.series import Series, parameter
from observatory.analysis.stats.estimate import Parameter
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

    A, lambda, gamma, t0 and K, not finite where the curve has none; the step at which it is
    stationary, which exists even where single parameters do not, negative where only the decay
    after it is seen; its height there; and whether A is positive, so that this is a peak.
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


def _conditioning(law: Law, u: Array, value: Array, found: Solution) -> float:
    """Condition number of the Jacobian by A1, A2, K, beta and tau, columns of length 1.

    Infinite where two numbers do the same: there K, and with it gamma and t0, can be anything.
    """
    slopes = residual_slopes(law, u, value[None], found.theta)[1][0]
    columns = law.columns(u, found.theta)[0]
    columns[:, 1] = np.exp(-np.exp(found.theta[0, 0]) * u)
    full = np.concatenate([columns, slopes], axis=1)
    length = np.sqrt((full * full).sum(axis=0))
    if not np.all(length > 0):
        return math.inf
    values = np.linalg.svd(full / length, compute_uv=False)
    return float(values[0] / values[-1]) if values[-1] > 0 else math.inf


@final
@dataclass(frozen=True, kw_only=True)
class EmergenceCurve(CurveLaw):
    r"""Fits $A e^{-\lambda(\gamma t + t_0)} \ln(\gamma t + t_0) + K$ and says what of it is known.

    Least squares by variable projection: a grid over decay and offset, its best minima refined by a
    bounded trust-region search with the analytic Jacobian. Intervals are percentiles of a
    block-wise wild bootstrap of the residuals. Height and place of a peak inside the record are
    estimates; A, lambda, gamma, t0 and K are only where the intervals say that the data fix them.

    Source:
        arXiv:2508.03616. Deviation: start by grid, no sign bound on A, alternatives with an offset.
    """

    beta: Sequence[float]  # limits of the decay per span of the record
    tau: Sequence[float]  # limits of the offset in spans

    fit_name = "emergence"
    main = "emergence"
    fewest = 8
    what = "An emergence curve"
    better = "the emergence curve adds nothing that they show."
    known = "curve, class and a peak inside the record are what is known."
    at_limit = "The search ended at a limit: decay or offset is not determined."
    usual_value = "ratio"
    usual_table = "probes/massive_activations"

    @property
    def estimator(self) -> str:
        """The formula."""
        return "modulated_log"

    @property
    def laws(self) -> Mapping[str, Law]:
        """The curve, a logarithm, two steps and a constant."""
        alternatives = emergence_alternatives(self.beta, self.tau)
        return {"emergence": emergence_law(self.beta, self.tau), **alternatives}

    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """A, lambda, gamma, t0 and K; K alone is known where the offset is at its limit."""
        others = PARAMETERS[:-1]
        return Named(
            lambda found: in_steps(found, *scale).params,
            [(PARAMETERS, PARAMETERS), (others, others)],
            {"K": self.identified_width * float(np.ptp(series.value))},
        )

    def judge(self, found: Found) -> Judged:
        """The class of the curve, and its peak where it lies inside the record."""
        series, kept = found.series, found.params
        first, last = float(series.step[0]), float(series.step[-1])
        best, draws = (in_steps(one, *found.scale) for one in (found.solution, found.again))
        kind = CLASSES[int(classes_of(best, first, last)[0])]
        share = float((classes_of(draws, first, last) == CLASSES.index(kind)).mean())
        if "K" not in kept:  # what K may be is taken up by these, whatever their intervals say
            kept = {name: made for name, made in kept.items() if name == "A"}
        peak = self._peak(best, draws, last) if kind == "early peak" else {}
        u, law = (series.step - first) / found.scale[1], self.laws["emergence"]
        return Judged(
            kept=kept,
            beside=peak,
            extras={
                "class": kind,
                "class_share": share,
                "condition": _conditioning(law, u, series.value, found.solution),
                "first_step": first,
                "last_step": last,
                "method": "least squares, variable projection, block-wise wild bootstrap",
            },
            warnings=self._class_warnings(kind, share, peak.get("t_peak"), float(series.step[2])),
        )

    def _peak(self, best: Emergence, draws: Emergence, last: float) -> dict[str, Parameter]:
        """Place and height of a peak inside the record; a limit beyond it is none."""
        seen = draws.rising & ~np.isnan(draws.t_peak)
        places = np.where(seen, draws.t_peak, np.inf)
        place = parameter(float(best.t_peak[0]), places, self.level)
        high = place.ci_high if place.ci_high is not None and place.ci_high < last else None
        spread = place.se if high is not None else None
        heights = np.where(seen & (places < last), draws.height, np.nan)
        return {
            "t_peak": Parameter(place.value, spread, place.ci_low, high),
            "height": parameter(float(best.height[0]), heights, self.level),
        }

    def _class_warnings(
        self, kind: str, share: float, place: Parameter | None, third: float
    ) -> list[str]:
        found: list[str] = []
        if share < self.level:
            found.append(
                f"The class is not certain: {share:.0%} of the resamples are called {kind}."
            )
        if kind == "decay only" or (place is not None and place.value < third):
            found.append(
                "A peak before the first few steps on record looks like decay alone: log-spaced "
                "early steps would show which it is."
            )
        if place is not None and place.ci_high is None:
            found.append("The place of the peak has no upper limit inside the record.")
        return found
