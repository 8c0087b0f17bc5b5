"""The solver of curves: its Jacobian, its batches, its refusals; against scipy where it can be."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.signal import lti, step
from scipy.special import lambertw

from observatory.analysis.curves.estimators.emergence import emergence_law
from observatory.analysis.curves.estimators.laws import (
    constant_law,
    emergence_alternatives,
    exponential_law,
    line_law,
    step_response,
)
from observatory.analysis.curves.estimators.separable import (
    Law,
    central_slopes,
    fit_separable,
    leverage,
    refit,
    residual_slopes,
    solve_linear,
)
from observatory.analysis.stats.solvers import lambert_of_log
from tests.made_curves import emergence_curve

U = np.linspace(0.0, 1.0, 37)
EMERGENCE = emergence_law((1e-4, 1e3), (1e-5, 1e2))


def noisy(seed: int, n_draws: int = 1) -> np.ndarray:
    y = emergence_curve(143_000 * U, 3000.0, 0.6, 1e-4, 1.0, 120.0)
    return y * (1 + 0.02 * np.random.default_rng(seed).normal(size=(n_draws, U.size)))


def test_the_analytic_slopes_are_those_of_differences() -> None:
    theta = np.array([[2.0, -3.0], [-6.0, 0.5]])
    assert EMERGENCE.slopes is not None
    found = EMERGENCE.slopes(U, theta)
    assert found == pytest.approx(central_slopes(EMERGENCE, U, theta), rel=1e-5, abs=1e-8)


@pytest.mark.parametrize(
    "law", [EMERGENCE, *emergence_alternatives((1e-2, 1e2), (1e-3, 1e1)).values()]
)
def test_the_jacobian_of_the_projection_is_that_of_its_residuals(law: Law) -> None:
    if not law.low:
        return
    theta = np.array([[0.4, -0.3][: len(law.low)]])
    y = noisy(3)
    residual, slopes = residual_slopes(law, U, y, theta)
    assert residual[0] == pytest.approx((y - solve_linear(law, U, y, theta).fitted)[0])
    for inner in range(len(law.low)):
        move = np.zeros_like(theta)
        move[0, inner] = 1e-5
        ends = [residual_slopes(law, U, y, theta + sign * move)[0][0] for sign in (1, -1)]
        wanted = (ends[0] - ends[1]) / 2e-5
        assert slopes[0, :, inner] == pytest.approx(wanted, rel=1e-4, abs=1e-5 * np.abs(y).max())


def test_a_batch_of_refits_finds_what_single_fits_find() -> None:
    values = noisy(5, 6)
    start = fit_separable(EMERGENCE, U, values[0], 41, 3)
    assert start is not None
    many = refit(EMERGENCE, U, values, start.theta[0], 40)
    for row, rss in zip(values, many.rss, strict=True):
        single = fit_separable(EMERGENCE, U, row, 41, 3)
        assert single is not None
        assert rss == pytest.approx(single.rss[0], rel=1e-6)


def test_no_search_of_scipy_on_all_five_numbers_is_better() -> None:
    t = 143_000 * U

    def curve(u, a, lam, gamma, t0, k):
        x = gamma * u + t0
        return a * np.exp(-lam * x) * np.log(x) + k

    for seed in range(5):
        y = noisy(seed)[0]
        v = (y - y.min()) / np.ptp(y)
        found, _ = curve_fit(
            curve, U, v, p0=(1.0, 3.37, 1.0, 1.0, 0.5), method="trf", max_nfev=5000,
            bounds=([-np.inf, 0, 1e-9, 1e-9, -np.inf], np.inf),
        )  # fmt: skip
        theirs = float(((v - curve(U, *found)) ** 2).sum())
        ours = fit_separable(EMERGENCE, (t - t[0]) / np.ptp(t), v, 41, 3)
        assert ours is not None
        assert ours.rss[0] <= theirs * (1 + 1e-6)


def test_columns_that_depend_on_each_other_are_no_fit() -> None:
    twice = Law(lambda x, theta: np.stack([x, 2 * x], axis=-1)[None], 2)
    assert fit_separable(twice, U, U, 5, 1) is None
    assert fit_separable(line_law(), np.ones(5), np.arange(5.0), 5, 1) is None


def test_leverage_is_that_of_least_squares() -> None:
    x = np.array([0.0, 1.0, 2.0, 10.0])
    design = np.stack([np.ones(4), x], axis=1)
    hat = np.diag(design @ np.linalg.inv(design.T @ design) @ design.T)
    assert leverage(line_law(), x, x, np.zeros(0)) == pytest.approx(hat)
    assert leverage(constant_law(), x, x, np.zeros(0)) == pytest.approx(np.full(4, 0.25))
    found = leverage(exponential_law(0.1, 10.0), U, noisy(1)[0], np.array([1.0]))
    assert found.sum() == pytest.approx(3.0)


@pytest.mark.parametrize("damping", [0.2, 0.999999, 1.0, 1.3, 5.0])
def test_the_second_order_response_is_that_of_scipy(damping: float) -> None:
    t = np.linspace(0.0, 12.0, 60)
    _, wanted = step(lti([4.0], [1.0, 4.0 * damping, 4.0]), T=t)
    assert step_response(t, np.array([damping]), np.array([2.0])) == pytest.approx(wanted, abs=1e-6)


def test_lambert_beyond_what_a_number_holds() -> None:
    log_z = np.array([-np.inf, -800.0, -3.0, 0.0, 3.0, 690.0])
    assert lambert_of_log(log_z) == pytest.approx(lambertw(np.exp(log_z)).real, rel=1e-12)
    w = lambert_of_log(np.array([701.0, 1e4, 1e12]))
    assert w + np.log(w) == pytest.approx([701.0, 1e4, 1e12], rel=1e-14)
    assert lambert_of_log(np.array([np.inf]))[0] == np.inf
    assert np.isnan(lambert_of_log(np.array([np.nan])))[0]
