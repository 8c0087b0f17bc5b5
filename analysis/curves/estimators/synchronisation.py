r"""A signal that passes from one level to another: $c + a \tanh((t - t_0) / w)$."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.curves.estimators.law_fit import CurveLaw, Found, Judged, Named
from observatory.analysis.curves.estimators.laws import (
    constant_law,
    exponential_law,
    line_law,
    tanh_law,
)
from observatory.analysis.curves.estimators.separable import Array, Law, Solution
from observatory.analysis.curves.estimators.series import Series

_EVERY = ("before", "after", "t0", "w")
_KNOWN = {"line": (), "tail": ("after",), "step": ("before", "after", "t0"), "none": _EVERY}
"""What each kind of degeneracy leaves to be known."""
_MEANING = {
    "line": "A straight line does as well: only the slope a / w is determined.",
    "tail": "The middle may lie outside the record: level, height and place trade against each "
    "other, as in an exponential.",
    "step": "The passage is shorter than the time between two looks: only its place, between them, "
    "is determined.",
}


def _degeneracy(found: Found) -> str:
    """Why the numbers of the curve cannot be distinguished, in a word.

    Returns:
        "line" where a straight line is as good; "tail" where the middle may lie outside the record,
        so that an exponential does the same; "step" where the passage takes less than the steps
        between two looks; else "none".
    """
    middles, width = found.draws["t0"], np.median(found.draws["w"])
    first, last = float(found.series.step[0]), float(found.series.step[-1])
    if found.choice.best == "linear" or bool(width > last - first):
        return "line"
    inside = (middles > first) & (middles < last)
    if found.choice.best == "exponential" or inside.mean() < 0.95:
        return "tail"
    return "step" if bool(width < np.diff(np.unique(found.series.step)).max()) else "none"


@final
@dataclass(frozen=True, kw_only=True)
class Synchronisation(CurveLaw):
    r"""Fits $c + a \tanh((t - t_0) / w)$ and checks whether its four numbers can be distinguished.

    Compared by AICc with a line, an exponential and a constant.
    """

    width: Sequence[float]  # limits of w in lengths of the record

    fit_name = "synchronisation"
    main = "tanh"
    fewest = 8
    what = "A tanh curve"
    better = "the passage between two levels is not shown."
    known = "the curve over the steps on record is what is known."
    usual_value = "s_bar"
    usual_table = "probes/attention"

    @property
    def laws(self) -> Mapping[str, Law]:
        """The passage and what it is compared with."""
        return {
            "tanh": tanh_law(*self.width),
            "linear": line_law(),
            "exponential": exponential_law(min(0.05, 1.0 / self.width[1]), 1.0 / self.width[0]),
            "constant": constant_law(),
        }

    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """The levels before and after, and middle and width of the passage in steps."""
        first, span = scale

        def values(found: Solution) -> Mapping[str, Array]:
            c, a = found.coefficients.T
            middle, width = found.theta.T
            return {
                "before": c - a, "after": c + a, "t0": first + span * middle,
                "w": span * np.exp(width),
            }  # fmt: skip

        level = self.identified_width * float(np.ptp(series.value))
        widths = {"before": level, "after": level, "t0": self.identified_width * span}
        return Named(values, [(_EVERY, _EVERY), (("w",), _EVERY)], widths)

    def judge(self, found: Found) -> Judged:
        """The parameters that the degeneracy of the curve leaves to be known."""
        kind = _degeneracy(found)
        kept = {name: made for name, made in found.params.items() if name in _KNOWN[kind]}
        warnings = [_MEANING[kind]] if kind in _MEANING else []
        return Judged(kept, extras={"degeneracy": kind}, warnings=warnings)
