"""Published boundaries, by their stated estimator, from the published counts.

| quantity | value | tolerance, relative | why |
|---|---|---|---|
| transformer critical | 0.015771145334983784 | 1e-6 | a tighter solver moves it by 2e-7 |
| transformer slope | 13.710396668761742 | 2e-5 | the slope is the flatter direction |
| Mamba critical, smoothed | 0.014392440658441788 | 1e-6 | as above |
| Mamba slope, smoothed | 20.63322641940252 | 2e-5 | published to about 1e-5 by another start |
| MLP critical, slope, smoothed | 0.0535208, 25.662 | 1e-6, 2e-5 | printed digits |
| transformer interval | [0.010897, 0.020000] | 1 % | 1500 draws of another generator |
| Mamba interval | [0.010556, 0.015949] | 1 % | as above |
| transformer maximum likelihood | 0.01712, 2.34 | 3e-4, 1e-3 | printed digits |

Source: arXiv:2605.20441, boundary fits and public aggregates; the last row is a refit of the same
counts, checked against statsmodels below.
"""

import numpy as np
import pytest
import statsmodels.api as sm

from observatory.analysis.boundary.estimators.firth import BoundaryFirth
from observatory.analysis.boundary.estimators.least_squares import BoundaryLsq
from observatory.analysis.boundary.estimators.maximum_likelihood import BoundaryMle
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.core.errors import FitRefusedError

SEVEN = [0.003, 0.006, 0.015, 0.02, 0.03, 0.05, 0.07]
TRANSFORMER = from_counts(
    [0.001, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.3, 0.5, 0.7, 1.0, 2.0],
    [10, 30, 10, 10, 10, 10, 30, 10, 10, 10, 10, 30, 10],
    [0, 2, 8, 10, 10, 10, 29, 10, 10, 10, 8, 25, 10],
    "verma",
    200_000,
)
MAMBA = from_counts(SEVEN, [10] * 7, [0, 0, 6, 10, 10, 10, 10], "verma", 100_000)
MLP = from_counts(SEVEN, [10] * 7, [0, 0, 0, 0, 0, 3, 10], "verma", 100_000)


def least_squares(data: Observations, smoothing: float, n_bootstrap: int = 50):
    return BoundaryLsq(
        window_max=2.0,
        smoothing=smoothing,
        interval="percentile",
        n_bootstrap=n_bootstrap,
        n_studies=100,
        level=0.95,
    ).fit(data, seed=0)


def likelihood(lapse: float | None) -> BoundaryMle:
    return BoundaryMle(
        link="logistic",
        edge="lower",
        window_max=2.0,
        guess=0.0,
        lapse=lapse,
        interval="profile",
        n_bootstrap=50,
        n_simulations=200,
        n_studies=20,
        level=0.95,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "smoothing", "critical", "slope"),
    [
        (TRANSFORMER, 0.0, 0.015771145334983784, 13.710396668761742),
        (MAMBA, 0.5, 0.014392440658441788, 20.63322641940252),
        (MLP, 0.5, 0.0535208, 25.662),
    ],
    ids=["transformer", "mamba", "mlp"],
)
def test_published_points(data, smoothing: float, critical: float, slope: float) -> None:
    params = least_squares(data, smoothing).params
    assert abs(params["critical"].value / critical - 1) < 1e-6
    assert abs(params["slope"].value / slope - 1) < 2e-5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "smoothing", "low", "high"),
    [
        (TRANSFORMER, 0.0, 0.010897063370369902, 0.019999695638351783),
        (MAMBA, 0.5, 0.01055649160367376, 0.015949456473226733),
    ],
    ids=["transformer", "mamba"],
)
def test_published_intervals(data, smoothing: float, low: float, high: float) -> None:
    critical = least_squares(data, smoothing, n_bootstrap=1500).params["critical"]
    assert critical.ci_low is not None
    assert critical.ci_high is not None
    assert abs(critical.ci_low / low - 1) < 0.01
    assert abs(critical.ci_high / high - 1) < 0.01


@pytest.mark.parametrize("data", [MLP, MAMBA], ids=["mlp", "mamba"])
def test_quasi_separated_counts_are_refused_without_smoothing(data) -> None:
    """The published MLP pair (0.05108, 39.6) is no optimum: any steeper curve fits better."""
    with pytest.raises(FitRefusedError, match="Separation: 1 of 7"):
        least_squares(data, 0.0)


def test_maximum_likelihood_of_the_transformer_equals_statsmodels() -> None:
    found = likelihood(0.0).fit(TRANSFORMER, seed=0)
    critical, slope = found.params["critical"], found.params["slope"]
    assert abs(critical.value / 0.01712 - 1) < 3e-4
    assert abs(slope.value / 2.34 - 1) < 1e-3
    each = TRANSFORMER.weights.astype(int)
    design = sm.add_constant(np.log10(np.repeat(TRANSFORMER.weight_decay, each)))
    grokked = np.repeat(TRANSFORMER.grokked, each).astype(float)
    other = sm.Logit(grokked, design).fit(disp=0, tol=1e-12)
    offset, gradient = other.params
    # both maximise one concave function; 1e-6 is what stopping on its gradient leaves
    assert abs(slope.value / gradient - 1) < 1e-6
    assert abs(np.log10(critical.value) + offset / gradient) < 1e-6
    assert abs(found.extras["log_likelihood"] - other.llf) < 1e-9
    assert slope.se is not None
    assert abs(slope.se / other.bse[1] - 1) < 1e-4


@pytest.mark.slow
def test_a_lapse_rate_explains_the_fall_at_large_weight_decay() -> None:
    found = likelihood(None).fit(TRANSFORMER, seed=0)
    # 8 of the 140 replicas above the boundary did not grok
    assert abs(found.params["lapse"].value - 8 / 140) < 0.002
    assert found.extras["deviance_p"] > 0.05
    assert found.extras["aic"] < 141.3 - 40


@pytest.mark.parametrize(
    ("data", "critical"), [(MLP, 0.0535208), (MAMBA, 0.014392)], ids=["mlp", "mamba"]
)
def test_firth_answers_where_plain_least_squares_refuses(data, critical: float) -> None:
    """Near the smoothed fit: of two bins, both add half a replica to each side."""
    found = BoundaryFirth(edge="lower", window_max=2.0, n_simulations=200, level=0.95).fit(
        data, seed=0
    )
    parameter = found.params["critical"]
    assert abs(np.log10(parameter.value / critical)) < 0.04
    assert parameter.ci_low is not None
    assert parameter.ci_high is not None
    assert parameter.ci_low < critical < parameter.ci_high
    assert found.extras["separated"] is True
    assert any("separated" in warning for warning in found.warnings)
