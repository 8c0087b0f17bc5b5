"""Saturation: an amplitude that levels off with a size, against plainer laws."""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_choice import Search
from observatory.analysis.curves.estimators.law_fit import (
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
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def saturation_laws(rate: Sequence[float], exponent: float) -> dict[str, Law]:
    """The laws, on a size divided by the largest one.

    Args:
        rate: Limits of b times the largest size.
        exponent: Largest exponent of the power law, of either sign.
    """

    def logarithm(x: Array, theta: Array) -> Array:
        ones = np.ones((len(theta), x.size))
        return np.stack([ones, np.log(x) * ones], axis=-1)

    def power(x: Array, theta: Array) -> Array:
        return np.exp(theta[:, :1] * np.log(x))[..., None]

    return {
        "exponential": exponential_law(*rate),
        "linear": line_law(),
        "logarithm": Law("logarithm", logarithm, 2),
        "power": Law("power", power, 1, (-exponent,), (exponent,)),
        "constant": constant_law(),
    }


@final
class Saturation:
    """Fits c + a (1 - exp(-b d)) to an amplitude against a size d, and says whether it levels off.

    Compared by AICc with a line, c + a ln d, a d^b and a constant; every row is a point, so that
    seeds at one size are points of it.

    Args:
        min_points: Fewest distinct sizes.
        rate: Limits of b times the largest size.
        exponent: Largest exponent of the power law.
        n_grid: Points of the grid.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        n_bootstrap: Resamples.
        identified_width: Widest interval of c and the plateau, in ranges of the values.
        identified_ratio: Largest ratio of the limits of a and b.
        level: Coverage of the intervals.

    Source:
        arXiv:2605.20441, peak sigma_H against d_head. Deviation: AICc, not AIC, decides.
    """

    usual_value = "value"
    usual_table = None
    pooled = True

    def __init__(
        self,
        *,
        min_points: int,
        rate: Sequence[float],
        exponent: float,
        n_grid: int,
        n_starts: int,
        n_steps: int,
        n_bootstrap: int,
        identified_width: float,
        identified_ratio: float,
        level: float,
    ) -> None:
        self.fit_name = "saturation"
        self.estimator = "exponential"
        self.level = level
        self.min_points = max(min_points, 4)
        self.laws = saturation_laws(rate, exponent)
        self.search = Search(n_grid, n_starts, n_steps, 1, n_bootstrap)
        self.width, self.ratio = identified_width, identified_ratio

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The law, its plateau, and which law is best.

        Args:
            series: Amplitudes against sizes.
            seed: Of the resampling.

        Raises:
            FitRefusedError: If there are too few sizes, one is not positive, or a constant cannot
                be excluded.
        """
        require_points(series, self.min_points, "A law of saturation")
        law = self.laws["exponential"]
        if series.n < law.n_params + 2:
            raise FitRefusedError(
                f"A law of saturation needs {law.n_params + 2} points, got {series.n}. Add seeds."
            )
        if series.step.min() <= 0:
            raise FitRefusedError(
                f"`{series.step_name}` must be positive, got {series.step.min():g}: a logarithm "
                "and a power of it are compared. Remove those rows."
            )
        largest, spread = float(series.step.max()), float(np.ptp(series.value))

        def params(found: Solution) -> Mapping[str, Array]:
            c, a = found.coefficients.T
            return {"c": c, "a": a, "b": np.exp(found.theta[:, 0]) / largest, "plateau": c + a}

        named = Named(
            "exponential",
            params,
            [(("a", "b", "plateau"), ("b",))],
            {"c": self.width * spread, "plateau": self.width * spread},
            self.ratio,
            "whether and where the amplitude levels off is not shown.",
            "the curve over the sizes on record is what is known.",
        )
        fit = fit_named(series, (0.0, largest), self.laws, named, self.search, self.level, seed)
        extras = {"n_sizes": int(np.unique(series.step).size), "largest": largest}
        return estimate_of(
            fit, series, names=(self.fit_name, self.estimator), search=self.search,
            level=self.level, seed=seed, extras=extras,
        )  # fmt: skip
