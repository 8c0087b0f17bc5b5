"""Coverage, bias, size and power of the fits of times; every test is seeded and never rerun."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_table import (
    parametric_p,
    sample_of,
    table_of,
    zero_ratio,
)
from tests.made_times import Made
from tests.statistical.time_studies import (
    SEEDS_APART,
    covered,
    exponents,
    rejected,
    verdicts,
)

pytestmark = [pytest.mark.statistical, pytest.mark.slow]

N = 500
ALPHA = 1e-3
LARGE = Made(n_seeds=16)
"""Enough seeds for the asymptotic coverage; at 8 it is 1 to 3 % short, see the document."""


def band(share: float) -> tuple[float, float]:
    """The exact two-sided 99.9 % binomial band of N simulations, as shares."""
    low, high = (binom.ppf(tail, N, share) for tail in (ALPHA / 2, 1 - ALPHA / 2))
    return low / N, high / N


def most(share: float) -> float:
    """The one-sided 99.9 % binomial limit of N simulations, as a share."""
    return binom.ppf(1 - ALPHA, N, share) / N


@pytest.mark.parametrize("name", sorted(ERRORS))
@pytest.mark.parametrize("free", [False, True], ids=["zero", "free"])
def test_coverage_of_the_exponent(name: str, free: bool) -> None:
    """H0: the 95 % profile interval of nu holds it in 95 % of studies.

    Generator: `LARGE` with these errors, critical point 0 or (where it is fitted) 0.05; n = 500,
    alpha = 1e-3 two-sided, seed 31.
    """
    made = replace(LARGE, distribution=name, critical=0.05 if free else 0.0)
    low, high = band(0.95)
    assert low <= covered(made, N, 31, free) <= high


@pytest.mark.parametrize("free", [False, True], ids=["zero", "free"])
def test_a_seed_effect_does_not_narrow_the_exponent(free: bool) -> None:
    """H0: with half of the variance of ln t shared by a seed, coverage of nu is at least 95 %.

    The exponent compares weight decays, within seeds: what they share cancels. Generator: `LARGE`
    with `SEEDS_APART`; n = 500, alpha = 1e-3 one-sided, seed 32.
    """
    made = replace(LARGE, critical=0.05 if free else 0.0, **SEEDS_APART)
    assert covered(made, N, 32, free) >= binom.ppf(ALPHA, N, 0.95) / N


def test_survivors_have_too_small_an_exponent() -> None:
    """H0: the censored estimate is unbiased to 0.02; survivors' least squares is short by 0.1.

    Generator: `Made` with 8 seeds at a horizon of 1500 steps, nu = 1; n = 500, seed 33. The
    standard error of either mean is about 0.004: alpha < 1e-3 for both.
    """
    censored, survivors = exponents(replace(Made(), horizon=1500.0), N, 33)
    assert np.nanmean(censored) == pytest.approx(1.0, abs=0.02)
    assert np.nanmean(survivors) < 0.9


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_size_of_the_test_of_no_threshold(name: str) -> None:
    """H0: with critical point 0 half a chi-square rejects it at 5 % in at most 8 %, as measured.

    Generator: `LARGE` with these errors; n = 500, alpha = 1e-3 one-sided, seed 34.
    """
    assert rejected(replace(LARGE, distribution=name), N, 34, name).mean() <= most(0.08)


def test_the_simulated_test_of_no_threshold_keeps_its_level() -> None:
    """H0: with critical point 0 the p-value from 99 simulated tables is below 5 % in at most 5 %.

    Generator: `Made` with log-logistic errors, where half a chi-square is most liberal, 8 seeds;
    n = 200, alpha = 1e-3 one-sided, seed 37.
    """
    made, errors = Made(distribution="loglogistic"), ERRORS["loglogistic"]
    below = 0
    for seed, times in enumerate(made.times(200, np.random.default_rng(37))):
        data = made.table(times)
        sample = sample_of(data)
        zero, free = (table_of(sample, errors, critical, 8) for critical in (0.0, None))
        below += parametric_p(zero, zero_ratio(zero, free), data, 99, seed) <= 0.05
    assert below <= binom.ppf(1 - ALPHA, 200, 0.05)


@pytest.mark.parametrize("effect", [False, True], ids=["independent", "seed effect"])
def test_no_threshold_is_found_where_there_is_none(effect: bool) -> None:
    """H0: on t = 300 / weight_decay the verdict "threshold" comes in at most 5 %.

    Generator: `Made` with 8 seeds, with and without a seed effect; n = 500, alpha = 1e-3
    one-sided, seed 35.
    """
    made = Made(**SEEDS_APART) if effect else Made()
    assert verdicts(made, N, 35, rivals=False).threshold <= most(0.05)


def test_a_threshold_is_not_called_an_artefact_and_is_found() -> None:
    """H0: with a threshold at half of the boundary "horizon artefact" comes in at most 5 %.

    Generator: `Made(critical=0.05)`, 8 seeds; n = 500, alpha = 1e-3 one-sided, seed 36. The power
    of "threshold", about a half, must not fall below 0.4; at 0.8 of the boundary, not below 0.8.
    """
    half = verdicts(Made(critical=0.05), N, 36, rivals=False)
    assert half.artefact <= most(0.05)
    assert half.threshold > 0.4
    assert verdicts(Made(critical=0.2), N, 36, rivals=False).threshold > 0.8
