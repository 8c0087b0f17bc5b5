"""Nominal error of the finite-size chain on simulated tables; seeded and never rerun."""

import numpy as np
import pytest
from scipy.stats import binom

from observatory.analysis.scaling.estimators.links import sharpening_link
from observatory.analysis.scaling.estimators.sample import SizedRows, in_cells
from tests.made_sizes import QUICK, chain, limited, scaled, thresholds

pytestmark = [pytest.mark.statistical, pytest.mark.slow]

ALPHA = 1e-3
LEVEL = 0.95


def crossover(kind: str, rng: np.random.Generator) -> SizedRows:
    """A smooth crossover of 5 sizes, 15 values of the control and 20 seeds."""
    if kind == "thresholds":
        return thresholds(rng)
    drift = 0.02 if kind == "drifting" else 0.0
    return scaled(rng, inverse_nu=0.0, drift=drift, n_control=15, n_seeds=20)


@pytest.mark.parametrize("kind", ["fixed", "drifting", "thresholds"])
def test_smooth_crossovers_sharpen_at_the_nominal_rate(kind: str) -> None:
    """H0: a width that does not depend on size is called sharpening in at most 5 %.

    n = 60 simulated tables per kind, 99 smooth crossovers and 40 resamples each, alpha = 1e-3
    one-sided, seed 51.
    """
    rng = np.random.default_rng(51)
    called = 0
    for _ in range(60):
        sample = in_cells(crossover(kind, rng), 5)[0]
        link = sharpening_link(sample, 0.005, (81, 40), (40, 99), 0.25, LEVEL, rng)[0]
        called += link.verdict == "sharpens"
    assert called <= binom.ppf(1.0 - ALPHA, 60, 1.0 - LEVEL)


def test_smooth_crossovers_are_not_called_transitions_above_the_nominal_rate() -> None:
    """H0: the chain calls a smooth crossover a transition in at most 5 %.

    n = 18 simulated tables, a third of each kind, few draws each, alpha = 1e-3 one-sided, seed 52.
    """
    rng = np.random.default_rng(52)
    kinds = ["fixed", "drifting", "thresholds"] * 6
    verdicts = [
        chain(**QUICK).estimate(crossover(kind, rng), seed).extras["verdict"]
        for seed, kind in enumerate(kinds)
    ]
    assert verdicts.count("transition") <= binom.ppf(1.0 - ALPHA, 18, 1.0 - LEVEL)


def test_a_width_that_tends_to_a_limit_is_not_called_a_transition() -> None:
    """H0: the chain calls a width w0 (1 + c / L) a transition in at most 5 %.

    Half to 80 % of the largest size's width stay. n = 9 simulated tables, few draws each, alpha =
    1e-3 one-sided, seed 54.
    """
    rng = np.random.default_rng(54)
    kinds = [(0.3, 0.02, 64.0, 20), (0.15, 0.01, 160.0, 10), (0.15, 0.01, 256.0, 20)] * 3
    verdicts = [
        chain(**QUICK).estimate(limited(rng, *kind), seed).extras["verdict"]
        for seed, kind in enumerate(kinds)
    ]
    assert verdicts.count("transition") <= binom.ppf(1.0 - ALPHA, 9, 1.0 - LEVEL)


def test_a_planted_transition_is_covered_and_mostly_called_one() -> None:
    """H0: the 95 % intervals of critical point, 1 / nu and zeta / nu cover them in 95 %.

    n = 16 simulated tables of 41 values of the control and 20 seeds, 60 resamples each, alpha =
    1e-3 two-sided, seed 53; and at least half are called a transition.
    """
    rng = np.random.default_rng(53)
    truth = {"critical": 0.4, "inverse_nu": 0.75, "zeta_over_nu": 0.25}
    held, called = dict.fromkeys(truth, 0), 0
    for seed in range(16):
        rows = scaled(rng, inverse_nu=0.75, zeta_over_nu=0.25, n_control=41, n_seeds=20)
        found = chain(**QUICK).estimate(rows, seed)
        called += found.extras["verdict"] == "transition"
        for name, value in truth.items():
            low, high = found.params[name].ci_low, found.params[name].ci_high
            held[name] += low is not None and high is not None and low <= value <= high
    for name, count in held.items():
        assert count >= binom.ppf(ALPHA / 2, 16, LEVEL), name
    assert called >= 8
