from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import curve_fit

from observatory.analysis.boundary.estimators.least_squares import (
    PUBLISHED_START,
    BoundaryLsq,
    fit_boundary,
    refit_boundary,
)
from observatory.analysis.boundary.estimators.logistic import curve
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.resample import resampled_counts
from observatory.analysis.stats.solvers import fit_curve
from observatory.core.errors import ConfigError, FitRefusedError

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")

DECAYS = [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0]
LAPTOP = from_counts(DECAYS, [16] * 8, [0, 0, 6, 13, 15, 16, 16, 16], "first99", 2500)


def fit(window_max=1.0, smoothing=0.0, interval="percentile", n_bootstrap=400) -> BoundaryLsq:
    return BoundaryLsq(window_max, smoothing, interval, n_bootstrap, n_studies=0, level=0.95)


FIT = fit()


def counts(k, n=8, decays=DECAYS) -> Observations:
    return from_counts(decays, [n] * len(k), k, "first99", 2500)


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        ([0, 0, 0, 8, 8, 8, 8, 8], "Separation: 0 of 8 .* Add weight decays between 0.1 and 0.15"),
        ([0, 0, 0, 3, 8, 8, 8, 8], "Separation: 1 of 8 .* Add weight decays between 0.1 and 0.2"),
        ([0] * 8, "No replica had the event"),
        ([8] * 8, "Every replica had the event"),
        ([8, 8, 7, 5, 2, 1, 0, 0], "falls with"),
    ],
)
def test_refuses_what_has_no_finite_boundary(k, reason: str) -> None:
    with pytest.raises(FitRefusedError, match=reason):
        FIT.fit(counts(k), seed=0)


@pytest.mark.slow
def test_flat_rates_are_refused_by_the_bootstrap() -> None:
    with pytest.raises(FitRefusedError, match="resamples show no rise"):
        FIT.fit(counts([4, 4, 3, 4, 5, 4, 4, 5]), seed=0)


def test_separated_counts_fit_with_smoothing_and_say_so() -> None:
    smooth = fit(smoothing=0.5)
    found = smooth.fit(counts([0, 0, 0, 3, 8, 8, 8, 8]), seed=0)
    assert 0.1 < found.params["critical"].value < 0.2
    assert any("set by the smoothing" in warning for warning in found.warnings)


def test_the_point_is_what_the_published_solver_returns() -> None:
    """Bit by bit: its default stopping rule is part of the estimator."""
    bins = bin_rates(LAPTOP)
    theta, _, _ = fit_boundary(bins, 0.0)
    assert np.array_equal(theta, curve_fit(curve, bins.x, bins.rate, p0=PUBLISHED_START)[0])


def test_two_partial_bins_are_met_exactly() -> None:
    found = fit_boundary(bin_rates(counts([2, 6], decays=[0.1, 0.4])), 0.0)
    slope = 2 * np.log(3.0) / np.log10(4.0)
    # the curve passes through both points, so only the solver's tolerance (1.5e-8) is left
    assert found[0] == pytest.approx([np.log10(0.2), slope], rel=1e-6)
    assert found[1] < 1e-15


@pytest.mark.slow
def test_only_the_window_counts() -> None:
    outside = from_counts(
        [*DECAYS, 0.0, 2.0], [16] * 10, [0, 0, 6, 13, 15, 16, 16, 16, 9, 0], "e", 1
    )
    inside = FIT.fit(LAPTOP, seed=0).params
    assert FIT.fit(outside, seed=0).params == inside


@pytest.mark.slow
def test_the_critical_point_moves_with_the_axis() -> None:
    """Ten times the weight decay everywhere gives ten times the critical one, the slope is kept."""
    shifted = from_counts(
        [10 * d for d in DECAYS], [16] * 8, [0, 0, 6, 13, 15, 16, 16, 16], "first99", 2500
    )
    wide = fit(window_max=10.0)
    here, there = FIT.fit(LAPTOP, seed=0), wide.fit(shifted, seed=0)
    # 1e-4: the published solver stops early, at places that depend on where it started
    assert there.params["critical"].value == pytest.approx(
        10 * here.params["critical"].value, rel=1e-4
    )
    assert there.params["slope"].value == pytest.approx(here.params["slope"].value, rel=1e-4)


def test_a_far_boundary_is_found_where_the_published_start_sees_nothing() -> None:
    decays = [10.0**e for e in (-9, -8.5, -8, -7.5, -7)]
    theta, _, _ = fit_boundary(bin_rates(counts([0, 1, 4, 7, 8], decays=decays)), 0.0)
    assert theta[0] == pytest.approx(-8.0, abs=1e-4)


@pytest.mark.slow
def test_the_bootstrap_equals_a_loop_over_the_published_solver() -> None:
    """On the same resamples: 1e-3 in the critical point where the slope is moderate.

    curve_fit stops once the sum of squares falls by less than 1.5e-8, relative, so it knows its
    parameters to about 1e-4; the limits of the interval are then equal to 1e-3.
    """
    bins = bin_rates(LAPTOP)
    point, _, start = fit_boundary(bins, 0.0)
    n, k = resampled_counts(bins, 400, np.random.default_rng(0))
    draws, rates = refit_boundary(bins, n, k, 0.0, start, point), k / n
    finite = np.isfinite(draws[:, 1])
    loop = np.array([curve_fit(curve, bins.x, row, p0=PUBLISHED_START)[0] for row in rates[finite]])
    assert finite.sum() > 300
    moderate = loop[:, 1] < 40
    difference = np.abs(draws[finite] - loop)[moderate]
    assert difference[:, 0].max() < 1e-3
    assert (difference[:, 1] / loop[moderate, 1]).max() < 1e-2


