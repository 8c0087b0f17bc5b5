"""The event rate as a curve with one edge or two, and the binomial likelihood of many counts.

Letters: x = log10 weight decay, F a link, theta = (x0, log slope, guess, lapse) and for a window
also (x1, log of its slope); rise R = F(k0 (x - x0)), stay D = 1 - F(k1 (x - x1)) or 1, s = R D,
p = guess (1 - s) + (1 - lapse) s, q = 1 - p; n replicas and k with the event per bin.
"""

import math

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.stats.ascent import Array, Evaluate, best_of, climb
from observatory.analysis.stats.bins import RateBins, distinct_rows
from observatory.analysis.stats.links import Link
from observatory.analysis.stats.solvers import expit

X0, LOG_SLOPE, GUESS, LAPSE, X1, LOG_SLOPE_1 = range(6)
_TINY = 1e-100
"""Smallest probability: its square is a number still."""
SEPARATED = 1e-6
"""Log-likelihood by which a finite slope must beat an infinite one."""
GUESS_MAX, HALF = 0.5, 0.499
"""Largest rate of guessing, that of two answers, and of lapsing: they must not add up to 1."""


def rates(x: Array, theta: Array, link: Link, shift: Array | float = 0.0) -> tuple[Array, ...]:
    """P and q, `[row, bin]`, and the derivatives of p, `[row, param, bin]`.

    Args:
        x: `[bin]`.
        theta: `[row, 4]` for one edge, `[row, 6]` for a window.
        link: The shape of the edges.
        shift: Added to x0 and x1, `[row, 1]`.
    """
    x0, k0 = theta[:, X0, None] + shift, np.exp(theta[:, LOG_SLOPE, None])
    guess, lapse = theta[:, GUESS, None], theta[:, LAPSE, None]
    z0 = k0 * (x - x0)
    rise, not_rise = link.rise(z0), link.fall(z0)
    bell = link.bell(z0, rise, not_rise)
    by_s = 1.0 - guess - lapse
    if theta.shape[1] == 4:
        s, not_s = rise, not_rise
        edges = [-k0 * bell, z0 * bell]
    else:
        x1, k1 = theta[:, X1, None] + shift, np.exp(theta[:, LOG_SLOPE_1, None])
        z1 = k1 * (x - x1)
        stay, gone = link.fall(z1), link.rise(z1)
        bell_1 = link.bell(z1, gone, stay)
        s, not_s = rise * stay, not_rise + rise * gone
        edges = [-k0 * bell * stay, z0 * bell * stay, k1 * bell_1 * rise, -z1 * bell_1 * rise]
    p = np.maximum(guess * not_s + (1.0 - lapse) * s, _TINY)
    q = np.maximum((1.0 - guess) * not_s + lapse * s, _TINY)
    slopes = [by_s * edge for edge in edges]
    return p, q, np.stack([*slopes[:2], not_s, -s, *slopes[2:]], axis=1)


def binomial_log_likelihood(k: Array, n: Array, p: Array) -> Array:
    """Log-likelihood of each bin without its binomial coefficient; 0 ln 0 = 0."""
    p = np.clip(p, 1e-300, 1.0)
    q = np.clip(1.0 - p, 1e-300, 1.0)
    return k * np.log(p) + (n - k) * np.log(q)


def binomial(x: Array, n: Array, k: Array, link: Link) -> Evaluate:
    """The likelihood of counts `[row, bin]`, or `[1, bin]` where every row has the same ones.

    Its metric is the expected information.
    """

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        at = rows if len(n) > 1 else np.zeros(1, dtype=np.int64)
        trials, shape = n[at], rates(x, theta, link)
        return *_height(trials, k[at], *shape), _information(trials, *shape)

    return evaluate


def _height(
    trials: Array, successes: Array, p: Array, q: Array, slopes: Array
) -> tuple[Array, Array]:
    """The log-likelihood, `[row]`, and its gradient, `[row, param]`."""
    value = (successes * np.log(p) + (trials - successes) * np.log(q)).sum(axis=1)
    pull = (successes - trials * p) / (p * q)
    return value, (slopes @ pull[:, :, None])[..., 0]


def _information(trials: Array, p: Array, q: Array, slopes: Array) -> Array:
    """The expected information, `[row, param, param]`."""
    scaled = slopes * np.sqrt(trials / (p * q))[:, None, :]
    return scaled @ scaled.swapaxes(1, 2)


