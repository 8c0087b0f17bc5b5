"""Several laws of one curve, compared: which describes it best, and whether any does."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.separable import (
    Law,
    Solution,
    fit_separable,
    leverage,
    refit,
)
from observatory.analysis.curves.estimators.series import (
    Series,
    akaike_weights,
    block_of,
    criteria,
    wild_draws,
)
from observatory.analysis.stats.estimate import Plain
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """How laws are searched and resampled.

    Attributes:
        n_grid: Points of the grid per inner number.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        longest_block: Most points whose residuals turn together, see `block_of`.
        n_bootstrap: Resamples.
    """

    n_grid: int
    n_starts: int
    n_steps: int
    longest_block: int
    n_bootstrap: int


@dataclass(frozen=True)
class Choice:
    """Fits of several laws to one curve.

    Attributes:
        fits: By name; laws whose columns depend on each other are left out.
        aic: Akaike's criterion by name.
        aicc: The same, corrected for few points.
    """

    fits: Mapping[str, Solution]
    aic: Mapping[str, float]
    aicc: Mapping[str, float]

    @property
    def best(self) -> str:
        """The law of the least corrected criterion."""
        return min(self.aicc, key=lambda name: self.aicc[name])

    def extras(self) -> dict[str, Plain]:
        """Criteria and weights for a record."""
        weights = akaike_weights(self.aicc)
        return {
            "best_law": self.best,
            **{f"aic_{name}": value for name, value in self.aic.items()},
            **{f"aicc_{name}": value for name, value in self.aicc.items()},
            **{f"weight_{name}": value for name, value in weights.items()},
        }

    def warnings(self, main: str, meaning: str) -> list[str]:
        """A warning where another law is better than the one that was asked for.

        Args:
            main: Name of the law.
            meaning: What follows where another one is better.
        """
        if self.best == main:
            return []
        gain = self.aicc[main] - self.aicc[self.best]
        law = self.best.replace("_", " ")
        return [f"The {law} law describes the values better (AICc lower by {gain:.1f}): {meaning}"]


def choose(laws: Mapping[str, Law], x: Array, y: Array, search: Search) -> Choice:
    """Fit every law.

    Args:
        laws: By name.
        x: `[point]`.
        y: `[point]`.
        search: See `Search`.
    """
    found = {
        name: fit_separable(law, x, y, search.n_grid, search.n_starts) for name, law in laws.items()
    }
    fits = {name: solution for name, solution in found.items() if solution is not None}
    scores = {
        name: criteria(float(solution.rss[0]), y.size, laws[name].n_params)
        for name, solution in fits.items()
    }
    return Choice(
        fits,
        {name: score[0] for name, score in scores.items()},
        {name: score[1] for name, score in scores.items()},
    )


def require_law(choice: Choice, main: str, series: Series, level: float) -> Solution:
    """The fit of one law, unless it cannot be fitted or a constant cannot be excluded.

    Args:
        choice: Fits of all laws, a constant among them.
        main: Name of the law.
        series: What was fitted.
        level: A constant is excluded where its Akaike weight is below 1 less this.

    Raises:
        FitRefusedError: As said.
    """
    law = main.replace("_", " ")
    if main not in choice.fits:
        raise FitRefusedError(
            f"No {law} law fits `{series.value_name}`: its terms depend on each other at these "
            f"values of `{series.step_name}`. Add some between first and last."
        )
    weight = akaike_weights(choice.aicc)["constant"]
    if weight >= 1.0 - level:
        raise FitRefusedError(
            f"A constant may describe `{series.value_name}` (Akaike weight {weight:.2f} among "
            f"{len(choice.fits)} laws): nothing is shown to move. Add steps, or runs in which it "
            "does."
        )
    return choice.fits[main]


def resample(law: Law, x: Array, y: Array, found: Solution, search: Search, seed: int) -> Solution:
    """The law fitted to values made anew from the fit and its residuals, `[draw]`."""
    rng = np.random.default_rng(seed)
    own = leverage(law, x, y, found.theta[0])
    block, _ = block_of(y - found.fitted[0], search.longest_block)
    values = wild_draws(found.fitted[0], y, own, block, search.n_bootstrap, rng)
    return refit(law, x, values, found.theta[0], search.n_steps)


def unidentified_warning(names: Sequence[str], known: str) -> list[str]:
    """A warning that names what the data do not determine; none where they determine all."""
    if not names:
        return []
    return [
        f"Not identified: {', '.join(names)}. Very different values give the same curve, so they "
        f"are left out; {known}"
    ]
