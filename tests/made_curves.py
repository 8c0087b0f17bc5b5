"""Laws of curves as conf/fit has them, and curves of known parameters."""

import numpy as np

from observatory.analysis.curves.estimators.law_fit import CurveLaw
from observatory.analysis.fit.settings import build, settings_of


def law_of(estimator: str, **settings: object) -> CurveLaw:
    """An estimator of curves, some of its settings changed."""
    return build(*settings_of("curves", estimator, settings))


def emergence_curve(
    t: np.ndarray, amplitude: float, decay: float, gamma: float, t0: float, baseline: float
) -> np.ndarray:
    """The five-parameter model of arXiv:2508.03616: A exp(-lambda x) ln x + K, x = gamma t + t0."""
    x = gamma * t + t0
    return amplitude * np.exp(-decay * x) * np.log(x) + baseline


def relu_sparsity(data: np.ndarray, c: float, alpha: float, b: float, limit: float) -> np.ndarray:
    """Share of active units of a ReLU network after these amounts of training."""
    return np.exp(-c * data**alpha + b) + limit


def silu_sparsity(data: np.ndarray, c: float, alpha: float, limit: float) -> np.ndarray:
    """The same of a SiLU network."""
    return -c / data**alpha + limit
