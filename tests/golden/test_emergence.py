"""Numbers of emergence curves, relaxation and sparsity that are known without training anything.

| quantity | value | tolerance | source |
|---|---|---|---|
| W, t_peak, height, f of four sets | below | 1e-6 relative: printed digits | closed form |
| all five parameters, no noise | the set | 1e-4 relative | least squares has one zero |
| R2, t_peak, height at 2 % noise | below | measured on 60 draws, with room | simulation |
| bound on lambda_c | .0019 .0032 .0062 .0081 .0124 | half a printed digit | arXiv:2605.20441 |
| sparsity in percent | below | half a printed digit | arXiv:2411.02335, table of parameters |
| SEM, interval from CV, n = 10 | 2.20, 4.97 | half a printed digit | arXiv:2508.03616, table 2 |
"""

import math

import numpy as np
import pytest
from scipy.special import lambertw

from observatory.analysis.curves.estimators.emergence import (
    PARAMETERS,
    emergence_law,
    in_steps,
)
from observatory.analysis.curves.estimators.laws import sparsity_laws
from observatory.analysis.curves.estimators.relaxation import relaxation_bound
from observatory.analysis.curves.estimators.separable import Law, Solution, evaluate
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.stats.solvers import student_quantile
from tests.made_curves import emergence_curve, law_of

SETS = {
    "E": (3000.0, 0.6, 1e-4, 1.0, 120.0),
    "L": (800.0, 1e-3, 3e-4, 1.0, 20.0),
    "P": (500.0, 0.01, 5e-4, 2.0, 50.0),
    "D": (300.0, 1.5, 1e-4, 2.0, 10.0),
}
KNOWN = {  # W, x*, t_peak, height, f(0), f(1e3), f(1e4), f(5e4), f(143e3)
    "E": (0.7709532137, 2.161825954, 11618.26, 752.1611876, 120, 267.78358, 746.31576, 266.87262,
          120.84357),
    "L": (5.249602852, 190.4906005, 631635.34, 3491.262202, 20, 229.61873, 1124.6082, 2202.8642,
          2915.5838),
    "P": (3.38563014, 29.53659905, 55073.198, 1309.893098, 389.71097, 496.83372, 957.1773,
          1307.9871, 1080.2859),
    "D": (0.4325627555, 1.541202191, -4587.9781, None, 20.35293, 19.538078, 13.661344, 10.016075,
          10),
}  # fmt: skip
CLASS = {"E": "early peak", "L": "log increase", "P": "early peak", "D": "decay only"}
STEPS = np.linspace(0.0, 143_000.0, 37)
LAW = emergence_law((1e-4, 1e3), (1e-5, 1e2))


@pytest.mark.parametrize("name", SETS)
def test_the_curve_and_its_peak(name: str) -> None:
    w, x, step, height, *values = KNOWN[name]
    assert lambertw(1.0 / SETS[name][1]).real == pytest.approx(w, rel=1e-6)
    found = in_steps(linear_form(*SETS[name]), 0.0, STEPS[-1])
    assert {n: v[0] for n, v in found.params.items()} == pytest.approx(
        dict(zip(PARAMETERS, SETS[name], strict=True)), rel=1e-6
    )
    assert SETS[name][2] * found.t_peak[0] + SETS[name][3] == pytest.approx(x, rel=1e-6)
    assert found.t_peak[0] == pytest.approx(step, rel=1e-6)
    if height is not None:
        assert found.height[0] == pytest.approx(height, rel=1e-6)
    at = np.array([0.0, 1e3, 1e4, 5e4, 143e3])
    assert emergence_curve(at, *SETS[name]) == pytest.approx(values, rel=1e-6)
    fitted = evaluate(LAW, at / STEPS[-1], linear_form(*SETS[name]))[0]
    assert fitted == pytest.approx(values, rel=1e-6)


