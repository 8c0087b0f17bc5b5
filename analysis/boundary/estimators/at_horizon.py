"""The boundary at one horizon by Firth's penalised likelihood, with the limits of its profile."""

import numpy as np

from observatory.analysis.boundary.estimators.likelihood import (
    firth_box,
    firth_likelihood,
    starts,
)
from observatory.analysis.boundary.estimators.profile import NAMES, Maximum, profiled
from observatory.analysis.stats.ascent import best_of, climb
from observatory.analysis.stats.estimate import Parameter
from observatory.analysis.stats.observations import Observations


def firth_limits(data: Observations, horizon: float, level: float) -> Parameter:
    """The boundary at a horizon with the limits of its penalised profile likelihood."""
    cells, index = np.unique(data.weight_decay, return_inverse=True)
    seen = data.weights * data.grokked_by(horizon)
    counts = [np.bincount(index, weights=weights) for weights in (data.weights, seen)]
    n, k = np.asarray(counts, dtype=np.float64)[:, None]
    x = np.log10(cells)
    low, high = firth_box(x)
    evaluate, begin = firth_likelihood(x, n, k), starts(x, k, n, low, high)
    theta, value = best_of(*climb(evaluate, begin, low, high, 1e-14), len(begin))
    found = Maximum(evaluate, NAMES, theta[0], float(value[0]), low, high)
    return profiled(found, x, level)["critical"]
