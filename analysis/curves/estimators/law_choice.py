"""Several laws of one curve, compared: which describes it best, and whether any does."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from observatory.analysis.curves.estimators.separable import (
    Array,
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
from observatory.analysis.stats.solvers import alpha_of
from observatory.core.errors import FitRefusedError


@dataclass(frozen=True)
class LawSearch(ABC):
    """How laws are searched and resampled."""

    n_grid: int  # points of the grid per inner number
    n_starts: int  # minima of the grid that are refined
    n_steps: int  # most steps of a refit
    longest_block: int  # most points whose residuals turn together, see `block_of`
    n_bootstrap: int  # resamples


@dataclass(frozen=True)
class Choice:
    """Fits of several laws to one curve, and Akaike's criterion of each, plain and for few points.

    Laws whose columns depend on each other are left out.
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
        numbers = {"aic": self.aic, "aicc": self.aicc, "weight": akaike_weights(self.aicc)}
        return {
            "best_law": self.best,
            **{f"{what}_{law}": v for what, laws in numbers.items() for law, v in laws.items()},
        }


def choose(laws: Mapping[str, Law], x: Array, y: Array, search: LawSearch) -> Choice:
    """Fit every law to values `[point]` at x `[point]`."""
    found = {
        name: fit_separable(law, x, y, search.n_grid, search.n_starts) for name, law in laws.items()
    }
    fits = {name: solution for name, solution in found.items() if solution is not None}
    scores = {
        name: criteria(float(solution.rss[0]), y.size, laws[name].n_params)
        for name, solution in fits.items()
    }
    return Choice(fits, *({name: score[i] for name, score in scores.items()} for i in range(2)))


def require_law(choice: Choice, main: str, series: Series, level: float) -> Solution:
    """The fit of one law; refuses where there is none, or a constant cannot be excluded.

    A constant is excluded where its Akaike weight is below 1 less `level`.
    """
    if main not in choice.fits:
        raise FitRefusedError(
            f"No {main.replace('_', ' ')} law fits `{series.value_name}`: its terms depend on each "
            f"other at these values of `{series.step_name}`. Add some between first and last."
        )
    weight = akaike_weights(choice.aicc)["constant"]
    if weight >= alpha_of(level):
        raise FitRefusedError(
            f"A constant may describe `{series.value_name}` (Akaike weight {weight:.2f} among "
            f"{len(choice.fits)} laws): nothing is shown to move. Add steps, or runs in which it "
            "does."
        )
    return choice.fits[main]


def resample(
    law: Law, x: Array, y: Array, found: Solution, search: LawSearch, seed: int
) -> Solution:
    """The law fitted to values made anew from the fit and its residuals, `[draw]`."""
    rng = np.random.default_rng(seed)
    own = leverage(law, x, y, found.theta[0])
    block, _ = block_of(y - found.fitted[0], search.longest_block)
    values = wild_draws(found.fitted[0], y, own, block, search.n_bootstrap, rng)
    return refit(law, x, values, found.theta[0], search.n_steps)
