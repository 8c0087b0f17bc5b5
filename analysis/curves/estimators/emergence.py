"""Emergence of a massive activation: the exponentially modulated logarithm against plainer laws."""

import math
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.emergence_law import (
    CLASSES,
    PARAMETERS,
    Emergence,
    classes_of,
    emergence_law,
    in_steps,
)
from observatory.analysis.curves.estimators.law_choice import (
    Search,
    choose,
    require_law,
    resample,
    unidentified_warning,
)
from observatory.analysis.curves.estimators.separable import (
    Law,
    Solution,
    evaluate,
    residual_slopes,
)
from observatory.analysis.curves.estimators.series import (
    Series,
    at_limits,
    columns_to_draw,
    identified,
    parameter,
    r_squared,
    require_points,
    residual_warnings,
    stuck,
)
from observatory.analysis.curves.estimators.step_laws import alternatives
from observatory.analysis.stats.estimate import Estimate, Parameter, Plain

Array = NDArray[np.float64]


def conditioning(law: Law, u: Array, value: Array, found: Solution) -> float:
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


STUCK = "The search ended at a limit: decay or offset is not determined."


@final
class EmergenceCurve:
    r"""Fits $A e^{-\lambda(\gamma t + t_0)} \ln(\gamma t + t_0) + K$ and says what of it is known.

    Least squares by variable projection: a grid over decay and offset, its best minima refined by a
    bounded trust-region search with the analytic Jacobian. Intervals are percentiles of a
    block-wise wild bootstrap of the residuals. Height and place of a peak inside the record are
    estimates; A, lambda, gamma, t0 and K are only where the intervals say that the data fix them.

    Args:
        min_points: Fewest distinct steps.
        beta: Limits of the decay per span of the record.
        tau: Limits of the offset in spans.
        n_grid: Points of the grid per axis.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        longest_block: Most points whose residuals turn together.
        n_bootstrap: Resamples.
        identified_width: Widest interval of an identified K, in ranges of the values.
        identified_ratio: Largest ratio of the limits of any other identified parameter.
        level: Coverage of the intervals.

    Source:
        arXiv:2508.03616. Deviation: start by grid, no sign bound on A, alternatives with an offset.
    """

    usual_value = "ratio"
    usual_table = "probes/massive_activations"
    pooled = False

    def __init__(
        self,
        *,
        min_points: int,
        beta: Sequence[float],
        tau: Sequence[float],
        n_grid: int,
        n_starts: int,
        n_steps: int,
        longest_block: int,
        n_bootstrap: int,
        identified_width: float,
        identified_ratio: float,
        level: float,
    ) -> None:
        self.fit_name = "emergence"
        self.estimator = "modulated_log"
        self.level = level
        self.min_points = max(min_points, emergence_law(beta, tau).n_params + 2)
        self.laws = {"emergence": emergence_law(beta, tau), **alternatives(beta, tau)}
        self.search = Search(n_grid, n_starts, n_steps, longest_block, n_bootstrap)
        self.width, self.ratio = identified_width, identified_ratio

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The curve, its class, and its peak where it lies inside the record.

        Args:
            series: Values against steps, at which nothing need be equally spaced.
            seed: Of the resampling.

        Raises:
            FitRefusedError: If there are too few steps, or a constant cannot be excluded.
        """
        require_points(series, self.min_points, "An emergence curve")
        step, value = series.step, series.value
        first, last = float(step[0]), float(step[-1])
        span, spread = last - first, float(np.ptp(value))
        u = (step - first) / span
        choice = choose(self.laws, u, value, self.search)
        best, law = require_law(choice, "emergence", series, self.level), self.laws["emergence"]
        again = resample(law, u, value, best, self.search, seed)
        found, draws = in_steps(best, first, span), in_steps(again, first, span)
        kind = CLASSES[int(classes_of(found, first, last)[0])]
        share = float((classes_of(draws, first, last) == CLASSES.index(kind)).mean())
        curve = best.fitted[0]
        kept = self._identified(found, draws, at_limits(law, again), spread)
        params = {**self._peak(kind, found, draws, last), **kept}
        unknown = [name for name in PARAMETERS if name not in kept]
        extras: dict[str, Plain] = {
            "class": kind,
            "class_share": share,
            "r2": r_squared(value, curve),
            **choice.extras(),
            **{f"{name}_identified": name in kept for name in PARAMETERS},
            **{f"optimum_{name}": float(found.params[name][0]) for name in PARAMETERS},
            "condition": conditioning(law, u, value, best),
            "first_step": first,
            "last_step": last,
            "n_bootstrap": self.search.n_bootstrap,
            "method": "least squares, variable projection, block-wise wild bootstrap",
        }
        drawn = columns_to_draw(series, law, best, again, (first, span), self.level)
        if choice.best != "emergence":
            drawn["other.step"] = at = drawn["fit.step"]
            other = choice.fits[choice.best]
            drawn["other.value"] = evaluate(self.laws[choice.best], (at - first) / span, other)[0]
        warnings = [
            *self._class_warnings(kind, share, params, step),
            *residual_warnings(value - curve, self.search.longest_block),
            *choice.warnings("emergence", "the emergence curve adds nothing that they show."),
            *unidentified_warning(
                unknown, "curve, class and a peak inside the record are what is known."
            ),
            *([STUCK] if stuck(law, best) else []),
        ]
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=series.value_name,
            horizon_steps=series.horizon_steps,
            horizon_epochs=None,
            params=params,
            level=self.level,
            n=series.n,
            seed=seed,
            warnings=warnings,
            extras=extras,
            curves={name: column.tolist() for name, column in drawn.items()},
        )

    def _identified(
        self,
        found: Emergence,
        draws: Emergence,
        limits: Sequence[tuple[float, float]],
        spread: float,
    ) -> dict[str, Parameter]:
        """The parameters that the data fix, by their intervals and by where the search ended."""
        widths, tail = {"K": self.width * spread}, (1.0 - self.level) / 2.0
        kept = identified(found.params, draws.params, self.level, widths, self.ratio)
        decay_stuck, offset_stuck = limits
        if max(offset_stuck) > tail:
            kept = {name: made for name, made in kept.items() if name == "K"}
        if max(decay_stuck) > tail:
            kept = {}
        if "K" not in kept:  # what K may be is taken up by these, whatever their intervals say
            kept = {name: made for name, made in kept.items() if name == "A"}
        return kept

    def _peak(
        self, kind: str, found: Emergence, draws: Emergence, last: float
    ) -> dict[str, Parameter]:
        """Place and height of a peak inside the record; a limit beyond it is none."""
        if kind != "early peak":
            return {}
        seen = draws.rising & ~np.isnan(draws.peak.step)
        places = np.where(seen, draws.peak.step, np.inf)
        inside = seen & (places < last)
        place = parameter(float(found.peak.step[0]), places, self.level)
        high = place.ci_high if place.ci_high is not None and place.ci_high < last else None
        spread = place.se if high is not None else None
        t_peak = Parameter(place.value, spread, place.ci_low, high)
        heights = np.where(inside, draws.peak.height, np.nan)
        return {
            "t_peak": t_peak,
            "height": parameter(float(found.peak.height[0]), heights, self.level),
        }

    def _class_warnings(
        self, kind: str, share: float, params: dict[str, Parameter], step: Array
    ) -> list[str]:
        found: list[str] = []
        if share < self.level:
            found.append(
                f"The class is not certain: {share:.0%} of the resamples are called {kind}."
            )
        place = params.get("t_peak")
        if kind == "decay only" or (place is not None and place.value < step[2]):
            found.append(
                "A peak before the first few steps on record looks like decay alone: log-spaced "
                "early steps would show which it is."
            )
        if place is not None and place.ci_high is None:
            found.append("The place of the peak has no upper limit inside the record.")
        return found
