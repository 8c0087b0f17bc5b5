"""What the intervals of the boundary cover; the generator and the estimators are in calibration.py.

Studies are made up with a stated seed. H0: the 95 % interval covers the critical point in 95 % of
the studies that are answered.
"""

from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.boundary.estimators.checks import seed_excess
from observatory.analysis.boundary.estimators.ratio import penalised_profile
from observatory.analysis.stats.bins import RateBins
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.solvers import chi2_quantile
from tests.power import Rate, states
from tests.statistical import calibration
from tests.statistical.calibration import (
    PUBLISHED,
    X0,
    Covered,
    N,
    X,
    firth,
    least_squares,
    profile,
    seed_limits,
    studies,
)
from tests.statistical.stored import Calibration

pytestmark = pytest.mark.slow

ALIKE, APART, EDGE_NONE, EDGE_ONE = calibration.STORED
COVERS = Rate(480, 0.95, "both")
UNKNOWN_LAPSES = Rate(500, 0.25, "above")
GENTLE, MIDDLE, STEEP = Rate(300, 0.95, "both"), Rate(300, 0.86, "above"), Rate(300, 0.2, "above")
WARNED = Rate(500, 0.01, "above")
UNLIKE_ONE = Rate(200, 0.05, "above")


def covers(found: Covered) -> bool:
    """Whether the count is that of 95 %, of at least as many answered studies as are stated."""
    assert found.n_answered >= COVERS.n
    return replace(COVERS, n=found.n_answered).accepts(found.n_covered)


@states(COVERS)
@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_profile_intervals_of_the_right_model_cover(link: str, slope: float) -> None:
    """No lapses, every link on its own truth; 500 studies, seed 110, of which are answered at least

    n = 480, H0 rate 0.95, alpha = 0.001: accepts 439 to 470, catches 0.902 and 0.985.
    """
    n, k = studies(np.random.default_rng(110), 500, slope, 0.0, LINKS[link])
    assert covers(profile(n, k, LINKS[link], 0.0))


@states(COVERS)
@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_profile_intervals_with_a_lapse_cover(slope: float) -> None:
    """4 % lapses, fitted; separated counts are refused; 500 studies, seed 111, answered at least

    n = 480, H0 rate 0.95, alpha = 0.001: accepts 439 to 470, catches 0.902 and 0.985.
    """
    n, k = studies(np.random.default_rng(111), 500, slope, 0.04, LINKS["logistic"])
    assert covers(profile(n, k, LINKS["logistic"], None))


@states(COVERS)
@pytest.mark.parametrize("slope", [3.0, 8.0, 13.7])
def test_firths_intervals_cover(slope: float) -> None:
    """500 studies, seed 112, none refused, so that there are more than

    n = 480, H0 rate 0.95, alpha = 0.001: accepts 439 to 470, catches 0.902 and 0.985.
    """
    n, k = studies(np.random.default_rng(112), 500, slope, 0.0, LINKS["logistic"])
    assert covers(firth(n, k))


@pytest.mark.statistical
@pytest.mark.parametrize("stored", calibration.STORED, ids=lambda each: each.name)
def test_stored_studies_are_what_they_are_now(stored: Calibration) -> None:
    """No rate: a part of the stored studies, drawn by a digest of the code, is fitted again."""
    assert stored.stale(10) == []


@states(COVERS)
@pytest.mark.parametrize("stored", [ALIKE, APART], ids=["alike", "apart"])
def test_intervals_with_a_seed_effect_cover_where_seeds_differ(stored: Calibration) -> None:
    """500 studies of 20 seeds, slope 13.7, seeds [113, spread, study], stored; answered at least

    n = 480, H0 rate 0.95, alpha = 0.001: accepts 439 to 470, catches 0.902 and 0.985.

    Without the effect in the model the interval is too narrow where seeds differ: that is measured
    here, not hidden.
    """
    rows = [row for row in stored.outcomes() if row]
    found = {
        name: Covered(len(rows), sum(float(row[name]) <= limit for row in rows), 500 - len(rows))
        for name, limit in seed_limits(20).items()
    }
    assert covers(found["seed effect"])
    assert covers(found["no seed effect"]) == (stored is ALIKE)


