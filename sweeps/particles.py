"""Draws from a posterior that no grid can hold: the draws before it, tempered, resampled, moved.

Source:
    Del Moral, Doucet and Jasra (2006), J. R. Stat. Soc. B 68, 411 (sequential Monte Carlo
    samplers). Deviation: temperatures are chosen so that half of the draws stay effective.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_LogDensity = Callable[[Array], Array]

_MOVES = 6
"""Steps of a random walk after each change of temperature."""


def _log_total(log_weight: Array) -> float:
    """Log of the sum of weights."""
    return float(np.logaddexp.reduce(log_weight))


def effective(log_weight: Array) -> float:
    """Share of draws that a weighted sample is worth."""
    return float(np.exp(2 * _log_total(log_weight) - _log_total(2 * log_weight))) / log_weight.size


def _half_effective(log_new: Array, high: float) -> float:
    """Share of new data with which draws stay worth half of them, by halving, below `high`."""
    low = 0.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effective(middle * log_new) > 0.5 else (low, middle)
    return 0.5 * (low + high)


def resampled(log_weight: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """Which draws go on, each as often as its weight says (systematic resampling)."""
    share = np.cumsum(np.exp(log_weight - _log_total(log_weight)))
    at = (rng.random() + np.arange(share.size)) / share.size
    return np.minimum(np.searchsorted(share, at), share.size - 1)


def walked(
    theta: Array, log_density: _LogDensity, rng: np.random.Generator, moves: int = _MOVES
) -> Array:
    """Draws of a density, moved within it by random-walk Metropolis steps.

    Args:
        theta: Draws, `[particle, parameter]`.
        log_density: Of draws, up to a constant, `[particle]`.
        rng: Of the steps.
        moves: How many.
    """
    n, size = theta.shape
    spread = np.linalg.cholesky(np.cov(theta.T).reshape(size, size) + 1e-12 * np.eye(size))
    scale = 2.38 / np.sqrt(size)
    theta, now = theta.copy(), log_density(theta)
    for _ in range(moves):
        tried = theta + scale * rng.standard_normal((n, size)) @ spread.T
        there = log_density(tried)
        moved = np.log(rng.random(n)) < there - now
        theta[moved], now[moved] = tried[moved], there[moved]
        scale *= np.exp(moved.mean() - 0.25)
    return theta


def updated(
    theta: Array, log_before: _LogDensity, log_new: _LogDensity, rng: np.random.Generator
) -> tuple[Array, float]:
    """Draws after new data, from draws before them.

    Args:
        theta: Draws of the posterior before, `[particle, parameter]`.
        log_before: Its log density, up to a constant; -inf where it is 0.
        log_new: Log likelihood of the new data.
        rng: Of the steps.

    Returns:
        Draws of the product, as many; and the log of the new data's chance (their evidence).
    """
    done, evidence = 0.0, 0.0
    while done < 1.0:
        new = log_new(theta)
        step = 1.0 - done
        if effective(step * new) < 0.5:
            step = _half_effective(new, step)
        evidence += _log_total(step * new) - float(np.log(new.size))
        theta = theta[resampled(step * new, rng)]
        done = min(done + step, 1.0)

        def target(at: Array, power: float = done) -> Array:
            before = log_before(at)
            inside = np.isfinite(before)
            before[inside] += power * log_new(at[inside])
            return before

        theta = walked(theta, target, rng)
    return theta, evidence
