"""How the share of active units changes over training: the laws of ReLU and of SiLU networks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

from observatory.analysis.curves.estimators.law_choice import Choice
from observatory.analysis.curves.estimators.law_fit import CurveLaw, Found, Judged, Named
from observatory.analysis.curves.estimators.laws import sparsity_laws
from observatory.analysis.curves.estimators.separable import Array, Law, Solution
from observatory.analysis.curves.estimators.series import Series

_EVERY = ("alpha", "b", "c", "A0")
_RELU, _SILU = "relu", "silu"


@final
@dataclass(frozen=True, kw_only=True)
class Sparsity(CurveLaw):
    """Fits the activation-sparsity laws; the share of active units at last is what they are for.

    Source:
        Luo et al. (2025), Sparsing Law, arXiv:2411.02335. Deviation: variable projection, not
        Levenberg and Marquardt on all numbers; both laws are compared.
    """

    law: str | None  # "relu" or "silu"; None: the better one by AICc
    rate: Sequence[float]  # limits of the ReLU law's c on D divided by the largest one
    exponents: Sequence[float]  # limits of alpha

    fit_name = "sparsity"
    main = _RELU
    fewest = 7
    what = "A sparsity law"
    better = "the share of active units follows another law."
    known = "the curve over the training on record is what is known."
    of_sizes = "a power of it is fitted. Remove the rows before training."

    def __post_init__(self) -> None:
        if self.law not in (_RELU, _SILU, None):
            raise ValueError(f"`law` must be relu, silu or null, got {self.law!r}.")

    @property
    def estimator(self) -> str:
        """The law that was asked for."""
        return self.law or "better"

    @property
    def laws(self) -> Mapping[str, Law]:
        """Both, and a constant."""
        return sparsity_laws(self.rate, self.exponents)

    def chosen(self, choice: Choice) -> str:
        """The law that was asked for, or the better one."""
        known = [name for name in (_RELU, _SILU) if name in choice.aicc]
        return self.law or min(known, key=lambda name: choice.aicc[name], default=_RELU)

    def named(self, series: Series, scale: tuple[float, float], main: str) -> Named:
        """The numbers of the law for D as it is, not divided by the largest."""
        most = scale[1]

        def relu(found: Solution) -> Mapping[str, Array]:
            limit, height = found.coefficients.T
            c, alpha = np.exp(found.theta).T
            return {"alpha": alpha, "b": np.log(height), "c": c * most**-alpha, "A0": limit}

        def silu(found: Solution) -> Mapping[str, Array]:
            limit, height = found.coefficients.T
            alpha = np.exp(found.theta[:, 0])
            return {"alpha": alpha, "c": height * most**alpha, "A0": limit}

        widest = {"A0": float(np.ptp(series.value)), "b": 2.0}
        return Named(
            relu if main == _RELU else silu,
            [(_EVERY, _EVERY)] * len(self.laws[main].low),
            {name: self.identified_width * width for name, width in widest.items()},
        )

    def judge(self, found: Found) -> Judged:
        """Warnings of numbers that no share can follow."""
        warnings: list[str] = []
        if not bool(np.all(found.solution.coefficients[0] > 0)):
            warnings.append(
                "A number that the law needs positive is not: the curve bends the other way, or "
                "ends below 0."
            )
        if found.series.value.min() < 0 or found.series.value.max() > 1:
            warnings.append("Values outside 0 to 1 are no shares: percent must be divided by 100.")
        return Judged(found.params, warnings=warnings, estimator=found.main)
