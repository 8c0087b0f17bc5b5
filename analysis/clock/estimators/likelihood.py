"""The censored likelihood of ln t under a law, its gradient and Hessian, many fits at once.

Letters: z = tau (ln t - mu) with tau = exp(s + s1 v) = 1 / scatter, v the axis of the scatter, and
w = tau times the width of an interval; P = problem: a critical point, a resample. theta = (the
numbers of eta, ln constant where the law has one, s, s1), `[problem, number]`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.clock.estimators.laws import ClockLaw, RecordAxes
from observatory.analysis.stats.ascent import climb
from observatory.analysis.stats.observations import Array
from observatory.analysis.times.estimators.aft import Records
from observatory.analysis.times.estimators.aft_errors import Errors

_FLOOR = -1e4
"""ln of the likelihood of what is all but impossible: finite, so that a step can leave it."""


def _of_records(errors: Errors, records: Records, z: Array, w: Array) -> tuple[Array, ...]:
    """Ln likelihood of each record, and its derivatives z, zz, w, zw, ww, `[problem, record]`."""
    interval, left, right = records.edges
    found = np.zeros((6, *z.shape))
    if interval:
        exact, inverse = errors.density(z[:, :interval]), 1.0 / w[:, :interval]
        found[0, :, :interval] = exact[0] + np.log(w[:, :interval])
        found[1, :, :interval], found[2, :, :interval] = exact[1], exact[2]
        found[3, :, :interval], found[5, :, :interval] = inverse, -inverse * inverse
    if left > interval:
        value, by_z, by_w, zz, zw, ww = errors.mass(z[:, interval:left], w[:, interval:left])
        for place, part in enumerate((value, by_z, zz, by_w, zw, ww)):
            found[place, :, interval:left] = part
    for part, at in (
        (errors.cumulative, slice(left, right)),
        (errors.survival, slice(right, None)),
    ):
        if z[:, at].shape[1]:
            found[:3, :, at] = part(z[:, at])
    return tuple(found[place] for place in range(6))


@dataclass(frozen=True)
class LawProblem:
    """A law on records, at critical points and with weights of their own, one for each problem."""

    errors: Errors
    records: Records
    axes: RecordAxes
    law: ClockLaw
    critical: Array  # `[problem]`
    weights: Array  # replicas that each record stands for, `[problem, record]` or `[1, record]`

    def evaluate(self, theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Log-likelihood, gradient, and the Hessian's absolute value, of some of the problems."""
        with np.errstate(all="ignore"):
            return self._evaluate(theta, self.critical[rows], self.weights_at(rows))

    def weights_at(self, rows: NDArray[np.int64]) -> Array:
        """Weights of some of the problems, 0 where a record cannot say anything."""
        weights = self.weights if len(self.weights) == 1 else self.weights[rows]
        # at or below the critical point nothing ever happens: being censored there says nothing
        return weights * (self.axes.weight_decay > self.critical[rows, None])

    def _evaluate(
        self, theta: Array, critical: Array, weights: Array
    ) -> tuple[Array, Array, Array]:
        k = self.law.n_linear
        x, held = self.axes.design(self.law, critical)
        eta = (x * theta[:, None, :k]).sum(axis=2) + held
        share, mu = np.ones_like(eta), eta
        if self.law.constant:
            mu = np.logaddexp(eta, theta[:, k, None])
            share = np.exp(eta - mu)
        v = self.axes.scatter
        tau = np.exp(theta[:, -2, None] + theta[:, -1, None] * v)
        gap = tau * (self.records.log_time - mu)
        w = tau * self.records.width
        value, f, ff, h, fh, hh = _of_records(
            self.errors, self.records, gap + self.errors.median, w
        )
        bad = ~(np.isfinite(value) & np.isfinite(f) & np.isfinite(ff))
        value = np.where(bad, _FLOOR, value)
        f, ff, h, fh, hh = (np.where(bad, 0.0, part) for part in (f, ff, h, fh, hh))
        along = x * share[:, :, None]
        if self.law.constant:
            along = np.concatenate([along, (1.0 - share)[:, :, None]], axis=2)
        scales = np.broadcast_to(np.stack([np.ones_like(v), v], axis=1), (*eta.shape, 2))
        by_mu, by_s = -tau * f, f * gap + h * w
        mixed = -tau * (ff * gap + f + fh * w)
        second = ff * gap * gap + 2.0 * fh * gap * w + hh * w * w + by_s
        gradient = np.concatenate(
            [_summed(weights * by_mu, along), _summed(weights * by_s, scales)], axis=1
        )
        top = _products(weights * tau * tau * ff, along, along)
        if self.law.constant:
            turned = np.concatenate([x, -np.ones((*eta.shape, 1))], axis=2)
            top += _products(weights * by_mu * share * (1.0 - share), turned, turned)
        side = _products(weights * mixed, along, scales)
        low = _products(weights * second, scales, scales)
        hessian = np.block([[top, side], [side.swapaxes(1, 2), low]])
        return (weights * value).sum(axis=1), gradient, _absolute(hessian)