@pytest.mark.slow
def test_the_interval_holds_the_estimate_and_the_seed_decides_it() -> None:
    first, again, other = (FIT.fit(LAPTOP, seed=seed) for seed in (1, 1, 2))
    critical = first.params["critical"]
    assert critical.ci_low is not None
    assert critical.ci_high is not None
    assert critical.ci_low < critical.value < critical.ci_high
    assert first.to_json() == again.to_json()
    assert first.params != other.params
    assert first.n == 128


def test_falls_and_an_unknown_horizon_are_told() -> None:
    data = from_counts(DECAYS, [8] * 8, [0, 0, 2, 6, 7, 8, 6, 8], "first99", None)
    found = FIT.fit(data, seed=0)
    assert any("not monotone" in warning for warning in found.warnings)
    assert any("no horizon" in warning for warning in found.warnings)
    assert found.to_json()["horizon_steps"] is None


@pytest.mark.slow
def test_the_refits_stop_where_the_published_solver_stops_on_separated_counts() -> None:
    """Its stopping rule decides their place: 1 % covers a step more or less of a few draws."""
    bins = bin_rates(counts([1, 8, 10, 9, 10], n=10, decays=[0.01, 0.02, 0.03, 0.3, 1.0]))
    n, k = resampled_counts(bins, 400, np.random.default_rng(0))
    draws = refit_boundary(bins, n, k, 0.0, np.array(PUBLISHED_START), np.array([-1.8, 12.0]))
    steep = np.isinf(draws[:, 1])
    loop = [fit_curve(curve, bins.x, row, PUBLISHED_START) for row in (k / n)[steep]]
    gaps = [
        abs(10 ** (x0 - other[0]) - 1)
        for x0, other in zip(draws[steep, 0], loop, strict=True)
        if other is not None  # it gives up after 600 evaluations
    ]
    assert len(gaps) > 10
    assert max(gaps) < 0.01


@pytest.mark.slow
def test_bca_is_an_alternative() -> None:
    critical = fit(interval="bca").fit(LAPTOP, seed=0).params["critical"]
    plain = FIT.fit(LAPTOP, seed=0).params["critical"]
    assert critical.value == plain.value
    assert critical.ci_low is not None
    assert plain.ci_low is not None
    assert critical.ci_low != plain.ci_low
    assert abs(np.log10(critical.ci_low / plain.ci_low)) < 0.05


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="`interval` must be among"):
        fit(interval="wald")


def test_resamples_that_are_all_alike_give_no_interval() -> None:
    found = fit(smoothing=0.5).fit(counts([0, 0, 0, 8, 8, 8, 8, 8]), seed=0)
    critical = found.params["critical"]
    assert (critical.se, critical.ci_low, critical.ci_high) == (None, None, None)
    assert any("Every resample gives the same rates" in warning for warning in found.warnings)


@pytest.mark.slow
@pytest.mark.parametrize("factor", [0.01, 10.0, 100.0])
def test_the_interval_moves_with_the_axis_too(factor: float) -> None:
    """A resample that the published start cannot see starts at the estimate."""
    shifted = from_counts(
        [factor * d for d in DECAYS], [16] * 8, [0, 0, 6, 13, 15, 16, 16, 16], "first99", 2500
    )
    here = FIT.fit(LAPTOP, seed=0).params["critical"]
    there = fit(window_max=None).fit(shifted, seed=0).params["critical"]
    assert here.ci_low is not None
    assert there.ci_low is not None
    # 2 %: where a step between two bins is placed depends on where the solver started
    assert there.ci_low == pytest.approx(factor * here.ci_low, rel=0.02)
    assert there.ci_high == pytest.approx(factor * here.ci_high, rel=0.02)


def test_an_empty_bin_of_a_resample_takes_the_rate_of_its_neighbour() -> None:
    bins = bin_rates(from_counts([0.01, 0.1, 1.0], [8, 8, 8], [2, 4, 8], "e", 1))
    theta, _, start = fit_boundary(bins, 0.5)
    n = np.array([[0.0, 8.0, 8.0], [8.0, 8.0, 8.0], [8.0, 0.0, 8.0]])
    k = np.array([[0.0, 4.0, 8.0], [4.0, 4.0, 8.0], [2.0, 0.0, 8.0]])
    found = refit_boundary(bins, n, k, 0.5, start, theta)
    assert found[0] == pytest.approx(found[1], rel=1e-6)
    filled = refit_boundary(bins, n[1:2], np.array([[2.0, 2.0, 8.0]]), 0.5, start, theta)
    assert found[2] == pytest.approx(filled[0], rel=1e-6)


@pytest.mark.slow
def test_what_the_interval_of_each_parameter_covers_is_measured_where_asked_for() -> None:
    """Smoothing flattens the slope: its BCa interval of few replicas misses it."""
    few = counts([0, 0, 0, 1, 4, 5, 5, 5], n=5)
    fitted = replace(fit(smoothing=0.5, interval="bca"), n_studies=60).fit(few, 0)
    assert (
        fitted.extras["coverage_simulated_slope"] < 0.9 < fitted.extras["coverage_simulated"] + 0.2
    )
    said = "bias-corrected and accelerated bootstrap interval of the slope covered it in"
    assert any(said in warning for warning in fitted.warnings)
    none = replace(fit(), n_studies=0).fit(few, 0)
    assert none.extras["coverage_simulated"] is None
    assert not any("simulated" in warning for warning in none.warnings)
