"""Emergence of a massive activation: the exponentially modulated logarithm against plainer laws."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.curves.estimators.emergence_law import (
    CLASSES,
    PARAMETERS,
    Emergence,
    classes_of,
    emergence_law,
    in_steps,
)
from observatory.analysis.curves.estimators.law_fit import Found, Judged, Named, NamedLaw
from observatory.analysis.curves.estimators.laws import emergence_alternatives
from observatory.analysis.curves.estimators.separable import (
    Array,
    Law,
    Solution,
    residual_slopes,
)
from observatory.analysis.curves.estimators.series import Series, parameter
from observatory.analysis.stats.estimate import Parameter


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
class EmergenceCurve(NamedLaw):
    r"""Fits $A e^{-\lambda(\gamma t + t_0)} \ln(\gamma t + t_0) + K$ and says what of it is known.

    Least squares by variable projection: a grid over decay and offset, its best minima refined by a
    bounded trust-region search with the analytic Jacobian. Intervals are percentiles of a
    block-wise wild bootstrap of the residuals. Height and place of a peak inside the record are
    estimates; A, lambda, gamma, t0 and K are only where the intervals say that the data fix them.

    Attributes:
        beta: Limits of the decay per span of the record.
        tau: Limits of the offset in spans.

    Source:
        arXiv:2508.03616. Deviation: start by grid, no sign bound on A, alternatives with an offset.
    """

    beta: Sequence[float]
    tau: Sequence[float]

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
