"""Curves with planted noise: published bounds, coverage, and how often nothing is called something.

Every test is seeded and never rerun. "Two per cent" is multiplicative normal noise.
"""

import numpy as np
import pytest
from scipy.stats import binom

from observatory.analysis.curves.estimators.emergence_law import (
    CLASSES,
    classes_of,
    emergence_curve,
    emergence_law,
    in_steps,
    peak_of,
)
from observatory.analysis.curves.estimators.law_choice import Search, resample
from observatory.analysis.curves.estimators.separable import fit_separable
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.fit.settings import settings_of
from observatory.analysis.stats.resample import percentile_interval
from observatory.core.errors import FitRefusedError
from tests.made_curves import law_of

pytestmark = pytest.mark.statistical

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
ALPHA = 1e-3


def noisy(name: str, rng: np.random.Generator) -> np.ndarray:
    return emergence_curve(STEPS, *SETS[name]) * (1 + 0.02 * rng.normal(size=STEPS.size))


def truth(name: str) -> tuple[float, float]:
    peak = peak_of(*(np.array([number]) for number in SETS[name]))
    return float(peak.step[0]), float(peak.height[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "least_r2", "place", "height", "kind"),
    [
        ("E", 0.998, 0.06, 0.04, "early peak"),
        ("P", 0.97, 0.10, 0.02, "early peak"),
        ("L", 0.99, None, None, "log increase"),
        ("D", 0.98, None, None, None),
    ],
)
def test_two_per_cent_noise(name, least_r2, place, height, kind) -> None:
    """H0: of 60 curves every one keeps R2, class, place and height of its peak within the bounds.

    The bounds are those of arXiv:2508.03616's model as measured by another implementation (all 60
    of its seeds, for D without a class), n = 60, seeds 0 to 59: a bound is exceeded by none, so
    that a rate above 11 % of curves outside them is rejected at alpha = 1e-3.
    """
    for seed in range(60):
        y = noisy(name, np.random.default_rng(seed))
        found = fit_separable(LAW, U, y, NODE["n_grid"], NODE["n_starts"])
        assert found is not None
        told = in_steps(found, 0.0, STEPS[-1])
        assert 1 - found.rss[0] / ((y - y.mean()) ** 2).sum() > least_r2
        if kind is not None:
            assert CLASSES[int(classes_of(told, 0.0, STEPS[-1])[0])] == kind
        if place is not None:
            step, top = truth(name)
            assert abs(told.peak.step[0] / step - 1) < place
            assert abs(told.peak.height[0] / top - 1) < height


def covered(name: str, n: int, rng: np.random.Generator) -> tuple[int, int]:
    """In how many of n curves the 95 % intervals hold place and height of the peak."""
    search = Search(NODE["n_grid"], NODE["n_starts"], NODE["n_steps"], NODE["longest_block"], 200)
    step, top = truth(name)
    hits = np.zeros(2, dtype=int)
    for seed in range(n):
        y = noisy(name, rng)
        found = fit_separable(LAW, U, y, 31, 2)
        assert found is not None
        draws = in_steps(resample(LAW, U, y, found, search, seed), 0.0, STEPS[-1]).peak
        for which, (values, true) in enumerate(((draws.step, step), (draws.height, top))):
            low, high = percentile_interval(np.nan_to_num(values, nan=np.inf), 0.95)
            hits[which] += low <= true <= high
    return int(hits[0]), int(hits[1])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "level"), [("P", 0.95), ("E", 0.90)])
def test_coverage_of_the_peak(name: str, level: float) -> None:
    """H0: the 95 % intervals of place and height cover in `level` of the curves.

    P, whose peak is broad: 95 %. E, whose peak lies within three of 37 equally spaced steps: 90 %,
    as docs/deeper_fits.md says. n = 150 curves of two per cent, 200 resamples, alpha = 1e-3
    two-sided for each, seed 31.
    """
    n = 150
    low, high = binom.ppf([ALPHA / 2, 1 - ALPHA / 2], n, level)
    for hits in covered(name, n, np.random.default_rng(31)):
        assert low <= hits <= high, hits


@pytest.mark.slow
def test_coverage_of_kappa() -> None:
    """H0: the 95 % interval of kappa covers it in 95 % of the curves.

    n = 150 norms of 100 steps with normal noise of 0.3 about 30 + 40 exp(-1.86e-3 t), 200
    resamples, alpha = 1e-3 two-sided, seed 32.
    """
    n, rng = 150, np.random.default_rng(32)
    fit = law_of("relaxation", n_bootstrap=200, n_grid=41)
    t = np.arange(0.0, 4000.0, 40.0)
    hits = 0
    for seed in range(n):
        y = 30 + 40 * np.exp(-1.86e-3 * t) + 0.3 * rng.normal(size=t.size)
        kappa = fit.estimate(
            Series(t, y, lr=1e-3, weight_decay=1.0, steps_per_epoch=10.0), seed
        ).params["kappa"]
        hits += (kappa.ci_low or 0.0) <= 18.6 <= (kappa.ci_high or np.inf)
    low, high = binom.ppf([ALPHA / 2, 1 - ALPHA / 2], n, 0.95)
    assert low <= hits <= high, hits


@pytest.mark.slow
def test_noise_about_a_constant_is_rarely_called_a_curve() -> None:
    """H0: at most 5 % of flat series are fitted, not refused.

    n = 150 series of 37 normal values, alpha = 1e-3 one-sided, seed 33.
    """
    n, rng = 150, np.random.default_rng(33)
    fit = law_of("emergence", n_bootstrap=20, n_grid=31, n_starts=2)
    fitted = 0
    for _ in range(n):
        try:
            fit.estimate(Series(STEPS, 7.0 + 0.1 * rng.normal(size=37)), 0)
            fitted += 1
        except FitRefusedError:
            continue
    assert fitted <= binom.ppf(1 - ALPHA, n, 0.05), fitted
