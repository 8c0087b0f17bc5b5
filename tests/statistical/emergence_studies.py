"""Curves with planted noise: their intervals, and whether noise about a constant is called a curve.

"Two per cent" is multiplicative normal noise.
"""

from functools import partial

import numpy as np
from scipy.special import lambertw

from observatory.analysis.curves.estimators.emergence import emergence_law, in_steps
from observatory.analysis.curves.estimators.law_choice import LawSearch, resample
from observatory.analysis.curves.estimators.separable import fit_separable
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.fit.settings import settings_of
from observatory.analysis.stats.resample import percentile_interval
from observatory.core.errors import FitRefusedError
from tests.made_curves import emergence_curve, law_of
from tests.statistical.stored import Calibration, Outcome

STEPS = np.linspace(0.0, 143_000.0, 37)
U = STEPS / STEPS[-1]
NODE = settings_of("curves", "emergence")[1]
LAW = emergence_law(NODE["beta"], NODE["tau"])
SETS = {
    "E": (3000.0, 0.6, 1e-4, 1.0, 120.0),
    "L": (800.0, 1e-3, 3e-4, 1.0, 20.0),
    "P": (500.0, 0.01, 5e-4, 2.0, 50.0),
    "D": (300.0, 1.5, 1e-4, 2.0, 10.0),
}
KAPPA = 18.6
SOURCES = ("curves/estimators", "stats")


def noisy(name: str, rng: np.random.Generator) -> np.ndarray:
    """The curve of a set with two per cent of noise, `[step]`."""
    return emergence_curve(STEPS, *SETS[name]) * (1 + 0.02 * rng.normal(size=STEPS.size))


def truth(name: str) -> tuple[float, float]:
    """Place and height of the peak of a set."""
    _, decay, gamma, t0, _ = SETS[name]
    step = (1.0 / (decay * lambertw(1.0 / decay).real) - t0) / gamma
    return step, float(emergence_curve(np.array([step]), *SETS[name])[0])


def peak(name: str, number: int) -> Outcome:
    """The 95 % intervals of the peak's place and height, infinite for none, 200 resamples."""
    search = LawSearch(
        NODE["n_grid"], NODE["n_starts"], NODE["n_steps"], NODE["longest_block"], 200
    )
    y = noisy(name, np.random.default_rng([31, number]))
    found = fit_separable(LAW, U, y, 31, 2)
    assert found is not None
    draws = in_steps(resample(LAW, U, y, found, search, number), 0.0, STEPS[-1])
    outcome: Outcome = {}
    for label, values in (("step", draws.t_peak), ("height", draws.height)):
        low, high = percentile_interval(np.nan_to_num(values, nan=np.inf), 0.95)
        outcome |= {f"{label}_low": low, f"{label}_high": high}
    return outcome


RELAXATION = law_of("relaxation", n_bootstrap=200, n_grid=41)
EMERGENCE = law_of("emergence", n_bootstrap=20, n_grid=31, n_starts=2)
"""With few resamples: whether it is refused does not depend on them."""


def kappa(number: int) -> Outcome:
    """The 95 % interval of kappa from 100 steps of 30 + 40 exp(-1.86e-3 t) with noise of 0.3."""
    t = np.arange(0.0, 4000.0, 40.0)
    noise = np.random.default_rng([32, number]).normal(size=t.size)
    series = Series(
        t,
        30 + 40 * np.exp(-1.86e-3 * t) + 0.3 * noise,
        lr=1e-3,
        weight_decay=1.0,
        steps_per_epoch=10.0,
    )
    found = RELAXATION.estimate(series, number).params["kappa"]
    return {"kappa_low": found.ci_low, "kappa_high": found.ci_high}


def flat(number: int) -> Outcome:
    """Whether 37 normal values about a constant are fitted, not refused."""
    values = 7.0 + 0.1 * np.random.default_rng([33, number]).normal(size=STEPS.size)
    try:
        EMERGENCE.estimate(Series(STEPS, values), 0)
    except FitRefusedError:
        return {"fitted": False}
    return {"fitted": True}


STORED = (
    # its peak is broad: limits of its place differed by up to 7e-4 between two types of processor
    Calibration("peak_P", 200, partial(peak, "P"), SOURCES, rounding=5e-3),
    Calibration("peak_E", 200, partial(peak, "E"), SOURCES),
    Calibration("kappa", 200, kappa, SOURCES),
    Calibration("flat", 200, flat, SOURCES),
)
