"""Saturation: an amplitude that levels off with a size, against plainer laws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from observatory.analysis.curves.estimators.law_fit import CurveLaw, Found, Judged, Named
from observatory.analysis.curves.estimators.laws import saturation_laws
from observatory.analysis.curves.estimators.separable import Array, Law, Solution
from observatory.analysis.curves.estimators.series import Series


@final
@dataclass(frozen=True, kw_only=True)
class Saturation(CurveLaw):
    """Fits c + a (1 - exp(-b d)) to an amplitude against a size d, and says whether it levels off.

    Compared by AICc with a line, c + a ln d, a d^b and a constant; every row is a point, so that
    seeds at one size are points of it.

    Source:
        arXiv:2605.20441, peak sigma_H against d_head. Deviation: AICc, not AIC, decides.
    """

    rate: Sequence[float]  # limits of b times the largest size
    exponent: float  # largest exponent of the power law
    longest_block: ClassVar[int]

    longest_block = 1  # pyright: ignore[reportIncompatibleVariableOverride]
    fit_name = "saturation"
    main = "exponential"
    fewest = 4
    what = "A law of saturation"
    better = "whether and where the amplitude levels off is not shown."
    known = "the curve over the sizes on record is what is known."
    of_sizes = "a logarithm and a power of it are compared. Remove those rows."
    pooled = True

    @property
    def laws(self) -> Mapping[str, Law]:
        """The exponential and those that it is compared with."""
        return saturation_laws(self.rate, self.exponent)

    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """Start, rise, rate per unit of the size, and plateau."""

        def values(found: Solution) -> Mapping[str, Array]:
            c, a = found.coefficients.T
            return {"c": c, "a": a, "b": np.exp(found.theta[:, 0]) / scale[1], "plateau": c + a}

        width = self.identified_width * float(np.ptp(series.value))
        return Named(values, [(("a", "b", "plateau"), ("b",))], {"c": width, "plateau": width})

    def judge(self, found: Found) -> Judged:
        """How many sizes there are, and the largest one."""
        n_sizes = int(np.unique(found.series.step).size)
        return Judged(found.params, extras={"n_sizes": n_sizes, "largest": found.scale[1]})
