"""The batched least squares against scipy, and the limit of infinite slope."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from observatory.analysis.boundary.estimators.logistic import curve, fit_curves, step_limit

X = np.log10([0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0])
START = np.array([np.log10(0.05), 5.0])


def test_the_curve_is_a_half_at_its_midpoint_and_exact_in_its_tails() -> None:
    assert curve(np.array([-1.0]), -1.0, 12.0)[0] == 0.5
    tails = curve(np.array([-101.0, 99.0]), -1.0, 6.0)
    assert tails[0] == pytest.approx(np.exp(-600.0), rel=1e-12)
    assert tails[1] == 1.0


@pytest.mark.parametrize("seed", [0, 1])
def test_many_at_once_equal_one_by_one(seed: int) -> None:
    """Against tightly converged curve_fit, since both then stop at the same stationary point.

    Tolerance 1e-6: the sum of squares is flat to second order, so a solver that stops at machine
    precision of it knows the parameters to about the square root of 1e-16, times a safety of 100.
    """
    rng = np.random.default_rng(seed)
    truth = curve(X, np.log10(0.12), 11.0)
    rates = np.clip(rng.binomial(30, truth, size=(40, X.size)) / 30, 0.02, 0.98)
    theta, rss = fit_curves(X, rates, np.tile(START, (40, 1)), tolerance=1e-14)
    for row, found, residual in zip(rates, theta, rss, strict=True):
        alone = curve_fit(curve, X, row, p0=START, xtol=1e-14, ftol=1e-14, gtol=1e-14)[0]
        assert np.abs(found - alone).max() < 1e-6 * (1 + np.abs(alone).max())
        assert residual == pytest.approx(np.square(row - curve(X, *alone)).sum(), rel=1e-9)


def test_fits_do_not_mix() -> None:
    rates = np.stack([curve(X, -1.0, 8.0), np.zeros(X.size), curve(X, -0.7, 20.0)])
    together, _ = fit_curves(X, rates, np.tile(START, (3, 1)), tolerance=1e-14)
    others = rates.copy()
    others[1] = np.linspace(0.1, 0.9, X.size)
    beside, _ = fit_curves(X, others, np.tile(START, (3, 1)), tolerance=1e-14)
    assert np.array_equal(together[[0, 2]], beside[[0, 2]])
    alone, _ = fit_curves(X, rates[:1], START[None], tolerance=1e-14)
    # one column is summed in another order than three
    assert together[0] == pytest.approx(alone[0], rel=1e-9)
    # noise-free curves are found: the optimum is exact, the residual rounds at 1e-16
    assert together[[0, 2]] == pytest.approx(np.array([[-1.0, 8.0], [-0.7, 20.0]]), rel=1e-6)


@pytest.mark.parametrize(
    ("rates", "place", "rss"),
    [
        ([0.0, 0.0, 0.3, 1.0], X[2], 0.0),
        ([0.0, 0.0, 1.0, 1.0], (X[1] + X[2]) / 2, 0.0),
        ([0.1, 0.5, 1.0, 0.8], X[1], 0.1**2 + 0.2**2),
    ],
)
def test_step_limit(rates, place: float, rss: float) -> None:
    found, best = step_limit(X[:4], np.array([rates]))
    assert found[0] == pytest.approx(place)
    assert best[0] == pytest.approx(rss, abs=1e-15)


def test_the_step_limit_is_the_limit_of_steep_curves() -> None:
    rates = np.array([[0.0, 0.1, 0.6, 1.0, 0.9, 1.0, 1.0, 1.0]])
    x0 = X[2] - np.log(0.6 / 0.4) / 1e5
    steep = np.square(rates - curve(X, x0, 1e5)).sum()
    assert step_limit(X, rates)[1][0] == pytest.approx(steep, rel=1e-9)
