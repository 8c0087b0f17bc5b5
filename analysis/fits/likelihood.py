"""The binomial likelihood of a logistic with rates of guessing and lapsing.

Letters: x = log10 weight decay, theta = (x0, log slope, guess, lapse), p = chance to grok,
q = 1 - p, rise = logistic(slope (x - x0)), fall = 1 - rise; p = guess fall + (1 - lapse) rise.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.fits.bins import RateBins
from observatory.analysis.fits.logistic import curve
from observatory.analysis.fits.solvers import minimise_boxed

Array = NDArray[np.float64]

X0, LOG_SLOPE, GUESS, LAPSE = range(4)
HALF = 0.499
"""Largest rate of guessing or lapsing: with one half or more the curve would not tell the sides."""


@dataclass(frozen=True)
class Counts:
    """Counts of one fit and the box in which its parameters (x0, log slope, guess, lapse) lie."""

    x: Array
    n: Array
    k: Array
    bounds: tuple[tuple[float, float], ...]


def boxed_counts(bins: RateBins, guess: float | None, lapse: float | None) -> Counts:
    """Counts with the parameters' box: a rate that is given is fixed, one that is None is free.

    Slopes reach from one whose 10-90 % width is a hundred windows to one that steps within a
    thousandth of the closest two weight decays.
    """
    width, closest = float(np.ptp(bins.x)), float(np.diff(bins.x).min())
    rates = tuple((0.0, HALF) if rate is None else (rate, rate) for rate in (guess, lapse))
    return Counts(
        bins.x,
        bins.n.astype(np.float64),
        bins.k.astype(np.float64),
        (
            (float(bins.x[0]) - 10.0, float(bins.x[-1]) + 10.0),
            (math.log(0.04 / width), math.log(4000.0 / closest)),
            *rates,
        ),
    )


def binomial_log_likelihood(k: Array, n: Array, p: Array) -> Array:
    """Log-likelihood of each bin without its binomial coefficient; 0 ln 0 = 0."""
    p = np.clip(p, 1e-300, 1.0)
    q = np.clip(1.0 - p, 1e-300, 1.0)
    return k * np.log(p) + (n - k) * np.log(q)


def loss_and_gradient(counts: Counts, theta: Array) -> tuple[float, Array]:
    """Negative log-likelihood of (x0, log slope, guess, lapse), and its gradient."""
    slope = math.exp(theta[LOG_SLOPE])
    rise = curve(counts.x, theta[X0], slope)
    fall = curve(-counts.x, -theta[X0], slope)
    p = theta[GUESS] * fall + (1.0 - theta[LAPSE]) * rise
    q = (1.0 - theta[GUESS]) * fall + theta[LAPSE] * rise
    # Far above the smallest double, so that the optimizer may square a gradient of n / p.
    p, q = np.maximum(p, 1e-100), np.maximum(q, 1e-100)
    loss = -float((counts.k * np.log(p) + (counts.n - counts.k) * np.log(q)).sum())
    by_p = (counts.n - counts.k) / q - counts.k / p
    by_z = by_p * (1.0 - theta[GUESS] - theta[LAPSE]) * rise * fall
    return loss, np.array(
        [
            -slope * by_z.sum(),
            slope * ((counts.x - theta[X0]) * by_z).sum(),
            (by_p * fall).sum(),
            -(by_p * rise).sum(),
        ]
    )


def step_likelihood(counts: Counts) -> tuple[float, float]:
    """The best log-likelihood of an infinitely steep curve, and where its step lies.

    Below one bin the rate is the guessing rate, above it one minus the lapsing rate, and the bin
    itself is free in between.
    """
    (_, _, (g_low, g_high), (l_low, l_high)) = counts.bounds
    best, place = -math.inf, float(counts.x[0])
    for j in range(counts.x.size):
        below, above = slice(0, j), slice(j + 1, None)
        g = float(counts.k[below].sum() / max(counts.n[below].sum(), 1.0))
        miss = float((counts.n - counts.k)[above].sum() / max(counts.n[above].sum(), 1.0))
        g, miss = min(max(g, g_low), g_high), min(max(miss, l_low), l_high)
        p = np.full(counts.x.size, 1.0 - miss)
        p[below] = g
        p[j] = min(max(counts.k[j] / counts.n[j], g), 1.0 - miss)
        log_likelihood = float(binomial_log_likelihood(counts.k, counts.n, p).sum())
        if log_likelihood > best:
            best, place = log_likelihood, float(counts.x[j])
    return best, place


def maximise(counts: Counts, starts: list[Array]) -> tuple[Array, float]:
    """The parameters of greatest likelihood, and that log-likelihood."""
    found = [
        minimise_boxed(lambda t: loss_and_gradient(counts, t), s, counts.bounds) for s in starts
    ]
    theta, loss = min(found, key=lambda pair: pair[1])
    return theta, -loss


def promising_starts(counts: Counts, keep: int) -> list[Array]:
    """The best `keep` of a coarse grid of parameters."""
    low, high = np.array(counts.bounds).T
    grid = [
        np.clip([x0, math.log(slope), 0.02, lapse], low, high)
        for x0 in counts.x
        for slope in (2.0, 8.0, 30.0)
        for lapse in (0.02, 0.2)
    ]
    return sorted(grid, key=lambda theta: loss_and_gradient(counts, theta)[0])[:keep]


def wald_errors(counts: Counts, theta: Array) -> list[float | None]:
    """Standard errors of critical, slope, guess and lapse from the expected information.

    None for what is fixed or lies on its bound, and for all where the information is singular.
    """
    slope = math.exp(theta[LOG_SLOPE])
    rise, fall = curve(counts.x, theta[X0], slope), curve(-counts.x, -theta[X0], slope)
    p = theta[GUESS] * fall + (1.0 - theta[LAPSE]) * rise
    by_z = (1.0 - theta[GUESS] - theta[LAPSE]) * rise * fall
    jacobian = np.stack([-slope * by_z, slope * (counts.x - theta[X0]) * by_z, fall, -rise])
    weight = counts.n / np.maximum(p * (1.0 - p), 1e-12)
    free = [i for i, (low, high) in enumerate(counts.bounds) if low + 1e-6 < theta[i] < high - 1e-6]
    information = (jacobian[free] * weight) @ jacobian[free].T
    errors: list[float | None] = [None] * 4
    if np.linalg.cond(information) > 1e12:
        return errors
    scale = np.array([math.log(10.0) * 10.0 ** theta[X0], slope, 1.0, 1.0])
    covariance: Array = np.asarray(np.linalg.inv(information), dtype=np.float64)
    for row, i in enumerate(free):
        errors[i] = float(scale[i] * math.sqrt(covariance[row, row]))
    return errors
