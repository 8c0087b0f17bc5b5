r"""A signal that passes from one level to another: $c + a \tanh((t - t_0) / w)$."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_choice import Search
from observatory.analysis.curves.estimators.law_fit import (
    Fit,
    Named,
    constant_law,
    estimate_of,
    exponential_law,
    fit_named,
    line_law,
)
from observatory.analysis.curves.estimators.separable import Law, Solution
from observatory.analysis.curves.estimators.series import Series, require_points
from observatory.analysis.stats.estimate import Estimate

Array = NDArray[np.float64]


def tanh_law(shortest: float, longest: float) -> Law:
    """C + a tanh((u - m) / w) on u from 0 to 1, theta = (m, ln w); m may lie a length outside."""

    def columns(u: Array, theta: Array) -> Array:
        middle, width = theta[:, :1], np.exp(theta[:, 1:])
        return np.stack([np.ones((len(theta), u.size)), np.tanh((u - middle) / width)], axis=-1)

    return Law("tanh", columns, 2, (-1.0, float(np.log(shortest))), (2.0, float(np.log(longest))))


def degeneracy(fit: Fit, first: float, last: float, spacing: float) -> str:
    """Why the numbers of the curve cannot be distinguished, in a word.

    Returns:
        "line" where a straight line is as good; "tail" where the middle may lie outside the record,
        so that an exponential does the same; "step" where the passage takes less than the steps
        between two looks; else "none".
    """
    middles, widths = fit.draws["t0"], fit.draws["w"]
    inside = (middles > first) & (middles < last)
    if fit.choice.best == "linear" or bool(np.median(widths) > last - first):
        return "line"
    if fit.choice.best == "exponential" or inside.mean() < 0.95:
        return "tail"
    return "step" if bool(np.median(widths) < spacing) else "none"


KNOWN = {
    "line": (),
    "tail": ("after",),
    "step": ("before", "after", "t0"),
    "none": ("before", "after", "t0", "w"),
}
"""What each kind of degeneracy leaves to be known."""

MEANING = {
    "line": "A straight line does as well: only the slope a / w is determined.",
    "tail": "The middle may lie outside the record: level, height and place trade against each "
    "other, as in an exponential.",
    "step": "The passage is shorter than the time between two looks: only its place, between them, "
    "is determined.",
}


@final
class Synchronisation:
    r"""Fits $c + a \tanh((t - t_0) / w)$ and checks whether its four numbers can be distinguished.

    Compared by AICc with a line, an exponential and a constant.

    Args:
        min_points: Fewest distinct steps.
        width: Limits of w in lengths of the record.
        n_grid: Points of the grid per axis.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        longest_block: Most points whose residuals turn together.
        n_bootstrap: Resamples.
        identified_width: Widest interval of levels, in ranges of the values, and of t0, in lengths.
        identified_ratio: Largest ratio of the limits of a and w.
        level: Coverage of the intervals.
    """

    usual_value = "s_bar"
    usual_table = "probes/attention"
    pooled = False

    def __init__(
        self,
        *,
        min_points: int,
        width: Sequence[float],
        n_grid: int,
        n_starts: int,
        n_steps: int,
        longest_block: int,
        n_bootstrap: int,
        identified_width: float,
        identified_ratio: float,
        level: float,
    ) -> None:
        self.fit_name = "synchronisation"
        self.estimator = "tanh"
        self.level = level
        self.min_points = max(min_points, 8)
        self.laws = {
            "tanh": tanh_law(*width),
            "linear": line_law(),
            "exponential": exponential_law(min(0.05, 1.0 / width[1]), 1.0 / width[0]),
            "constant": constant_law(),
        }
        self.search = Search(n_grid, n_starts, n_steps, longest_block, n_bootstrap)
        self.width, self.ratio = identified_width, identified_ratio

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The curve, its levels before and after, and its degeneracy.

        Args:
            series: Values against steps.
            seed: Of the resampling.

        Raises:
            FitRefusedError: If there are too few steps, or a constant cannot be excluded.
        """
        require_points(series, self.min_points, "A tanh curve")
        first, last = float(series.step[0]), float(series.step[-1])
        span, spread = last - first, float(np.ptp(series.value))

        def params(found: Solution) -> Mapping[str, Array]:
            c, a = found.coefficients.T
            return {
                "before": c - a,
                "after": c + a,
                "t0": first + span * found.theta[:, 0],
                "w": span * np.exp(found.theta[:, 1]),
            }

        widths = dict.fromkeys(("before", "after"), self.width * spread)
        every = ("before", "after", "t0", "w")
        named = Named(
            "tanh",
            params,
            [(every, every), (("w",), every)],
            {**widths, "t0": self.width * span},
            self.ratio,
            "the passage between two levels is not shown.",
            "the curve over the steps on record is what is known.",
        )
        fit = fit_named(series, (first, span), self.laws, named, self.search, self.level, seed)
        kind = degeneracy(fit, first, last, float(np.diff(np.unique(series.step)).max()))
        kept = {name: made for name, made in fit.params.items() if name in KNOWN[kind]}
        return estimate_of(
            replace(fit, params=kept), series, names=(self.fit_name, self.estimator),
            search=self.search, level=self.level, seed=seed, extras={"degeneracy": kind},
            warnings=[MEANING[kind]] if kind in MEANING else [],
            horizon=(series.horizon_steps, None),
        )  # fmt: skip
