"""The censored likelihood of ln t under a law, its gradient and Hessian, many fits at once.

Letters: z = tau (ln t - mu) with tau = exp(s + s1 v) = 1 / scatter, v the axis of the scatter, and
w = tau times the width of an interval; P = problem: a critical point, a resample. theta = (the
numbers of eta, ln constant and the critical point as a share of the highest where the law has them,
s, s1), `[problem, number]`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.clock.estimators.laws import ClockLaw, RecordAxes
from observatory.analysis.stats.ascent import climb
from observatory.analysis.stats.observations import Array
from observatory.analysis.times.estimators.aft import Records
from observatory.analysis.times.estimators.aft_errors import Errors

HIGHEST_SHARE = 0.9999
"""Of the smallest weight decay with the event: the upper end of the search for a critical point."""
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
class _Median:
    """Ln of the median time, and how it depends on theta."""

    mu: Array  # `[problem, record]`
    slopes: Array  # d mu / d theta without the numbers of the scatter, `[problem, record, number]`
    turned: Array  # d (eta - ln constant) / d theta, likewise
    share: Array  # of the part of the time that falls, `[problem, record]`
    near: Array  # d g / d share of the critical point, turned round, `[problem, record]`


@dataclass(frozen=True)
class LawProblem:
    """A law on records, with weights of their own for each problem."""

    errors: Errors
    records: Records
    axes: RecordAxes
    law: ClockLaw
    highest: float  # a critical point is a share of it
    weights: Array  # replicas that each record stands for, `[problem, record]` or `[1, record]`

    @property
    def place(self) -> int:
        """Where theta holds the critical point, or the scatter where there is none."""
        return self.law.n_linear + int(self.law.constant)

    def critical(self, theta: Array) -> Array:
        """The critical points, `[problem]`."""
        if not self.law.critical:
            return np.zeros(len(theta))
        return self.highest * theta[:, self.place]

    def evaluate(self, theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        """Log-likelihood, gradient, and the Hessian's absolute value, of some of the problems."""
        weights = self.weights if len(self.weights) == 1 else self.weights[rows]
        with np.errstate(all="ignore"):
            # at or below the critical point nothing ever happens: being censored there says nothing
            above = self.axes.weight_decay > self.critical(theta)[:, None]
            return self._evaluate(theta, weights * above)

    def _median(self, theta: Array) -> _Median:
        k, law, critical = self.law.n_linear, self.law, self.critical(theta)
        x, held = self.axes.design(law, critical)
        eta = (x * theta[:, None, :k]).sum(axis=2) + held
        turned, near = x, np.zeros_like(eta)
        if law.constant:
            turned = np.concatenate([turned, -np.ones((*eta.shape, 1))], axis=2)
        if law.critical:
            gap = np.maximum(self.axes.weight_decay - critical[:, None], 1e-9 * self.highest)
            near = self.highest / gap
            power = theta[:, 1, None] if law.exponent else 1.0
            turned = np.concatenate([turned, (power * near)[:, :, None]], axis=2)
        if not law.constant:
            return _Median(eta, turned, turned, np.ones_like(eta), near)
        mu = np.logaddexp(eta, theta[:, k, None])
        share = np.exp(eta - mu)
        slopes = turned * share[:, :, None]
        slopes[:, :, k] = 1.0 - share
        return _Median(mu, slopes, turned, share, near)

    def _evaluate(self, theta: Array, weights: Array) -> tuple[Array, Array, Array]:
        at, v = self._median(theta), self.axes.scatter
        tau = np.exp(theta[:, -2, None] + theta[:, -1, None] * v)
        gap, w = tau * (self.records.log_time - at.mu), tau * self.records.width
        value, f, ff, h, fh, hh = _of_records(
            self.errors, self.records, gap + self.errors.median, w
        )
        bad = ~(np.isfinite(value) & np.isfinite(f) & np.isfinite(ff))
        if bad.any():
            value = np.where(bad, _FLOOR, value)
            f, ff, h, fh, hh = (np.where(bad, 0.0, part) for part in (f, ff, h, fh, hh))
        scales = np.broadcast_to(np.stack([np.ones_like(v), v], axis=1), (*at.mu.shape, 2))
        by_mu, by_s = -weights * tau * f, f * gap + h * w
        second = ff * gap * gap + 2.0 * fh * gap * w + hh * w * w + by_s
        gradient = np.concatenate(
            [_summed(by_mu, at.slopes), _summed(weights * by_s, scales)], axis=1
        )
        top = _products(weights * tau * tau * ff, at.slopes, at.slopes)
        if self.law.constant:
            top += _products(by_mu * at.share * (1.0 - at.share), at.turned, at.turned)
        if self.law.critical:
            self._bend_at_critical(top, theta, by_mu * at.share, at.near)
        side = _products(-weights * tau * (ff * gap + f + fh * w), at.slopes, scales)
        low = _products(weights * second, scales, scales)
        n = top.shape[1]
        hessian = np.empty((len(theta), n + 2, n + 2))
        hessian[:, :n, :n], hessian[:, :n, n:] = top, side
        hessian[:, n:, :n], hessian[:, n:, n:] = side.swapaxes(1, 2), low
        return (weights * value).sum(axis=1), gradient, _absolute(hessian)

    def _bend_at_critical(self, top: Array, theta: Array, pull: Array, near: Array) -> None:
        """Add the second derivatives of eta with the critical point to a Hessian, in place."""
        place, power = self.place, theta[:, 1] if self.law.exponent else 1.0
        top[:, place, place] += power * (pull * near * near).sum(axis=1)
        if self.law.exponent:
            mixed = (pull * near).sum(axis=1)
            top[:, 1, place] += mixed
            top[:, place, 1] += mixed


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


