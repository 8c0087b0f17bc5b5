"""A Hill curve of the rate, fitted to counts by Newton's method."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import ClassVar, final

import numpy as np

from observatory.analysis.stats.estimate import Estimate, Parameter
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import FitRefusedError


@final
@dataclass(frozen=True)
class HillCurve:
    """Rate = x^n / (critical^n + x^n): a logistic curve of ln x."""

    fit_name: ClassVar[str] = "hill"
    estimator: ClassVar[str] = "maximum_likelihood"
    window_max: float
    n_steps: int
    level: float

    def fit(self, observations: Observations, seed: int) -> Estimate:
        """The critical value, in the control's unit, and the exponent."""
        data = observations.within(self.window_max)
        x, y = np.log(data.weight_decay), data.grokked.astype(np.float64)
        weights = data.weights  # runs that a row stands for
        if y.min(initial=1.0) == y.max(initial=0.0):
            raise FitRefusedError("The rate does not change. Add values of the control.")
        design, beta = np.stack([np.ones_like(x), x], axis=1), np.zeros(2)
        for _ in range(self.n_steps):
            p = 1.0 / (1.0 + np.exp(-design @ beta))
            information = (design * (weights * p * (1.0 - p))[:, None]).T @ design
            if np.linalg.cond(information) > 1e12:
                raise FitRefusedError("Separation: the exponent has no limit. Add seeds.")
            beta = beta + np.linalg.solve(information, design.T @ (weights * (y - p)))
        exponent, critical = beta[1], float(np.exp(-beta[0] / beta[1]))
        gradient = np.array([-1.0 / exponent, beta[0] / exponent**2])
        covariance = np.linalg.inv(information)
        se = critical * float(np.sqrt(gradient @ covariance @ gradient))
        reach = NormalDist().inv_cdf(0.5 + self.level / 2.0)
        ends = critical * np.exp(np.array([-reach, reach]) * se / critical)
        return Estimate(
            fit=self.fit_name,
            estimator=self.estimator,
            event=data.event,
            horizon_steps=data.horizon_steps,
            horizon_epochs=data.horizon_epochs,
            params={
                "critical": Parameter(critical, se, float(ends[0]), float(ends[1])),
                "exponent": Parameter(float(exponent), float(np.sqrt(covariance[1, 1]))),
            },
            level=self.level,
            n=data.n,
            seed=seed,
            warnings=data.horizon_warnings,
        )
