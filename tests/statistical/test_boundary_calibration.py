"""What the intervals of the boundary cover; the generator and the estimators are in calibration.py.

Each test simulates 500 studies with a stated seed. H0: the 95 % interval covers the critical point
in 95 % of the studies that are answered; rejected outside the exact two-sided binomial band of
alpha = 1e-3.
"""

import numpy as np
import pytest

from observatory.analysis.boundary.estimators.checks import seed_excess
from observatory.analysis.boundary.estimators.ratio import penalised_profile
from observatory.analysis.boundary.estimators.window_likelihood import second_edge_p
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.solvers import chi2_quantile
from tests.statistical.calibration import (
    PUBLISHED,
    X0,
    N,
    X,
    firth,
    least_squares,
    profile,
    studies,
    with_seed_effect,
)

pytestmark = [pytest.mark.statistical, pytest.mark.slow]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_profile_intervals_of_the_right_model_cover(link: str, slope: float) -> None:
    """n = 500, alpha = 1e-3 two-sided, seed 110; no lapses, every link on its own truth."""
    n, k = studies(np.random.default_rng(110), 500, slope, 0.0, LINKS[link])
    found = profile(n, k, LINKS[link], 0.0)
    assert found.n_answered >= 200
    assert found.within()


@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_profile_intervals_with_a_lapse_cover(slope: float) -> None:
    """n = 500, alpha = 1e-3 two-sided, seed 111; 4 % lapses, fitted; separated counts refused."""
    n, k = studies(np.random.default_rng(111), 500, slope, 0.04, LINKS["logistic"])
    found = profile(n, k, LINKS["logistic"], None)
    assert found.n_answered >= 200
    assert found.within()


@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_firths_intervals_cover(slope: float) -> None:
    """n = 500, alpha = 1e-3 two-sided, seed 112."""
    n, k = studies(np.random.default_rng(112), 500, slope, 0.0, LINKS["logistic"])
    assert firth(n, k).within()


@pytest.mark.parametrize("spread", [0.0, 0.25])
def test_intervals_with_a_seed_effect_cover_where_seeds_differ(spread: float) -> None:
    """n = 500 studies of 20 seeds, slope 13.7, alpha = 1e-3 two-sided, seed 113.

    Without the effect in the model the interval is too narrow: that is measured here, not hidden.
    """
    found = with_seed_effect(np.random.default_rng(113), 500, 20, spread, 13.7)
    assert found["seed effect"].within()
    assert found["no seed effect"].within() == (spread == 0.0)


def test_a_misspecified_curve_covers_less() -> None:
    """n = 500, seed 114: 10 % lapses that the fit does not know; the docs print the figure."""
    n, k = studies(np.random.default_rng(114), 500, 13.7, 0.1, LINKS["logistic"])
    assert profile(n, k, LINKS["logistic"], 0.0).share < 0.8


def test_the_published_interval_covers_less_the_steeper_the_curve() -> None:
    """n = 300, seed 115: the docs print such figures, and every such fit measures its own."""
    rng = np.random.default_rng(115)
    gentle, middle, steep = (
        least_squares(slope, 300, rng, PUBLISHED).share for slope in (3.0, 13.7, 40.0)
    )
    assert gentle > middle > steep
    assert middle < 0.92
    assert steep < 0.6


def test_the_warning_of_differing_seeds_keeps_its_level() -> None:
    """H0: seeds are alike. The warning at p < 0.01 comes in at most 1 % of studies.

    n = 500 studies of 12 seeds, alpha = 1e-3 one-sided (binomial 99.9 % limit 13), seed 116.
    """
    rng = np.random.default_rng(116)
    warned = 0
    for _ in range(500):
        k_by = (rng.random((12, X.size)) < 1 / (1 + np.exp(-8.0 * (X - X0)))).astype(float)
        n_by = np.ones_like(k_by)
        p_value = seed_excess(RateBins(X, n_by.sum(axis=0), k_by.sum(axis=0), n_by, k_by))
        warned += p_value is not None and p_value < 0.01
    assert warned <= 13


def test_the_test_of_a_ratio_of_one_keeps_its_level() -> None:
    """H0: both groups have one boundary. p < 0.05 comes in at most 5 % of pairs.

    n = 200 pairs of studies, slope 8, alpha = 1e-3 one-sided (binomial 99.9 % limit 21), seed 117.
    """
    _, k = studies(np.random.default_rng(117), 400, 8.0, 0.0, LINKS["logistic"])
    grid = X0 + np.linspace(-0.3, 0.3, 31)
    profiles = np.array([penalised_profile(RateBins(X, N, row), grid) for row in k])
    together = (profiles[:200] + profiles[200:400]).min(axis=1)
    assert (together > chi2_quantile(0.95, 1)).sum() <= 21


@pytest.mark.parametrize("flat", [True, False])
def test_a_second_edge_is_found_at_most_at_its_level(flat: bool) -> None:
    """H0: one edge, or none. p <= 0.05 comes in at most 5 % of studies.

    n = 60 studies, alpha = 1e-3 one-sided (binomial 99.9 % limit 9), seed 118, 99 simulations
    each.
    """
    rng = np.random.default_rng(118)
    p = np.full(X.size, 0.5) if flat else 1 / (1 + np.exp(-8.0 * (X - X0)))
    link = LINKS["logistic"]
    found = sum(
        second_edge_p(RateBins(X, N, rng.binomial(20, p).astype(float)), link, 0.0, 99, rng) <= 0.05
        for _ in range(60)
    )
    assert found <= 9