@states(UNKNOWN_LAPSES)
def test_a_misspecified_curve_covers_less() -> None:
    """H0: with 10 % lapses that the fit does not know it covers in at most a quarter; seed 114.

    The docs print the figure.
    n = 500, H0 rate at most 0.25, alpha = 0.001: accepts at most 156, catches 0.331.
    """
    n, k = studies(np.random.default_rng(114), 500, 13.7, 0.1, LINKS["logistic"])
    assert UNKNOWN_LAPSES.accepts(profile(n, k, LINKS["logistic"], 0.0).n_covered)


@states(GENTLE, MIDDLE, STEEP)
def test_the_published_interval_covers_less_the_steeper_the_curve() -> None:
    """The docs print such figures, and every such fit measures its own; slopes 3, 13.7 and 40.

    Seed 115.
    n = 300, H0 rate 0.95, alpha = 0.001: accepts 271 to 296, catches 0.886 and 0.992.
    n = 300, H0 rate at most 0.86, alpha = 0.001: accepts at most 275, catches 0.931.
    n = 300, H0 rate at most 0.2, alpha = 0.001: accepts at most 82, catches 0.297.
    """
    rng = np.random.default_rng(115)
    gentle, middle, steep = (
        least_squares(slope, 300, rng, PUBLISHED).n_covered for slope in (3.0, 13.7, 40.0)
    )
    assert gentle > middle > steep
    assert GENTLE.accepts(gentle)
    assert MIDDLE.accepts(middle)
    assert STEEP.accepts(steep)


@states(WARNED)
def test_the_warning_of_differing_seeds_keeps_its_level() -> None:
    """H0: seeds are alike. The warning at p < 0.01 comes in at most 1 % of studies.

    Studies of 12 seeds, seed 116.
    n = 500, H0 rate at most 0.01, alpha = 0.001: accepts at most 13, catches 0.034.
    """
    rng = np.random.default_rng(116)
    warned = 0
    for _ in range(WARNED.n):
        k_by = (rng.random((12, X.size)) < 1 / (1 + np.exp(-8.0 * (X - X0)))).astype(float)
        n_by = np.ones_like(k_by)
        p_value = seed_excess(RateBins(X, n_by.sum(axis=0), k_by.sum(axis=0), n_by, k_by))
        warned += p_value is not None and p_value < 0.01
    assert WARNED.accepts(warned)


@states(UNLIKE_ONE)
def test_the_test_of_a_ratio_of_one_keeps_its_level() -> None:
    """H0: both groups have one boundary. p < 0.05 comes in at most 5 % of pairs.

    Pairs of studies, slope 8, seed 117.
    n = 200, H0 rate at most 0.05, alpha = 0.001: accepts at most 21, catches 0.128.
    """
    n = UNLIKE_ONE.n
    _, k = studies(np.random.default_rng(117), 2 * n, 8.0, 0.0, LINKS["logistic"])
    grid = X0 + np.linspace(-0.3, 0.3, 31)
    profiles = np.array([penalised_profile(RateBins(X, N, row), grid) for row in k])
    together = (profiles[:n] + profiles[n:]).min(axis=1)
    assert UNLIKE_ONE.accepts(int((together > chi2_quantile(0.95, 1)).sum()))


@states(UNLIKE_ONE)
@pytest.mark.parametrize("stored", [EDGE_NONE, EDGE_ONE], ids=["no edge", "one edge"])
def test_a_second_edge_is_found_at_most_at_its_level(stored: Calibration) -> None:
    """H0: one edge, or none. p <= 0.05 comes in at most 5 % of studies.

    99 simulations each, seeds [118, whether there is none, study], stored.
    n = 200, H0 rate at most 0.05, alpha = 0.001: accepts at most 21, catches 0.128.
    """
    assert UNLIKE_ONE.accepts(sum(float(row["p"]) <= 0.05 for row in stored.outcomes()))
