r"""How the share of active units changes over training: the laws of ReLU and of SiLU networks.

ReLU, falling: $A(D) = e^{-c D^\alpha + b} + A_0$. SiLU, rising: $A(D) = -c / D^\alpha + A_0$. D is
the amount of training seen, in billions of tokens where published numbers are compared; A a share.
"""

from collections.abc import Mapping, Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.curves.estimators.law_choice import Search, choose
from observatory.analysis.curves.estimators.law_fit import (
    Named,
    constant_law,
    estimate_of,
    fit_named,
)
from observatory.analysis.curves.estimators.separable import Law, Solution
from observatory.analysis.curves.estimators.series import Series, require_points
from observatory.analysis.stats.estimate import Estimate
from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def relu_sparsity(data: Array, c: float, alpha: float, b: float, limit: float) -> Array:
    r"""Share of active units of a ReLU network, $e^{-c D^\alpha + b} + A_0$.

    Args:
        data: D, in the unit of the law (published: billions of tokens).
        c: Positive.
        alpha: Positive.
        b: Any.
        limit: A0, the share at last.

    Source:
        Luo et al. (2025), Sparsing Law, arXiv:2411.02335. Deviation: none.

    Example:
        >>> (100 * relu_sparsity(np.array([10.0]), 3.2, 0.101, -0.0151, 0.0614)).round(4).tolist()
        [7.8771]
    """
    return np.exp(-c * data**alpha + b) + limit


def silu_sparsity(data: Array, c: float, alpha: float, limit: float) -> Array:
    r"""Share of active units of a SiLU network, $-c / D^\alpha + A_0$; see `relu_sparsity`.

    Example:
        >>> (100 * silu_sparsity(np.array([10.0]), 0.102, 0.479, 0.409)).round(4).tolist()
        [37.5147]
    """
    return -c / data**alpha + limit


def sparsity_laws(rate: Sequence[float], alpha: Sequence[float]) -> dict[str, Law]:
    """The laws on D divided by the largest D.

    Args:
        rate: Limits of c of the ReLU law on that scale.
        alpha: Limits of alpha of both.
    """
    (c_low, c_high), (a_low, a_high) = np.log(rate), np.log(alpha)

    def relu(x: Array, theta: Array) -> Array:
        power = np.exp(np.exp(theta[:, 1:]) * np.log(x))
        return np.stack([np.ones_like(power), np.exp(-np.exp(theta[:, :1]) * power)], axis=-1)

    def silu(x: Array, theta: Array) -> Array:
        power = np.exp(-np.exp(theta[:, :1]) * np.log(x))
        return np.stack([np.ones_like(power), -power], axis=-1)

    return {
        "relu": Law("relu", relu, 2, (c_low, a_low), (c_high, a_high)),
        "silu": Law("silu", silu, 2, (a_low,), (a_high,)),
        "constant": constant_law(),
    }


@final
class Sparsity:
    """Fits the activation-sparsity laws; the share of active units at last is what they are for.

    Args:
        min_points: Fewest distinct amounts of training.
        law: "relu" or "silu"; None: the better one by AICc.
        rate: Limits of the ReLU law's c on D divided by the largest one.
        exponents: Limits of alpha.
        n_grid: Points of the grid per axis.
        n_starts: Minima of the grid that are refined.
        n_steps: Most steps of a refit.
        longest_block: Most points whose residuals turn together.
        n_bootstrap: Resamples.
        identified_width: Widest interval of A0 and b, in ranges of the values and in units.
        identified_ratio: Largest ratio of the limits of c and alpha.
        level: Coverage of the intervals.

    Source:
        Luo et al. (2025), Sparsing Law, arXiv:2411.02335. Deviation: variable projection, not
        Levenberg and Marquardt on all numbers; both laws are compared.
    """

    usual_value = "value"
    usual_table = None
    pooled = False

    def __init__(
        self,
        *,
        min_points: int,
        law: str | None,
        rate: Sequence[float],
        exponents: Sequence[float],
        n_grid: int,
        n_starts: int,
        n_steps: int,
        longest_block: int,
        n_bootstrap: int,
        identified_width: float,
        identified_ratio: float,
        level: float,
    ) -> None:
        self.fit_name = "sparsity"
        self.estimator = law or "better"
        self.level = level
        self.law = law
        self.laws = sparsity_laws(rate, exponents)
        if law is not None and law not in self.laws:
            raise ValueError(f"`law` must be relu, silu or null, got {law!r}.")
        self.min_points = max(min_points, self.laws["relu"].n_params + 2)
        self.search = Search(n_grid, n_starts, n_steps, longest_block, n_bootstrap)
        self.width, self.ratio = identified_width, identified_ratio

    def estimate(self, series: Series, seed: int) -> Estimate:
        """The law and its limit A0.

        Args:
            series: Shares of active units, 0 to 1, against the training seen.
            seed: Of the resampling.

        Raises:
            FitRefusedError: If there are too few points, one lies at 0, or a constant cannot
                be excluded.
        """
        require_points(series, self.min_points, "A sparsity law")
        if series.step.min() <= 0:
            raise FitRefusedError(
                f"`{series.step_name}` must be positive, got {series.step.min():g}: a power of it "
                "is fitted. Remove the rows before training."
            )
        most, spread = float(series.step.max()), float(np.ptp(series.value))
        x = series.step / most
        choice = choose(self.laws, x, series.value, self.search)
        main = self.law or min(
            (name for name in ("relu", "silu") if name in choice.aicc),
            key=lambda name: choice.aicc[name],
            default="relu",
        )

        def relu(found: Solution) -> Mapping[str, Array]:
            limit, height = found.coefficients.T
            c, alpha = np.exp(found.theta).T
            return {"alpha": alpha, "b": np.log(height), "c": c * most**-alpha, "A0": limit}

        def silu(found: Solution) -> Mapping[str, Array]:
            limit, height = found.coefficients.T
            alpha = np.exp(found.theta[:, 0])
            return {"alpha": alpha, "c": height * most**alpha, "A0": limit}

        every = ("alpha", "b", "c", "A0")
        named = Named(
            main,
            relu if main == "relu" else silu,
            [(every, every)] * len(self.laws[main].low),
            {"A0": self.width * spread, "b": 2.0 * self.width},
            self.ratio,
            "the share of active units follows another law.",
            "the curve over the training on record is what is known.",
        )
        fit = fit_named(series, (0.0, most), self.laws, named, self.search, self.level, seed)
        warnings: list[str] = []
        if not bool(np.all(fit.solution.coefficients[0] > 0)):
            warnings.append(
                "A number that the law needs positive is not: the curve bends the other way, or "
                "ends below 0."
            )
        if series.value.min() < 0 or series.value.max() > 1:
            warnings.append("Values outside 0 to 1 are no shares: percent must be divided by 100.")
        return estimate_of(
            fit, series, names=(self.fit_name, main), search=self.search,
            level=self.level, seed=seed, warnings=warnings, horizon=(series.horizon_steps, None),
        )  # fmt: skip
