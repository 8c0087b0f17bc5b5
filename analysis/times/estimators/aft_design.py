"""Log-time regression with censored records on any columns, one table at a time.

Letters as in `aft`: z = tau ln t + X b with X `[record, column]`, and `theta` = (tau, b). In these
the log-likelihood is concave (Burridge 1981), so that a damped Newton method finds its maximum.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Array
from observatory.analysis.times.estimators.aft import Records
from observatory.analysis.times.estimators.aft_errors import Errors

_MOVES = 100
"""Moves of Newton's method; it needs about 8."""


@dataclass(frozen=True)
class Regression:
    """Records and the columns that their log-times depend on."""

    errors: Errors
    records: Records
    columns: Array  # `[record, column]`

    def take(self, rows: NDArray[np.bool_], columns: NDArray[np.bool_]) -> "Regression":
        """Some of the records, with some of the columns."""
        of = self.records
        kept = Records(of.kind[rows], of.log_time[rows], of.width[rows], of.control[rows])
        return replace(self, records=kept, columns=self.columns[rows][:, columns])

    def likelihood(self, theta: Array) -> tuple[float, Array, Array]:
        """Log-likelihood of ln t, its gradient and its Hessian; not finite where tau is not > 0."""
        records, errors, tau = self.records, self.errors, theta[0]
        design = np.column_stack([records.log_time, self.columns])
        z, w = design @ theta, tau * records.width
        interval, left, right = records.edges
        exact = errors.density(z[:interval])
        mass = errors.mass(z[interval:left], w[interval:left])
        before, after = errors.cumulative(z[left:right]), errors.survival(z[right:])
        one = np.ones(interval)
        value = exact[0].sum() + np.log(w[:interval]).sum()
        value += mass[0].sum() + before[0].sum() + after[0].sum()
        first = np.concatenate([exact[1], mass[1], before[1], after[1]])
        second = np.concatenate([exact[2], mass[3], before[2], after[2]])
        first_w = np.concatenate([one / w[:interval], mass[2]])
        cross = np.concatenate([0.0 * one, mass[4]])
        second_w = np.concatenate([-one / w[:interval] ** 2, mass[5]])
        width = records.width[:left]
        gradient, hessian = design.T @ first, design.T @ (design * second[:, None])
        gradient[0] += first_w @ width
        along = design[:left].T @ (cross * width)
        hessian[0] += along
        hessian[:, 0] += along
        hessian[0, 0] += second_w @ width**2
        return float(value), gradient, hessian

    def maximum(self, start: Array) -> Array | None:
        """Where the log-likelihood is largest, or None where it has no largest value.

        Records without an event at the values of a column say nothing of it: leave both out.
        """
        theta = start.copy()
        with np.errstate(all="ignore"):
            value, gradient, hessian = self.likelihood(theta)
            for _ in range(_MOVES):
                if not np.isfinite(value) or np.linalg.cond(hessian) > 1e12:
                    return None
                move = np.linalg.solve(-hessian, gradient)
                gain = float(gradient @ move)
                if gain < 1e-10:
                    return theta
                rate = 1.0
                while True:
                    trial = theta + rate * move
                    new = self.likelihood(trial) if trial[0] > 0 else (-np.inf, gradient, hessian)
                    if new[0] >= value + 1e-4 * rate * gain - 1e-12 * abs(value):
                        break
                    rate *= 0.25
                    if rate < 1e-10:
                        return None
                theta, (value, gradient, hessian) = trial, new
        return None