def linear_form(a: float, decay: float, gamma: float, t0: float, k: float) -> Solution:
    """The curve by the columns of our law on u from 0 to 1, worked out by hand."""
    span = STEPS[-1]
    b, s, one = decay * gamma * span, t0 / gamma / span, a * math.exp(-decay * t0)
    two = -b * one * math.log(gamma * span)
    none = np.full((1, 1), np.nan)
    return Solution(np.log([[b, s]]), np.array([[one, two, k - two / b]]), none, none[0])


def test_the_linear_form_of_set_e() -> None:
    found = linear_form(*SETS["E"])
    (b, s), one = np.exp(found.theta[0]), found.coefficients[0, 0]
    form = (b / STEPS[-1], s * STEPS[-1], one, one * math.log(SETS["E"][2]))
    assert form == pytest.approx((6e-5, 10_000, 1646.4349, -15164.226), rel=1e-6)


def test_one_search_starts_where_the_published_fits_do() -> None:
    assert np.exp(LAW.beside) == pytest.approx((3.371709, 1.0), abs=5e-7)


@pytest.mark.parametrize("name", SETS)
def test_without_noise_every_parameter_comes_back(name: str) -> None:
    fit = law_of("emergence", n_bootstrap=20)
    found = fit.estimate(Series(STEPS, emergence_curve(STEPS, *SETS[name])), 0)
    truth = dict(zip(PARAMETERS, SETS[name], strict=True))
    for parameter, value in truth.items():
        assert found.extras[f"optimum_{parameter}"] == pytest.approx(value, rel=1e-4)
    assert found.extras["r2"] > 1.0 - 1e-7
    assert found.extras["class"] == CLASS[name]


@pytest.mark.parametrize(
    ("share", "bound"),
    [(0.5, 0.0019), (0.7, 0.0032), (0.9, 0.0062), (0.95, 0.0081), (0.99, 0.0124)],
)
def test_the_relaxation_bound(share: float, bound: float) -> None:
    """Kappa 18.6 and the horizon are per epoch: per step the bound would be ten times as high."""
    found = relaxation_bound(share, lr=1e-3, kappa=18.6, horizon_epochs=20_000)
    assert abs(found - bound) <= 0.5e-4


AT = np.array([10.0, 50.0, 100.0, 200.0, 300.0, 800.0])
RELU = {
    (3.20, 0.101, -0.0151, 0.0614): (7.8771, 6.9917, 6.7435, 6.5571, 6.4719, 6.3235),
    (9.03e-4, 1.33, -3.89, 0.0782): (9.8254, 9.5550, 9.1731, 8.5443, 8.1650, 7.8229),
    (1.56e-4, 1.53, -3.46, 0.0648): (9.6064, 9.4340, 9.1076, 8.3537, 7.6812, 6.5221),
}
SILU = {
    (0.102, 0.479, 0.409): (37.5147, 39.3340, 39.7764, 40.0939, 40.2362, 40.4850),
    (0.538, 0.967, 0.382): (32.3953, 36.9757, 37.5737, 37.8796, 37.9835, 38.1162),
}


def test_the_sparsity_laws() -> None:
    laws, most = sparsity_laws((0.02, 200.0), (0.05, 4.0)), AT.max()
    for (c, alpha, b, limit), percent in RELU.items():
        theta, coefficients = np.log([[c * most**alpha, alpha]]), np.array([[limit, math.exp(b)]])
        assert_percent(laws["relu"], theta, coefficients, percent)
    for (c, alpha, limit), percent in SILU.items():
        coefficients = np.array([[limit, c * most**-alpha]])
        assert_percent(laws["silu"], np.log([[alpha]]), coefficients, percent)


def assert_percent(law: Law, theta: np.ndarray, coefficients: np.ndarray, percent: tuple) -> None:
    none = np.full((1, 1), np.nan)
    found = evaluate(law, AT / AT.max(), Solution(theta, coefficients, none, none[0]))[0]
    assert np.abs(100 * found - percent).max() <= 0.5e-4


def test_what_ten_sequences_are_worth() -> None:
    factor = student_quantile(0.975, 9)
    sem = 6.95 / math.sqrt(10)
    assert factor == pytest.approx(2.262157, abs=5e-7)
    assert (round(sem, 2), round(factor * sem, 2)) == (2.20, 4.97)
