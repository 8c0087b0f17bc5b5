"""The logistic curve in log10(weight_decay), and many least-squares fits of it at once.

Letters: x = log10 weight decay, x0 = log10 of the critical one, k = slope per decade (natural
logits), F = 1 / (1 + exp(-k (x - x0))).
"""

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.solvers import Array, expit

_MAX_ROUNDS = 200
"""Rounds of the solver; a curve still moving then runs off to infinite slope."""
_MINPACK_TOLERANCE = 1.49012e-8
"""Where MINPACK stops by default."""


def curve(x: Array, x0: Array | float, k: Array | float) -> Array:
    """F(x), `[..., bin]` for `x0` and `k` of shape `[..., 1]` or scalars; exact in both tails."""
    return expit(k * (x - x0))


def fit_curves(
    x: Array, rates: Array, start: Array, tolerance: float = _MINPACK_TOLERANCE
) -> tuple[Array, Array]:
    """Unweighted least squares of the logistic on many sets of rates.

    It walks as MINPACK's `lmder` does with its default settings, trust region and stopping rules
    included, since where it stops is part of a published estimator: on rates whose optimum is at
    infinite slope it stops at a finite one.

    Returns `(x0, k)`, `[draw, 2]`, and the residual sum of squares, `[draw]`: a local optimum.

    Source:
        Moré (1978), Lect. Notes Math. 630, 105. Deviation: normal equations, not QR.
    """
    found, sums = start.T.astype(np.float64), np.zeros(len(start))
    rows, theta, at = np.arange(len(start)), found.copy(), x[:, None]
    wanted = np.ascontiguousarray(rates.T)  # bins first: sums over them are then quick
    fitted: Array = expit(theta[1] * (at - theta[0]))
    rss: Array = np.square(wanted - fitted).sum(axis=0)
    scale, damping = np.zeros_like(theta), np.zeros(len(start), dtype=np.float64)
    radius = np.full(len(start), np.inf)
    for round_number in range(_MAX_ROUNDS):
        products = _products(at, theta, fitted, wanted)
        scale = np.maximum(scale, np.sqrt(products[[0, 2]]))
        weight = np.where(scale > 0, scale, 1.0)
        if round_number == 0:
            radius = 100.0 * np.where((size := _length(weight, theta)) > 0, size, 1.0)
        step, par, length = _trust_step(products, weight, radius, damping)
        radius = radius if round_number else np.minimum(radius, length)
        trial = theta + step
        trial_fit = expit(trial[1] * (at - trial[0]))
        trial_rss: Array = np.square(wanted - trial_fit).sum(axis=0)
        now = np.maximum(rss, 1e-300)
        actual = np.where(0.01 * trial_rss < now, 1.0 - trial_rss / now, -1.0)
        linear, damped = _quadratic(products, step) / now, par * length**2 / now
        promised, down = linear + 2.0 * damped, -(linear + damped)
        ratio = np.where(promised > 0, actual / np.where(promised > 0, promised, 1.0), 0.0)
        shrink = np.where(actual >= 0, 0.5, 0.5 * down / np.minimum(down + 0.5 * actual, -1e-300))
        shrink = np.where((0.01 * trial_rss >= now) | (shrink < 0.1), 0.1, shrink)
        poor, good = ratio <= 0.25, (par == 0) | (ratio >= 0.75)
        wider = np.where(good, length * 2.0, radius)
        radius = np.where(poor, shrink * np.minimum(radius, length * 10.0), wider)
        eased: Array = np.where(good, 0.5 * par, par)
        damping = np.where(poor, par / shrink, eased)
        took = ratio >= 1e-4
        theta = np.where(took, trial, theta)
        fitted = np.where(took, trial_fit, fitted)
        rss = np.where(took, trial_rss, rss)
        flat = (np.abs(actual) <= tolerance) & (promised <= tolerance)
        still = radius <= tolerance * _length(weight, theta)
        going: NDArray[np.bool_] = ~((flat & (ratio <= 2.0)) | still | (rss == 0))
        if not going.all():
            found[:, rows[~going]], sums[rows[~going]] = theta[:, ~going], rss[~going]
            rows, rss, radius, damping = rows[going], rss[going], radius[going], damping[going]
            theta, scale = theta[:, going], scale[:, going]
            wanted, fitted = wanted[:, going], fitted[:, going]
        if not rows.size:
            break
    found[:, rows], sums[rows] = theta, rss
    return found.T, sums


