"""What the slopes of a clock cover, and how often its verdict is wrong; more is in docs/clock.md.

Every test is seeded and never rerun.
"""

from collections import Counter

import numpy as np
import pytest

from observatory.analysis.clock.estimators.boundary import boundary_plane
from observatory.analysis.clock.estimators.verdict import holds
from tests.power import Rate, states
from tests.statistical.clock_studies import ALL, fit, outcomes, truths

pytestmark = pytest.mark.slow

COVERED = Rate(200, 0.95, "both")
FALSE, FOUND = Rate(24, 0.05, "above"), Rate(24, 0.8, "below")


@states(COVERED)
@pytest.mark.parametrize("label", ["clock", "lr exponent 0.8, decay exponent 1"])
def test_coverage_of_the_slopes(label: str) -> None:
    """H0: the 95 % intervals of b and of c hold what is planted in 95 % of studies.

    Generators of `clock_studies`, 480 replicas each; seed 1000 and the 199 that follow.
    n = 200, H0 rate 0.95, alpha = 0.001: accepts 179 to 198, catches 0.872 and 0.996.
    """
    made, clock = ALL[label], fit()
    steps = made.horizon * np.array(clock.horizon_fractions)
    inside = np.zeros(2, dtype=int)
    for seed in range(1000, 1200):
        plane = boundary_plane(made.rows(seed), steps, clock.level)
        slopes = plane.params["lr_slope"], plane.params["horizon_slope"]
        pairs = zip(slopes, truths(made), strict=True)
        inside += [truth is not None and holds(slope, truth) for slope, truth in pairs]
    assert all(COVERED.accepts(int(count)) for count in inside)


@states(FALSE, FOUND)
@pytest.mark.parametrize(
    ("label", "planted"),
    [
        ("clock, wide scatter that widens, curved", "clock"),
        ("threshold, sharp", "threshold"),
        ("both, critical half of the smallest boundary", "both"),
    ],
)
def test_verdicts_on_what_is_planted(label: str, planted: str) -> None:
    """H0: what is planted is found in at least 80 %, another answer given in at most 5 %.

    Generators of `clock_studies`, 480 replicas each; seed 1000 and the 23 that follow.
    n = 24, H0 rate at most 0.05, alpha = 0.001: accepts at most 5, catches 0.309.
    n = 24, H0 rate at least 0.8, alpha = 0.001: accepts at least 13, catches 0.436.
    """
    counted = Counter(one.verdict for one in outcomes(ALL[label], 24, 1000))
    assert FOUND.accepts(counted[planted])
    assert FALSE.accepts(24 - counted[planted] - counted["cannot tell"])
