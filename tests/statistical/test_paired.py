"""Error rates and coverage of paired comparisons on simulated tables."""

import numpy as np
from scipy.stats import ttest_1samp

from observatory import fits
from observatory.analysis.stats.paired_tests import (
    cohen_between,
    cohen_paired,
    holm,
    paired_t,
    rate_difference,
    sign_flip_p,
    wilcoxon_p,
)
from tests.power import ALPHA, Rate, states

REJECTS = Rate(1000, 0.055, "above", ALPHA / 3)
OF_PAIRS, OF_ARMS = Rate(600, 0.95, "both", ALPHA / 2), Rate(600, 0.93, "below", ALPHA / 2)
OF_RATES = Rate(1000, 0.93, "below")
PLANNED = Rate(2000, 0.809, "both", ALPHA / 2)
BY_HOLM = Rate(2000, 0.809, "below", ALPHA / 2)


@states(REJECTS)
def test_no_test_rejects_more_often_than_it_says() -> None:
    """H0: symmetric differences about 0 (uniform), 10 pairs; each test at 0.05; seed 1.

    The t test is only near its level there: 5.5 % for all three.
    n = 1000, H0 rate at most 0.055, alpha = 0.00033: accepts at most 81, catches 0.089.
    """
    rng = np.random.default_rng(1)
    tables = rng.uniform(-1.0, 1.0, (REJECTS.n, 10))
    for test in (lambda d: paired_t(d)[1], wilcoxon_p, lambda d: sign_flip_p(d, 1024, rng)):
        assert REJECTS.accepts(sum(test(d) < 0.05 for d in tables))


@states(OF_PAIRS, OF_ARMS)
def test_effects_lie_in_their_intervals() -> None:
    """H0: coverage 0.95 of d on differences (exact) and within arms (at least 0.93), d = 0.8.

    Normal arms with correlation 0.5, 12 pairs; seed 2.
    n = 600, H0 rate 0.95, alpha = 0.0005: accepts 550 to 587, catches 0.906 and 0.983.
    n = 600, H0 rate at least 0.93, alpha = 0.0005: accepts at least 536, catches 0.881.
    """
    rng = np.random.default_rng(2)
    held = np.zeros(2, dtype=int)
    for _ in range(OF_PAIRS.n):
        common = rng.normal(size=12)
        one, other = (np.sqrt(0.5) * (common + rng.normal(size=12)) for _ in range(2))
        other = other + 0.8
        for index, found in enumerate(
            (cohen_paired(other - one, 0.95), cohen_between(one, other, 0.95))
        ):
            held[index] += found[1] <= 0.8 <= found[2]
    assert OF_PAIRS.accepts(held[0])
    assert OF_ARMS.accepts(held[1])


@states(OF_RATES)
def test_differences_of_rates_lie_in_their_intervals() -> None:
    """H0: coverage at least 0.93 of the paired difference 0.3, 20 pairs; seed 3.

    Outcomes share a latent normal, correlation 0.5.
    n = 1000, H0 rate at least 0.93, alpha = 0.001: accepts at least 904, catches 0.895.
    """
    rng = np.random.default_rng(3)
    cuts = (0.5244005127080407, -0.2533471031357997)  # shares 0.3 and 0.6
    held = 0
    for _ in range(OF_RATES.n):
        common = rng.normal(size=20)
        one, other = (
            (np.sqrt(0.5) * (common + rng.normal(size=20)) > cut).astype(float) for cut in cuts
        )
        _, low, high = rate_difference(one, other, 0.95)
        held += low <= 0.3 <= high
    assert OF_RATES.accepts(held)


@states(PLANNED, BY_HOLM)
def test_planned_pairs_find_their_effect_as_often_as_the_plan_says() -> None:
    """H0: 27 pairs find d = 0.8 at 0.05 / 15 with a chance of 0.809, by Holm at least as often.

    Normal differences; the other 14 tests of the family have no effect; seed 4.
    n = 2000, H0 rate 0.809, alpha = 0.0005: accepts 1556 to 1678, catches 0.770 and 0.846.
    n = 2000, H0 rate at least 0.809, alpha = 0.0005: accepts at least 1559, catches 0.771.
    """
    plan = fits.pairs(effect=0.8, n_tests=15)
    n, rng = int(plan.record["params"]["n_pairs"]["value"]), np.random.default_rng(4)
    assert round(plan.record["extras"]["power"], 3) == PLANNED.nominal
    means = np.zeros(15)
    means[0] = 0.8
    p = np.array(ttest_1samp(rng.normal(means, 1.0, (PLANNED.n, n, 15)), 0.0, axis=1)[1])
    alone = p[:, 0] < 0.05 / 15
    assert PLANNED.accepts(int(alone.sum()))
    near = p[~alone & (p[:, 0] < 0.05)]  # of the others Holm cannot change what is found
    assert BY_HOLM.accepts(int(alone.sum()) + sum(holm(family)[0] < 0.05 for family in near))
