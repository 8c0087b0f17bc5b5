"""Limits of laws of times: by hand, by brute force, and where nothing recurs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import f, t

from observatory.analysis.times.estimators.censored import TimesAft
from observatory.analysis.times.estimators.law_limits import (
    drawn_for_law,
    free_limits,
    student_parameter,
)
from observatory.analysis.times.estimators.uncensored import TimePowerLaw
from tests.made_times import Made

DECAYS = np.repeat([0.1, 0.15, 0.2, 0.3, 0.5, 1.0], 4)


def logs(seed: int) -> np.ndarray:
    """ln t of 300 / (weight decay - 0.05) with errors of 0.3."""
    return np.log(300.0 / (DECAYS - 0.05)) + np.random.default_rng(seed).normal(0.0, 0.3, 24)


@pytest.mark.parametrize(
    ("kind", "degrees", "factor"), [("seeds", 7, 8 / 7), ("replicas", 56, 64 / 56)]
)
def test_limits_are_students_with_the_degrees_of_what_is_drawn(
    kind: str, degrees: int, factor: float
) -> None:
    """8 weight decays and 8 seeds: 7 degrees where they recur, else 7 for each weight decay."""
    data, draws = Made().one(0), np.exp(np.random.default_rng(1).normal(5.0, 0.2, 300))
    data = data if kind == "seeds" else replace(data, seed=None)
    found = student_parameter(150.0, draws, data, 0.95, log=True)
    half = t.ppf(0.975, degrees) * np.log(draws).std(ddof=1) * np.sqrt(factor)
    assert found.ci_low == pytest.approx(150.0 * np.exp(-half))
    assert found.ci_high == pytest.approx(150.0 * np.exp(half))
    plain = student_parameter(150.0, draws, data, 0.95, log=False)
    half = t.ppf(0.975, degrees) * draws.std(ddof=1) * np.sqrt(factor)
    assert plain.ci_high == pytest.approx(150.0 + half)


@pytest.mark.parametrize("fit", [
    TimePowerLaw("zero", 2.0, 400, 100, 0.95),
    TimePowerLaw("free", 2.0, 400, 100, 0.95),
    TimesAft("lognormal", "zero", 2.0, 48, 100, 0, 0.95),
])  # fmt: skip
@pytest.mark.parametrize("seeds", ["one", "each its own", "few that recur"])
def test_one_replica_per_weight_decay_has_an_interval_with_a_width(fit, seeds: str) -> None:
    """Drawn within each weight decay nothing would scatter, and limits would be the estimate."""
    decays = tuple(np.geomspace(0.08, 1.0, 9))
    data = Made(cells=decays, n_seeds=1).one(3)
    seed = {"one": np.zeros(9), "each its own": np.arange(9), "few that recur": np.arange(9) // 3}
    data = replace(data, seed=seed[seeds].astype(np.int64))
    assert np.ptp(drawn_for_law(data, 50, 0), axis=0).min() > 0
    for name, at in fit.fit(data, 0).params.items():
        if name == "critical" and at.value == 0.0:
            continue
        assert (at.ci_low or 0.0) < 0.98 * at.value
        assert (at.ci_high or np.inf) > 1.02 * at.value


@pytest.mark.parametrize("seed", range(6))
def test_profile_limits_are_those_of_brute_force(seed: int) -> None:
    """Every line of a fine grid of critical point and exponent, amplitude being closed."""
    y, weights = logs(seed), np.ones(24)
    grid = np.linspace(0.0, 0.1 * (1.0 - 1e-4), 4001)
    nus = np.linspace(0.2, 2.5, 2301)
    u = np.log(DECAYS - grid[:, None])
    r = y - y.mean()
    du = u - u.mean(axis=1, keepdims=True)
    uu, ur, rr = (du**2).sum(axis=1), du @ r, float(r @ r)
    rss = rr + 2.0 * nus * ur[:, None] + nus**2 * uu[:, None]
    best = rss.min(axis=1).argmin()
    inside = rss <= rss.min() * (1.0 + f.ppf(0.95, 1, 21) / 21)
    critical, nu = free_limits(DECAYS, y, weights, float(grid[best]), 0.95, 400)
    there = grid[inside.any(axis=1)]
    assert critical[0] == pytest.approx(there[0], abs=1e-4)
    if there[-1] < grid[-1]:
        assert critical[1] == pytest.approx(there[-1], abs=1e-4)
    else:
        assert critical[1] is None
    slopes = nus[inside.any(axis=0)]
    assert nu == pytest.approx((slopes[0], slopes[-1]), abs=3e-3)
