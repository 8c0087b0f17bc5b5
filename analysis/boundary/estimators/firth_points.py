"""Firth's bias reduction of the logistic boundary, for many counts at once."""

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import binomial, penalised, starts
from observatory.analysis.stats.ascent import Array, Evaluate, best_of, climb
from observatory.analysis.stats.bins import distinct_rows
from observatory.analysis.stats.links import LINKS

FREE = np.array([True, True, False, False])


def firth_likelihood(x: Array, n: Array, k: Array) -> Evaluate:
    """The penalised likelihood of (x0, log slope)."""
    return penalised(binomial(x, n, k, LINKS["logistic"]), FREE)


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
