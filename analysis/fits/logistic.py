"""The logistic curve in log10(weight_decay), and many least-squares fits of it at once.

Letters: x = log10 weight decay, x0 = log10 of the critical one, k = slope per decade (natural
logits), F = 1 / (1 + exp(-k (x - x0))).
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_ROUNDS = 120
"""Rounds of damped Gauss-Newton; a curve still moving then runs off to infinite slope."""


def curve(x: Array, x0: Array | float, k: Array | float) -> Array:
    """F(x), `[..., bin]` for `x0` and `k` of shape `[..., 1]` or scalars; exact in both tails."""
    return np.exp(-np.logaddexp(0.0, -k * (x - x0)))


def fit_curves(x: Array, rates: Array, start: Array) -> tuple[Array, Array]:
    """Unweighted least squares of the logistic on many sets of rates (Levenberg-Marquardt).

    Args:
        x: log10 weight decay, `[bin]`.
        rates: Rates to be fitted, `[draw, bin]`.
        start: Where each fit starts, `(x0, k)`, `[draw, 2]`.

    Returns:
        `(x0, k)`, `[draw, 2]`, and the residual sum of squares, `[draw]`: a local optimum.
    """
    theta, damping = start.astype(np.float64), np.full(rates.shape[0], 1e-3)
    fitted = curve(x, theta[:, :1], theta[:, 1:])
    rss = np.square(rates - fitted).sum(axis=1)
    running = np.ones(rates.shape[0], dtype=bool)
    for _ in range(MAX_ROUNDS):
        at = np.flatnonzero(running)
        if not at.size:
            break
        x0, k = theta[at, :1], theta[at, 1:]
        residual = rates[at] - fitted[at]
        bell = fitted[at] * (1.0 - fitted[at])
        by_x0, by_k = -k * bell, (x - x0) * bell
        a, b, c = ((u * v).sum(axis=1) for u, v in ((by_x0, by_x0), (by_x0, by_k), (by_k, by_k)))
        g, h = ((u * residual).sum(axis=1) for u in (by_x0, by_k))
        a, c = a * (1.0 + damping[at]) + 1e-300, c * (1.0 + damping[at]) + 1e-300
        det = a * c - b * b
        det = np.where(det > 0, det, np.inf)  # a curve flat at every bin stays where it is
        step = np.stack([c * g - b * h, a * h - b * g], axis=1) / det[:, None]
        trial = theta[at] + step
        with np.errstate(over="ignore", invalid="ignore"):  # a step too far is not taken below
            trial_fit = curve(x, trial[:, :1], trial[:, 1:])
            trial_rss = np.square(rates[at] - trial_fit).sum(axis=1)
        better = trial_rss <= rss[at]
        small = np.all(np.abs(step) <= 1e-11 * (1.0 + np.abs(theta[at])), axis=1)
        took = at[better]
        theta[took], fitted[took], rss[took] = trial[better], trial_fit[better], trial_rss[better]
        damping[at] = np.where(better, damping[at] * 0.2, damping[at] * 5.0)
        running[at] = ~small & (damping[at] < 1e12)
    return theta, rss


def step_limit(x: Array, rates: Array) -> tuple[Array, Array]:
    """The best that an infinitely steep, rising curve can do.

    In the limit of infinite slope the curve is 0 below one bin, 1 above it, and free to pass
    through that bin's rate.

    Args:
        x: log10 weight decay, rising, `[bin]`.
        rates: Rates, `[draw, bin]`.

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
