"""Critical points and exponents that are known: planted ones, and an exactly solved model.

quantity                          value            tolerance          why; source
planted law, little noise         .4, .75, .25     .002, .03, .01     lines between controls; itself
planted law, usual noise          the same         95 % intervals     seeds; itself
Curie-Weiss: T_c, 1/nu, zeta/nu   1, 1/2, -1/4     .03, .1, .08       corrections ~ N^-1/2, [1]
Curie-Weiss: U4 at T_c, N = 2000  0.27052          .01                corrections ~ N^-1/2, [1]

[1] Brézin & Zinn-Justin (1985), Nucl. Phys. B 257, 867; exponents in N, above four dimensions;
U4 = 1 - Gamma(1/4)^4 / (24 pi^2).
"""

import math

import numpy as np
import pytest
from scipy.special import gammaln

from observatory.analysis.scaling.estimators.binder import cumulant
from observatory.analysis.scaling.estimators.sample import Moments
from tests.made_sizes import QUICK, chain, curie_weiss, scaled

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")


@pytest.mark.slow
def test_a_planted_transition_without_much_noise() -> None:
    rows = scaled(
        np.random.default_rng(0), inverse_nu=0.75, zeta_over_nu=0.25, noise=0.01, n_control=61
    )
    found = chain(**{**QUICK, "n_null": 19, "n_bootstrap": 20}).whole(rows, 0)
    assert found.params["critical"].value == pytest.approx(0.4, abs=0.002)
    assert found.params["inverse_nu"].value == pytest.approx(0.75, abs=0.03)
    assert found.params["zeta_over_nu"].value == pytest.approx(0.25, abs=0.01)


@pytest.mark.slow
def test_a_planted_transition_lies_in_its_intervals_and_is_called_one() -> None:
    rows = scaled(np.random.default_rng(3), inverse_nu=0.75, zeta_over_nu=0.25, n_control=41)
    found = chain().estimate(rows, 0)
    truth = {"critical": 0.4, "inverse_nu": 0.75, "zeta_over_nu": 0.25, "nu": 4 / 3, "zeta": 1 / 3}
    for name, value in truth.items():
        low, high = found.params[name].ci_low, found.params[name].ci_high
        assert low is not None
        assert high is not None
        assert low <= value <= high, name
    assert found.extras["verdict"] == "transition"
    assert {f"cell.{kind}" for kind in ("raw", "centred", "shifted")} <= set(found.curves)


@pytest.mark.slow
def test_the_curie_weiss_model_gives_its_exact_exponents() -> None:
    rows = curie_weiss(np.random.default_rng(1), (128, 256, 512, 1024, 2048), 60)
    found = chain(**QUICK).estimate(rows, 0)
    assert found.params["critical"].value == pytest.approx(1.0, abs=0.03)
    assert found.params["inverse_nu"].value == pytest.approx(0.5, abs=0.1)
    assert found.params["zeta_over_nu"].value == pytest.approx(-0.25, abs=0.08)
    assert found.table["sharpening"]["verdict"] == "sharpens"


def test_the_cumulant_of_the_curie_weiss_model_at_its_critical_point() -> None:
    n = 2000
    down = np.arange(n + 1)
    m = (n - 2.0 * down) / n
    log_weight = gammaln(n + 1) - gammaln(down + 1) - gammaln(n - down + 1) + n * m**2 / 2.0
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    second, fourth = ((weight * m**k).sum() for k in (2, 4))
    one = np.ones((1, 1))
    found = cumulant(Moments(one, 0 * one, second * one, 0 * one, fourth * one), 0.0)[0, 0]
    exact = 1.0 - math.gamma(0.25) ** 4 / (24.0 * math.pi**2)
    assert exact == pytest.approx(0.27052, abs=1e-5)
    assert found == pytest.approx(exact, abs=0.01)
