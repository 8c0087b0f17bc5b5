"""The restricted likelihood of independent random effects, with profiles of its components."""
# pyright: reportMissingTypeStubs=false, reportUnknownVariableType=false
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

_SMALLEST, LARGEST = 1e-7, 1e4
"""Of a variance, in units of the values' scatter about their fixed effects; below counts as 0."""


@final
@dataclass(frozen=True)
class Restricted:
    """y = X b + Z_1 u_1 + ... + e, every u and e normal and independent."""

    products: Array  # `[Z X y]' [Z X y]`, values in units of their scatter
    component: Codes  # which component each column of Z is of, `[column]`
    n_fixed: int  # columns of X
    n: int  # rows

    @property
    def n_random(self) -> int:
        """Components without the scatter of single rows."""
        return int(self.component.max()) + 1

    def deviance(self, variances: Array) -> tuple[float, Array]:
        """Minus twice the restricted log likelihood, less a constant, and its slopes.

        The variance of single rows is the last one, above 0.
        """
        q, inner = self.component.size, slice(self.component.size, -1)
        last = float(variances[-1])
        scale = np.sqrt(variances[self.component])
        core = np.eye(q) + scale[:, None] * self.products[:q, :q] * scale / last
        half = np.linalg.solve(np.linalg.cholesky(core), scale[:, None] * self.products[:q])
        weighed = (self.products - half.T @ half / last) / last
        fixed = weighed[inner, inner]
        left = weighed - weighed[:, inner] @ np.linalg.solve(fixed, weighed[inner])
        squares = float(left[-1, -1])
        value = self.n * math.log(last) + float(np.linalg.slogdet(core)[1])
        value += float(np.linalg.slogdet(fixed)[1]) + squares
        each = np.diagonal(left)[:q] - left[:q, -1] ** 2
        slopes = np.bincount(self.component, weights=each, minlength=self.n_random)
        rest = self.n - self.n_fixed - squares - float(variances[:-1] @ slopes)
        return value, np.append(slopes, rest / last)

    def least(self, starts: Sequence[Array], free: Array, held: Array) -> tuple[float, Array]:
        """The least deviance over variances `free @ u + held`, every u positive, and these."""

        def at(logs: Array) -> tuple[float, Array]:
            numbers = np.exp(logs)
            value, slopes = self.deviance(free @ numbers + held)
            return value, (slopes @ free) * numbers

        bounds = [(math.log(_SMALLEST), math.log(LARGEST))] * free.shape[1]
        tries = [
            minimize(at, np.log(np.clip(start, 1e-6, LARGEST)), jac=True, bounds=bounds,
                     method="L-BFGS-B", options={"ftol": 1e-12, "gtol": 1e-7, "maxiter": 500})
            for start in starts
        ]  # fmt: skip
        best = tries[int(np.argmin([float(found.fun) for found in tries]))]
        return float(best.fun), free @ np.exp(best.x) + held

    def at_variance(self, index: int, value: float, best: Array) -> float:
        """The least deviance where one variance is held."""
        size = best.size
        free, held = np.delete(np.eye(size), index, axis=1), np.zeros(size)
        held[index] = value
        return self.least([np.delete(best, index)], free, held)[0]

    def at_share(self, index: int, share: float, best: Array) -> float:
        """The least deviance where the share of one variance in their sum is held."""
        free = np.delete(np.eye(best.size), index, axis=1)
        free[index] = share / (1.0 - share)
        return self.least([np.delete(best, index)], free, np.zeros(best.size))[0]


def restricted(value: Array, fixed: Array, codes: Sequence[Codes]) -> Restricted:
    """The likelihood of values in units of their scatter, with fixed effects of full rank."""
    random = [np.eye(int(code.max()) + 1)[code] for code in codes]
    every = np.column_stack([*random, fixed, value])
    component = np.repeat(np.arange(len(codes)), [z.shape[1] for z in random])
    return Restricted(every.T @ every, component, fixed.shape[1], value.size)