def penalised(x: Array, n: Array, k: Array, link: Link, free: NDArray[np.bool_]) -> Evaluate:
    """`binomial` with Jeffreys' prior on its free parameters, the edges being straight lines.

    The prior is that of intercept and slope, so it does not depend on where 0 lies on the axis. For
    the logistic with one edge and no lapses this is Firth's bias reduction.
    """
    lines = [i for i in (LOG_SLOPE, LOG_SLOPE_1) if i < free.size and free[i]]
    steps = 1e-5 * np.eye(free.size)[free]
    around = [np.zeros(free.size), *steps, *-steps]

    def prior(theta: Array, metric: Array) -> Array:
        with np.errstate(divide="ignore"):
            sign, size = np.linalg.slogdet(metric[:, free][:, :, free])
        # d(intercept, slope) / d(x0, log slope) has the determinant slope^2
        return np.where(
            (sign > 0) & np.isfinite(size), 0.5 * size - 2.0 * theta[:, lines].sum(axis=1), -1e6
        )

    def with_prior(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        m, at = len(theta), rows if len(n) > 1 else np.zeros(1, dtype=np.int64)
        near = np.concatenate([theta + step for step in around])
        p, q, slopes = rates(x, near, link)
        metric = _information(
            np.tile(n[at], (len(near) // m, 1)) if len(n) > 1 else n, p, q, slopes
        )
        here, up, down = np.split(prior(near, metric), [m, m * (1 + len(steps))])
        value, score = _height(n[at], k[at], p[:m], q[:m], slopes[:m])
        score = score.copy()
        score[:, free] += ((up - down) / 2e-5).reshape(len(steps), m).T
        return value + here, score, metric[:m]

    return with_prior


def box(
    bins: RateBins, guess: float | None, lapse: float | None, *, two_edges: bool = False
) -> tuple[Array, Array]:
    """Ends of the parameters' box: a rate that is given is held, one that is None is free.

    Slopes reach from one whose 10-90% width is a hundred windows to one that steps within a
    thousandth of the closest two weight decays.
    """
    width, closest = float(np.ptp(bins.x)), float(np.diff(bins.x).min())
    place = (float(bins.x[0]) - 10.0, float(bins.x[-1]) + 10.0)
    slope = (math.log(0.04 / width), math.log(4000.0 / closest))
    shares = [
        (0.0, most) if rate is None else (rate, rate)
        for rate, most in ((guess, GUESS_MAX), (lapse, HALF))
    ]
    ends = [place, slope, *shares, *([place, slope] if two_edges else [])]
    low, high = np.array(ends, dtype=np.float64).T
    return low, high


def step_likelihood(k: Array, n: Array, low: Array, high: Array) -> tuple[Array, NDArray[np.int64]]:
    """The best log-likelihood of an infinitely steep rise, and the bin where its step lies.

    Below one bin the rate is the guessing rate, above it one minus the lapsing rate, and the bin
    itself is free in between. `low`, `high`: ends of the box of (x0, log slope, guess, lapse).
    """
    lost = n - k
    heights: list[Array] = []
    for j in range(n.shape[1]):
        k_below, n_below = k[:, :j].sum(axis=1), n[:, :j].sum(axis=1)
        lost_above, n_above = lost[:, j + 1 :].sum(axis=1), n[:, j + 1 :].sum(axis=1)
        guess = np.clip(k_below / np.maximum(n_below, 1.0), low[2], high[2])
        lapse = np.clip(lost_above / np.maximum(n_above, 1.0), low[3], high[3])
        here = np.clip(k[:, j] / np.maximum(n[:, j], 1.0), guess, 1.0 - lapse)
        heights.append(
            binomial_log_likelihood(k_below, n_below, guess)
            + binomial_log_likelihood(n_above - lost_above, n_above, 1.0 - lapse)
            + binomial_log_likelihood(k[:, j], n[:, j], here)
        )
    table = np.stack(heights, axis=1)
    return table.max(axis=1), np.argmax(table, axis=1)


def starts(x: Array, k: Array, n: Array, low: Array, high: Array) -> Array:
    """Three places to climb from for each row of counts, `[row * 3, 4]`, row by row.

    The step lies where a step fits best; slopes are gentle, middling and steep for the window.
    """
    place = x[step_likelihood(k, n, np.array([0, 0, 0, 0.0]), np.array([0, 0, GUESS_MAX, HALF]))[1]]
    middle = np.array([0.0, 0.0, 0.01, 0.02])
    slopes = np.log(np.array([4.0, 12.0, 40.0]) / np.ptp(x))
    made = np.tile(middle, (len(place), 3, 1))
    made[:, :, 0], made[:, :, 1] = place[:, None], slopes
    return np.clip(made.reshape(-1, 4), low, high)


def fit_many(
    x: Array,
    n: Array,
    k: Array,
    link: Link,
    low: Array,
    high: Array,
    more: Array | None = None,
    tolerance: float = 1e-10,
) -> tuple[Array, Array, Array]:
    """Maximum likelihood with one edge, for many counts `[row, bin]` at once; bins may be empty.

    `more` is a start for every row beside the three of `starts`.

    Returns:
        theta, `[row, 4]`; the log-likelihood, `[row]`; and by how much it exceeds that of an
        infinitely steep curve, `[row]`: 0 where the counts are separated.
    """
    begin = starts(x, k, n, low, high).reshape(len(n), 3, 4)
    if more is not None:
        begin = np.concatenate([begin, np.tile(more, (len(n), 1, 1))], axis=1)
    n_starts = begin.shape[1]
    evaluate = binomial(x, np.repeat(n, n_starts, axis=0), np.repeat(k, n_starts, axis=0), link)
    theta, value = best_of(*climb(evaluate, begin.reshape(-1, 4), low, high, tolerance), n_starts)
    steep, _ = step_likelihood(k, n, low, high)
    return theta, value, np.maximum(value - steep, 0.0)


def firth_likelihood(x: Array, n: Array, k: Array) -> Evaluate:
    """The penalised likelihood of (x0, log slope), guess and lapse being held at 0.

    What `penalised` gives of the logistic with one edge, its prior and the slopes of that in closed
    form: with w = n p q, the determinant of intercept and slope is sum w times sum w (x - mean)^2.
    """

    def evaluate(theta: Array, rows: NDArray[np.int64]) -> tuple[Array, Array, Array]:
        at = rows if len(n) > 1 else np.zeros(1, dtype=np.int64)
        trials, seen = n[at], k[at]
        slope = np.exp(theta[:, LOG_SLOPE, None])
        from_edge = x - theta[:, X0, None]
        z = slope * from_edge
        p, q = expit(z), expit(-z)
        weight = trials * p * q
        value = seen * np.log(np.maximum(p, _TINY))
        value = (value + (trials - seen) * np.log(np.maximum(q, _TINY))).sum(axis=1)
        total, first = weight.sum(axis=1), (weight * from_edge).sum(axis=1)
        second = (weight * from_edge**2).sum(axis=1)
        offset = from_edge - (first / np.maximum(total, 1e-300))[:, None]
        spread = (weight * offset * offset).sum(axis=1)
        there = (spread > 1e-290) & (total > 1e-290)
        total, spread = np.where(there, total, 1.0), np.where(there, spread, 1.0)
        prior = np.where(there, 0.5 * (np.log(total) + np.log(spread)), -1e6)
        leverage = weight * (1.0 / total[:, None] + offset * offset / spread[:, None])
        pull = seen - trials * p + np.where(there[:, None], 0.5 * leverage * (q - p), 0.0)
        score, metric = np.zeros_like(theta), np.zeros((*theta.shape, theta.shape[1]))
        k0 = slope[:, 0]
        score[:, X0], score[:, LOG_SLOPE] = -k0 * pull.sum(axis=1), (z * pull).sum(axis=1)
        metric[:, X0, X0], metric[:, LOG_SLOPE, LOG_SLOPE] = k0**2 * total, k0**2 * second
        metric[:, X0, LOG_SLOPE] = metric[:, LOG_SLOPE, X0] = -(k0**2) * first
        return value + prior, score, metric

    return evaluate


def firth_box(x: Array) -> tuple[Array, Array]:
    """Ends of the box of (x0, log slope, guess, lapse): wide enough to hold every penalised fit."""
    width, closest = float(np.ptp(x)), float(np.diff(x).min())
    low = np.array([x[0] - 10.0, np.log(0.04 / width), 0.0, 0.0])
    return low, np.array([x[-1] + 10.0, np.log(4000.0 / closest), 0.0, 0.0])


def firth_points(x: Array, n: Array, k: Array) -> Array:
    """The penalised estimate of each row of counts `[row, bin]`, finite for separated ones too.

    Bins may be empty.

    Returns:
        `(x0, log slope)`, `[row, 2]`; NaN where all or none grokked.
    """
    first, back = distinct_rows(np.concatenate([n, k], axis=1))
    n, k = n[first], k[first]
    low, high = firth_box(x)
    evaluate = firth_likelihood(x, np.repeat(n, 3, axis=0), np.repeat(k, 3, axis=0))
    theta, _ = best_of(*climb(evaluate, starts(x, k, n, low, high), low, high), 3)
    made = theta[:, :2].copy()
    made[(k.sum(axis=1) == 0) | (k.sum(axis=1) == n.sum(axis=1))] = np.nan
    return made[back]
