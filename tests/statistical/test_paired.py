"""Error rates and coverage of paired comparisons on simulated tables."""

import numpy as np
import pytest
from scipy.stats import binom

from observatory.analysis.stats.paired_tests import (
    cohen_between,
    cohen_paired,
    paired_t,
    rate_difference,
    sign_flip_p,
    wilcoxon_p,
)

pytestmark = pytest.mark.statistical
ALPHA = 1e-3


def test_no_test_rejects_more_often_than_it_says() -> None:
    """H0: symmetric differences about 0 (uniform), 10 pairs; 1,000 tables, each test at 0.05.

    The t test is only near its level there: rejections are at most Binomial(1000, 0.055) for all
    three; alpha = 1e-3 / 3 each, seed 1.
    """
    rng = np.random.default_rng(1)
    tables = rng.uniform(-1.0, 1.0, (1000, 10))
    limit = binom.isf(ALPHA / 3, 1000, 0.055)
    for test in (lambda d: paired_t(d)[1], wilcoxon_p, lambda d: sign_flip_p(d, 1024, rng)):
        assert sum(test(d) < 0.05 for d in tables) <= limit


def test_effects_lie_in_their_intervals() -> None:
    """H0: coverage 0.95 of d on differences (exact) and within arms (at least 0.93), d = 0.8.

    Normal arms with correlation 0.5, 12 pairs, 600 tables; alpha = 1e-3 / 2 each, seed 2.
    """
    rng = np.random.default_rng(2)
    held = np.zeros(2, dtype=int)
    for _ in range(600):
        common = rng.normal(size=12)
        one, other = (np.sqrt(0.5) * (common + rng.normal(size=12)) for _ in range(2))
        other = other + 0.8
        for index, found in enumerate(
            (cohen_paired(other - one, 0.95), cohen_between(one, other, 0.95))
        ):
            held[index] += found[1] <= 0.8 <= found[2]
    assert binom.ppf(ALPHA / 4, 600, 0.95) <= held[0] <= binom.isf(ALPHA / 4, 600, 0.95)
    assert held[1] >= binom.ppf(ALPHA / 2, 600, 0.93)


def test_differences_of_rates_lie_in_their_intervals() -> None:
    """H0: coverage at least 0.93 of the paired difference 0.3, 20 pairs; 1,000 tables.

    Outcomes share a latent normal, correlation 0.5; alpha = 1e-3, seed 3.
    """
    rng = np.random.default_rng(3)
    cuts = (0.5244005127080407, -0.2533471031357997)  # shares 0.3 and 0.6
    held = 0
    for _ in range(1000):
        common = rng.normal(size=20)
        one, other = (
            (np.sqrt(0.5) * (common + rng.normal(size=20)) > cut).astype(float) for cut in cuts
        )
        _, low, high = rate_difference(one, other, 0.95)
        held += low <= 0.3 <= high
    assert held >= binom.ppf(ALPHA, 1000, 0.93)