def _products(at: Array, theta: Array, fitted: Array, wanted: Array) -> Array:
    """Of the slopes with each other, three, and with the residual, two: `[5, row]`."""
    bell = fitted * (1.0 - fitted)
    by_x0, by_k, residual = -theta[1] * bell, (at - theta[0]) * bell, wanted - fitted
    terms = np.empty((5, *bell.shape))
    pairs = ((by_x0, by_x0), (by_x0, by_k), (by_k, by_k), (by_x0, residual), (by_k, residual))
    for i, (u, v) in enumerate(pairs):
        terms[i] = u * v
    return terms.sum(axis=1)


def _length(weight: Array, step: Array) -> Array:
    """Scaled length of each step, `[row]`."""
    return np.sqrt(np.square(weight * step).sum(axis=0))


def _quadratic(products: Array, step: Array) -> Array:
    """Squared length of the step's image under the slopes, `[row]`."""
    a, b = step
    return a * a * products[0] + 2.0 * a * b * products[1] + b * b * products[2]


def _solve(products: Array, extra: Array | float, right: Array) -> Array:
    """(slopes' slopes + diag(extra)) step = right, `[2, row]`; 0 where that has no solution."""
    (a, c), b = products[[0, 2]] + extra, products[1]
    determinant = a * c - b * b
    safe = np.where(determinant > 1e-300, determinant, np.inf)
    return np.stack([c * right[0] - b * right[1], a * right[1] - b * right[0]]) / safe


def _trust_step(
    products: Array, weight: Array, radius: Array, start: Array
) -> tuple[Array, Array, Array]:
    """The step whose scaled length is within a tenth of the radius, its damping, its length."""
    pull, squared = products[3:], np.square(weight)
    step = _solve(products, 0.0, pull)
    length = _length(weight, step)
    excess = length - radius
    par = np.zeros(len(radius))
    at = np.flatnonzero(excess > 0.1 * radius)
    if not at.size:
        return step, par, length

    def newton(rows: NDArray[np.intp], damping: Array) -> Array:
        unit = squared[:, rows] * step[:, rows] / length[rows]
        back = _solve(products[:, rows], damping * squared[:, rows], unit)
        return excess[rows] / radius[rows] / np.maximum((unit * back).sum(axis=0), 1e-300)

    lower, upper = np.zeros(len(radius)), np.full(len(radius), np.inf)
    steepness = np.sqrt(np.square(pull[:, at] / weight[:, at]).sum(axis=0))
    lower[at], upper[at] = newton(at, np.zeros(at.size)), steepness / radius[at]
    par[at] = np.minimum(np.maximum(start[at], lower[at]), upper[at])
    par[at] = np.where(par[at] == 0, steepness / length[at], par[at])
    for _ in range(10):
        step[:, at] = _solve(products[:, at], par[at] * squared[:, at], pull[:, at])
        length[at] = _length(weight[:, at], step[:, at])
        excess[at] = length[at] - radius[at]
        at = at[np.abs(excess[at]) > 0.1 * radius[at]]
        if not at.size:
            break
        change = newton(at, par[at])
        lower[at] = np.where(excess[at] > 0, np.maximum(lower[at], par[at]), lower[at])
        upper[at] = np.where(excess[at] < 0, np.minimum(upper[at], par[at]), upper[at])
        par[at] = np.maximum(lower[at], par[at] + change)
    return step, par, length


def step_limit(x: Array, rates: Array) -> tuple[Array, Array]:
    """The best that an infinitely steep, rising curve can do.

    In the limit of infinite slope the curve is 0 below one bin, 1 above it, and free to pass
    through that bin's rate.

    Returns:
        Where the step lies (the mean, where several bins serve equally) and its residual sum of
        squares, both `[draw]`.

    Example:
        >>> step_limit(np.array([-2.0, -1.0, 0.0]), np.array([[0.0, 0.3, 1.0]]))
        (array([-1.]), array([0.]))
    """
    zeros, ones = np.square(rates), np.square(1.0 - rates)
    below = np.cumsum(zeros, axis=1) - zeros
    above = ones.sum(axis=1, keepdims=True) - np.cumsum(ones, axis=1)
    rss = np.maximum(below + above, 0.0)
    best = rss.min(axis=1, keepdims=True)
    tied = rss <= best + 1e-12
    return (tied * x).sum(axis=1) / tied.sum(axis=1), best[:, 0]
