"""Bootstrap refits of the published estimator: all at once, and one `curve_fit` after another."""

import statistics
import warnings

import numpy as np
import pytest
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.special import expit

from observatory.analysis.boundary.estimators.least_squares import PUBLISHED_START, refit_boundary
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import from_counts
from observatory.analysis.stats.resample import resampled_counts
from tests.benchmarks.timing import cpu_ms

pytestmark = pytest.mark.benchmark

N_DRAWS, ROUNDS = 1500, 7
DECAYS = [0.001, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.3, 0.5, 0.7, 1.0, 2.0]
N = [10, 30, 10, 10, 10, 10, 30, 10, 10, 10, 10, 30, 10]
GROKKED = [0, 2, 8, 10, 10, 10, 29, 10, 10, 10, 8, 25, 10]


def test_cost_of_a_bootstrap() -> None:
    """The counts of arXiv:2605.20441, the same resamples for both."""
    bins = bin_rates(from_counts(DECAYS, N, GROKKED, "verma", 200_000))
    n, k = resampled_counts(bins, N_DRAWS, np.random.default_rng(0))

    def loop() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            for row in k / n:
                curve_fit(lambda x, x0, s: expit(s * (x - x0)), bins.x, row, p0=PUBLISHED_START)

    def at_once() -> None:
        refit_boundary(bins, n, k, 0.0, np.array(PUBLISHED_START), np.array([-1.8, 13.7]))

    rounds = [(cpu_ms(loop), cpu_ms(at_once)) for _ in range(ROUNDS)]
    ratios = [slow / fast for slow, fast in rounds]
    print(
        f"\n{N_DRAWS} refits: loop {statistics.median(s for s, _ in rounds):.0f} ms, at once "
        f"{statistics.median(f for _, f in rounds):.1f} ms, ratio {statistics.median(ratios):.1f} "
        f"({min(ratios):.1f} to {max(ratios):.1f})"
    )