def _summed(weights: Array, columns: Array) -> Array:
    return (weights[:, None, :] @ columns)[:, 0]


def _products(weights: Array, left: Array, right: Array) -> Array:
    return (left * weights[:, :, None]).swapaxes(1, 2) @ right


def _absolute(hessian: Array) -> Array:
    """The matrix with the eigenvectors of the Hessian and the size of its eigenvalues."""
    clean = np.where(np.isfinite(hessian), hessian, 0.0)
    values, vectors = np.linalg.eigh(clean)
    size = np.maximum(np.abs(values), 1e-9)
    return (vectors * size[:, None, :]) @ vectors.swapaxes(1, 2)


@dataclass(frozen=True)
class Maxima:
    """Maxima, one for each problem."""

    theta: Array  # `[problem, number]`
    loglik: Array  # of ln t, `[problem]`


def maximise(problem: LawProblem, start: Array) -> Maxima:
    """The maximum of each problem from its start, `[problem, number]`, inside a wide box."""
    low, high = limits(problem)
    theta, value = climb(problem.evaluate, start, low, high, 1e-8)
    return Maxima(theta, value)


def limits(problem: LawProblem) -> tuple[Array, Array]:
    """The box of theta; a constant part reaches from a thousandth of the earliest time to it."""
    law, log_time = problem.law, problem.records.log_time
    ends = [(-80.0, 80.0)] + [(-20.0, 20.0)] * (law.n_linear - 1)
    if law.constant:
        ends.append((float(log_time.min()) - 6.9, float(log_time.max())))
    low, high = np.array([*ends, (-4.0, 7.0), (-6.0, 6.0)], dtype=np.float64).T
    return low, high


def begin(problem: LawProblem, constant: float) -> Array:
    """A start: a line of ln t in the law's columns by least squares, `[problem, number]`.

    `constant` is the constant part as a share of the earliest time.
    """
    law, records = problem.law, problem.records
    x, held = problem.axes.design(law, problem.critical)
    first = float(np.exp(records.log_time.min()))
    taken = constant * first if law.constant else 0.0
    time = np.log(np.maximum(np.exp(records.log_time) - taken, 0.05 * first))
    every = np.arange(len(problem.critical))
    weights = np.broadcast_to(problem.weights_at(every), held.shape)
    ridge = 1e-6 * np.eye(law.n_linear)
    matrix = _products(weights, x, x) + ridge
    beta = np.linalg.solve(matrix, _summed(weights * (time - held), x)[..., None])[..., 0]
    rest = time - held - (x * beta[:, None, :]).sum(axis=2)
    spread = np.sqrt((weights * rest**2).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0))
    tail = [-np.log(np.maximum(spread, 0.05)), np.zeros(len(every))]
    parts = [beta, *([np.full((len(every), 1), np.log(taken))] if law.constant else [])]
    return np.concatenate([*parts, np.stack(tail, axis=1)], axis=1)
