"""Firth's estimator: its closed form, its twin by brute force, and what it says of separation."""

import numpy as np
import pytest
from scipy.optimize import minimize

from observatory.analysis.boundary.estimators.firth import BoundaryFirth
from observatory.analysis.boundary.estimators.likelihood import (
    firth_likelihood,
    firth_points,
    penalised,
    rates,
)
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.core.errors import FitRefusedError

DECAYS = [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0]
FIT = BoundaryFirth(edge="lower", window_max=1.0, n_simulations=200, level=0.95)


def counts(k, n=8, decays=DECAYS) -> Observations:
    return from_counts(decays, [n] * len(k), k, "first99", 2500)


def points(k, n) -> np.ndarray:
    n, k = np.asarray(n, dtype=float)[None], np.asarray(k, dtype=float)[None]
    return firth_points(np.log10(DECAYS)[: n.shape[1]], n, k)[0]


@pytest.mark.parametrize("k", [[0, 5], [3, 10], [0, 10]])
def test_two_bins_get_half_a_replica_on_each_side(k) -> None:
    """Saturated: the fitted rates are (k + 1/2) / (n + 1)."""
    theta = np.append(points(k, [10, 10]), [0.0, 0.0])[None]
    p = rates(np.log10(DECAYS)[:2], theta, LINKS["logistic"])[0][0]
    # the climb stops where 1e-10 of log-likelihood is left: 1e-5 of a standard error
    assert p == pytest.approx((np.array(k) + 0.5) / 11.0, abs=1e-5)


def test_its_closed_form_is_that_of_jeffreys_prior() -> None:
    """Height, slopes and metric, against the prior by its definition, its slopes by differences."""
    rng, x, free = np.random.default_rng(0), np.log10(DECAYS), np.array([True, True, False, False])
    n = np.full((60, x.size), 8.0)
    n[0, 2], k = 0.0, rng.binomial(8, 0.5, n.shape).astype(float)
    k[0, 2] = 0.0
    theta = np.zeros((60, 4))
    theta[:, 0], theta[:, 1] = rng.uniform(-3.0, 1.5, 60), rng.uniform(-1.0, 4.0, 60)
    every = np.arange(60)
    closed = firth_likelihood(x, n, k)(theta, every)
    defined = penalised(x, n, k, LINKS["logistic"], free)(theta, every)
    assert closed[0] == pytest.approx(defined[0], rel=1e-9)
    assert closed[1][:, :2] == pytest.approx(defined[1][:, :2], rel=1e-6, abs=1e-6)
    assert closed[2][:, :2, :2] == pytest.approx(defined[2][:, :2, :2], rel=1e-12, abs=1e-200)


@pytest.mark.parametrize(
    "k", [[0, 0, 1, 5, 7, 8, 8, 8], [0, 0, 0, 3, 8, 8, 8, 8], [0] * 4 + [8] * 4]
)
def test_it_maximises_the_penalised_likelihood(k) -> None:
    """Against Nelder and Mead on the textbook form in intercept and slope."""
    x, k, n = np.log10(DECAYS), np.array(k, dtype=float), np.full(8, 8.0)
    design = np.stack([np.ones(8), x], axis=1)

    def loss(beta):
        p = 1 / (1 + np.exp(-design @ beta))
        p = np.clip(p, 1e-300, 1 - 1e-16)
        information = (design * (n * p * (1 - p))[:, None]).T @ design
        return -(k * np.log(p) + (n - k) * np.log1p(-p)).sum() - 0.5 * np.log(
            np.linalg.det(information)
        )

    plain = minimize(
        loss, [8.0, 9.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13}
    )
    x0, log_slope = points(k, n)
    assert np.exp(log_slope) == pytest.approx(plain.x[1], rel=1e-4)
    assert x0 == pytest.approx(-plain.x[0] / plain.x[1], abs=1e-5)


def test_separated_counts_are_answered_and_said() -> None:
    found = FIT.fit(counts([0, 0, 0, 8, 8, 8, 8, 8]), seed=0)
    critical = found.params["critical"]
    assert 0.1 < critical.value < 0.15
    assert critical.ci_low is not None
    assert critical.ci_high is not None
    assert 0.06 < critical.ci_low < 0.115
    assert 0.13 < critical.ci_high < 0.25
    assert any("separated" in warning for warning in found.warnings)
    assert found.extras["separated"] is True


def test_overlapping_counts_are_not_called_separated() -> None:
    found = FIT.fit(counts([0, 1, 2, 5, 6, 8, 8, 8]), seed=0)
    assert found.extras["separated"] is False
    assert not any("separated" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        ([0] * 8, "No replica had the event"),
        ([8] * 8, "Every replica had the event"),
        ([4, 4, 3, 4, 5, 4, 4, 5], "than a constant rate"),
        ([8, 8, 8, 8, 0, 0, 0, 0], "falls with"),
    ],
)
def test_refuses_what_has_no_boundary(k, reason: str) -> None:
    with pytest.raises(FitRefusedError, match=reason):
        FIT.fit(counts(k), seed=0)


def test_many_tables_at_once_equal_one_by_one_and_empty_bins_do_not_count() -> None:
    k = np.array([[0, 0, 1, 5, 7, 8, 8, 8], [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 0, 3, 0, 8, 8, 8]])
    n = np.array([[8] * 8, [8] * 8, [8, 8, 8, 8, 0, 8, 8, 8]])
    together = firth_points(np.log10(DECAYS), n.astype(float), k.astype(float))
    assert np.isnan(together[1]).all()
    assert together[0] == pytest.approx(points(k[0], n[0]), rel=1e-6)
    without = bin_rates(counts([0, 0, 0, 3, 8, 8, 8], decays=[d for d in DECAYS if d != 0.2]))
    alone = firth_points(without.x, without.n[None], without.k[None])[0]
    assert together[2] == pytest.approx(alone, rel=1e-4)