def maximise(problem: LawProblem, start: Array, *, held: bool = False) -> Maxima:
    """The maximum of each problem from its start, `[problem, number]`, inside a wide box.

    `held` keeps the critical points where they start.
    """
    low, high = (np.tile(end, (len(start), 1)) for end in limits(problem))
    if held and problem.law.critical:
        low[:, problem.place] = high[:, problem.place] = start[:, problem.place]
    theta, value = climb(problem.evaluate, start, low, high, 1e-5)
    return Maxima(theta, value)


def limits(problem: LawProblem) -> tuple[Array, Array]:
    """The box of theta; a constant part reaches from a thousandth of the earliest time to it."""
    law, log_time = problem.law, problem.records.log_time
    ends = [(-80.0, 80.0)] + [(-20.0, 20.0)] * (law.n_linear - 1)
    if law.constant:
        ends.append((float(log_time.min()) - 6.9, float(log_time.max())))
    if law.critical:
        ends.append((0.0, HIGHEST_SHARE))
    low, high = np.array([*ends, (-4.0, 7.0), (-6.0, 6.0)], dtype=np.float64).T
    return low, high


def begin(problem: LawProblem, constant: Array, share: Array) -> Array:
    """Starts: lines of ln t in the law's columns by least squares, `[problem, number]`.

    Args:
        problem: The law; the weights of its first problem count.
        constant: The constant part as a share of the earliest time, `[problem]`.
        share: The critical point as a share of the highest, `[problem]`.
    """
    law, records = problem.law, problem.records
    critical = problem.highest * share if law.critical else np.zeros(share.size)
    x, held = problem.axes.design(law, critical)
    first = float(np.exp(records.log_time.min()))
    taken = constant[:, None] * first if law.constant else np.zeros((share.size, 1))
    time = np.log(np.maximum(np.exp(records.log_time) - taken, 0.05 * first))
    weights = problem.weights[:1] * (problem.axes.weight_decay > critical[:, None])
    matrix = _products(weights, x, x) + 1e-6 * np.eye(law.n_linear)
    beta = np.linalg.solve(matrix, _summed(weights * (time - held), x)[..., None])[..., 0]
    rest = time - held - (x * beta[:, None, :]).sum(axis=2)
    spread = np.sqrt((weights * rest**2).sum(axis=1) / np.maximum(weights.sum(axis=1), 1.0))
    columns = [beta]
    if law.constant:
        columns.append(np.log(taken))
    if law.critical:
        columns.append(share[:, None])
    scale = -np.log(np.maximum(spread, 0.05))[:, None]
    columns += [scale, np.zeros_like(scale)]
    return np.concatenate(columns, axis=1).astype(np.float64)
