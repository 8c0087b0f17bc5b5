import numpy as np
import pytest
from scipy.optimize import approx_fprime

from observatory.analysis.boundary.estimators.likelihood import (
    binomial,
    binomial_log_likelihood,
    box,
    fit_many,
    rates,
    step_likelihood,
)
from observatory.analysis.boundary.estimators.logistic import curve
from observatory.analysis.boundary.estimators.maximum_likelihood import BoundaryMle, fit_likelihood
from observatory.analysis.boundary.estimators.profile import NAMES, Maximum
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.core.errors import ConfigError, FitRefusedError

DECAYS = [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0]
LAPTOP = [0, 0, 6, 13, 15, 16, 16, 16]
LAPSING = [0, 0, 6, 12, 14, 14, 15, 14]


def counts(k, n=16, decays=DECAYS) -> Observations:
    return from_counts(decays, [n] * len(k), k, "first99", 2500)


def value_and_gradient(k, theta, link="logistic"):
    bins = bin_rates(counts(k))
    evaluate = binomial(bins.x, bins.n[None], bins.k[None], LINKS[link])
    value, score, _ = evaluate(np.asarray(theta)[None], np.zeros(1, dtype=np.int64))
    return value[0], score[0]


def fit(guess=0.0, lapse=None, interval="profile", n_bootstrap=100, link="logistic") -> BoundaryMle:
    return BoundaryMle(
        link=link,
        edge="lower",
        window_max=1.0,
        guess=guess,
        lapse=lapse,
        interval=interval,
        n_bootstrap=n_bootstrap,
        n_simulations=300,
        n_studies=20,
        level=0.95,
    )


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize(
    "theta",
    [
        [-1.0, 2.4, 0.01, 0.05],
        [-0.8, 1.0, 0.1, 0.2],
        [-1.3, 1.6, 0.05, 0.4],
        [-1.0, 2.4, 0.01, 0.05, 0.3, 1.5],
    ],
)
def test_the_gradient_is_that_of_the_likelihood(theta, link: str) -> None:
    at = np.array(theta)
    numeric = approx_fprime(at, lambda t: value_and_gradient(LAPSING, t, link)[0], 1e-7)
    # forward differences with a step of 1e-7: error about 1e-7 times the second derivative
    found = value_and_gradient(LAPSING, at, link)[1]
    assert found == pytest.approx(numeric, rel=1e-4, abs=1e-3)


def test_the_likelihood_is_binomial() -> None:
    bins = bin_rates(counts(LAPSING))
    p = 0.1 + (1 - 0.1 - 0.2) * curve(bins.x, -1.0, np.exp(2.0))
    direct = binomial_log_likelihood(bins.k, bins.n, p).sum()
    assert value_and_gradient(LAPSING, [-1.0, 2.0, 0.1, 0.2])[0] == pytest.approx(direct)


def test_certain_bins_cost_nothing_and_impossible_ones_are_finite() -> None:
    k, n = np.array([0.0, 5.0, 5.0]), np.array([5.0, 5.0, 5.0])
    loss = binomial_log_likelihood(k, n, np.array([0.0, 1.0, 0.0]))
    assert loss[:2].tolist() == [0.0, 0.0]
    assert np.isfinite(loss[2])


@pytest.mark.parametrize(
    ("k", "lapse", "reason"),
    [
        ([0] * 8, None, "No replica had the event"),
        ([16] * 8, None, "Every replica had the event"),
        ([0, 0, 0, 16, 16, 16, 16, 16], 0.0, "Add weight decays between 0.1 and 0.15"),
        ([0, 0, 0, 5, 16, 16, 16, 16], 0.0, "infinite slope"),
        ([0, 0, 0, 5, 16, 16, 15, 16], None, "infinite slope"),
        ([8, 8, 7, 8, 9, 8, 8, 9], 0.0, "does not rise .* than a constant rate"),
        ([16, 15, 12, 8, 4, 1, 0, 0], 0.0, "falls with"),
    ],
)
def test_refuses_what_has_no_boundary(k, lapse, reason: str) -> None:
    with pytest.raises(FitRefusedError, match=reason):
        fit(lapse=lapse).fit(counts(k), seed=0)


def test_refuses_one_weight_decay_and_too_few_for_its_parameters() -> None:
    with pytest.raises(FitRefusedError, match="at least two weight decays, got 1"):
        fit().fit(counts([8], decays=[0.1]), seed=0)
    with pytest.raises(FitRefusedError, match="3 free parameters need as many"):
        fit().fit(counts([2, 14], decays=[0.1, 0.3]), seed=0)


def test_two_bins_without_lapse_are_met_exactly() -> None:
    found = fit(lapse=0.0).fit(counts([4, 12], decays=[0.1, 0.4]), seed=0)
    # saturated: the curve passes through both rates; 1e-6 is what the solver's tolerance leaves
    assert found.params["critical"].value == pytest.approx(0.2, rel=1e-6)
    assert found.params["slope"].value == pytest.approx(2 * np.log(3) / np.log10(4), rel=1e-6)


@pytest.mark.slow
def test_critical_is_the_midpoint_of_the_underlying_curve_not_of_the_rate() -> None:
    """Expected counts of a curve with 30 % lapses: the rate is 0.35 where F is one half."""
    rate = 0.7 * curve(np.log10(DECAYS), np.log10(0.15), 12.0)
    k = np.round(rate * 100_000).astype(int)
    found = fit().fit(counts(k.tolist(), n=100_000), seed=0).params
    # counts are rounded to 1e-5 of the replicas
    assert found["critical"].value == pytest.approx(0.15, rel=1e-3)
    assert found["slope"].value == pytest.approx(12.0, rel=1e-3)
    assert found["lapse"].value == pytest.approx(0.3, rel=1e-3)


@pytest.mark.slow
def test_profile_limits_lie_where_the_likelihood_has_fallen_by_1_92() -> None:
    data = counts(LAPSING)
    bins = bin_rates(data)
    best = fit_likelihood(bins, LINKS["logistic"], 0.0, None, 0.95).value
    critical = fit().fit(data, seed=0).params["critical"]
    for limit in (critical.ci_low, critical.ci_high):
        assert limit is not None
        low, high = box(bins, 0.0, None)
        low[0] = high[0] = np.log10(limit)
        _, there, _ = fit_many(bins.x, bins.n[None], bins.k[None], LINKS["logistic"], low, high)
        # half the 95 % quantile of chi-square(1); read off a grid of 2e-6 decades
        assert best - there[0] == pytest.approx(3.841459 / 2, abs=1e-4)


@pytest.mark.slow
def test_wald_errors_agree_with_the_profile_where_there_are_many_replicas() -> None:
    rate = 0.95 * curve(np.log10(DECAYS), np.log10(0.12), 10.0)
    k = np.round(rate * 20_000).astype(int).tolist()
    found = fit().fit(counts(k, n=20_000), seed=0).params
    for name in ("critical", "slope", "lapse"):
        p = found[name]
        assert p.se is not None
        assert p.ci_low is not None
        assert p.ci_high is not None
        # the likelihood is quadratic up to O(1/sqrt(n)), here below 2 %
        assert (p.ci_high - p.ci_low) / (2 * 1.959964 * p.se) == pytest.approx(1.0, abs=0.02)


def test_the_step_likelihood_is_the_limit_of_steep_curves() -> None:
    bins = bin_rates(counts([0, 0, 0, 5, 16, 16, 15, 16]))
    low, high = box(bins, 0.0, None)
    limit, place = step_likelihood(bins.k[None], bins.n[None], low, high)
    x0 = bins.x[3] - np.log((5 / 16) / (63 / 64 - 5 / 16)) / 2e4
    steep, _ = value_and_gradient([0, 0, 0, 5, 16, 16, 15, 16], [x0, np.log(2e4), 0.0, 1 / 64])
    assert place[0] == 3
    assert limit[0] == pytest.approx(steep, abs=1e-6)


def test_a_misfit_is_told() -> None:
    found = fit(lapse=0.0).fit(counts([0, 0, 12, 30, 40, 40, 30, 26], n=40), seed=0)
    assert any("does not describe the counts" in warning for warning in found.warnings)
    assert any("not monotone" in warning for warning in found.warnings)
    assert found.extras["deviance_p"] < 0.01


def test_an_unbounded_side_is_null_and_told() -> None:
    """All rates well above one half: the boundary may lie anywhere below."""
    data = counts([11, 12, 15, 15, 16, 16], n=16, decays=[0.03, 0.06, 0.1, 0.3, 0.5, 1.0])
    found = fit(lapse=0.0).fit(data, seed=0)
    critical = found.params["critical"]
    assert critical.ci_high is not None
    assert critical.ci_low is None or critical.ci_low < 0.01
    assert any("outside the values tried" in warning for warning in found.warnings)


@pytest.mark.slow
def test_bootstrap_is_an_alternative_close_to_the_profile() -> None:
    data = counts([0, 1, 15, 29, 36, 38, 40, 40], n=40)
    by_profile = fit().fit(data, seed=0).params["critical"]
    resampled = fit(interval="percentile", n_bootstrap=200).fit(data, seed=0)
    assert resampled.params["critical"].value == by_profile.value
    for side in ("ci_low", "ci_high"):
        here, there = getattr(resampled.params["critical"], side), getattr(by_profile, side)
        assert abs(np.log10(here / there)) < 0.03
    assert "bootstrap" in resampled.extras["method"]


@pytest.mark.slow
def test_rates_held_fixed_are_extras_and_free_ones_parameters() -> None:
    held = fit(guess=0.0, lapse=0.05).fit(counts(LAPSING), seed=0)
    assert set(held.params) == {"critical", "slope"}
    assert (held.extras["guess"], held.extras["lapse"]) == (0.0, 0.05)
    assert held.estimator == "maximum_likelihood_lapse"
    free = fit(guess=None).fit(counts([1, 0, 6, 12, 14, 14, 15, 14]), seed=0)
    assert set(free.params) == {"critical", "slope", "guess", "lapse"}
    assert fit(lapse=0.0).estimator == "maximum_likelihood"


def test_settings_out_of_range_are_refused() -> None:
    with pytest.raises(ConfigError, match="`interval` must be among"):
        fit(interval="wald")


@pytest.mark.parametrize(("sign", "reported"), [(1, [0.1, 1.0, 0.0, 0.2]), (-1, [10, -1, 0, 0.2])])
def test_reported_parameters(sign: int, reported: list[float]) -> None:
    theta = np.array([-1.0, 0.0, 0.0, 0.2])
    found = Maximum(lambda *_: (theta,) * 3, NAMES, theta, 0.0, theta, theta, sign)
    assert [found.natural(i, v) for i, v in enumerate(theta)] == pytest.approx(reported)


@pytest.mark.slow
@pytest.mark.parametrize("link", ["probit", "cloglog"])
def test_every_link_recovers_its_own_curve(link: str) -> None:
    theta = np.array([[np.log10(0.15), np.log(6.0), 0.0, 0.1]])
    p = rates(np.log10(DECAYS), theta, LINKS[link])[0][0]
    k = np.round(p * 100_000).astype(int)
    found = fit(link=link).fit(counts(k.tolist(), n=100_000), seed=0)
    # counts are rounded to 1e-5 of the replicas
    assert found.params["critical"].value == pytest.approx(0.15, rel=1e-3)
    assert found.params["slope"].value == pytest.approx(6.0, rel=2e-3)
    assert found.params["lapse"].value == pytest.approx(0.1, rel=1e-2)
    assert found.estimator == f"maximum_likelihood_lapse_{link}"


@pytest.mark.parametrize("link", LINKS)
def test_links_have_their_midpoint_at_zero_and_both_tails(link: str) -> None:
    shape = LINKS[link]
    z = np.array([-30.0, -1.0, 0.0, 1.0, 3.0])
    assert shape.rise(np.zeros(1))[0] == pytest.approx(0.5, abs=1e-15)
    assert shape.rise(z) + shape.fall(z) == pytest.approx(np.ones(5), abs=1e-15)
    assert 0 < shape.rise(z)[0] < 1e-12
    numeric = (shape.rise(z[1:] + 1e-6) - shape.rise(z[1:] - 1e-6)) / 2e-6
    z = z[1:]
    assert shape.bell(z, shape.rise(z), shape.fall(z)) == pytest.approx(
        numeric, rel=1e-5, abs=1e-10
    )


def test_seeds_that_differ_are_told() -> None:
    """Four of eight seeds grok everywhere above 0.06, four only above 0.5."""
    decays = np.repeat(DECAYS, 8)
    seed = np.tile(np.arange(8), len(DECAYS))
    grokked = decays > np.where(seed < 4, 0.06, 0.5)
    grokked[[2 * 8, 5 * 8 + 5]] = [False, True]
    data = Observations(
        decays, grokked, np.full(decays.size, np.nan), "first99", 2500, 1, seed=seed
    )
    found = fit(lapse=0.0).fit(data, seed=0)
    assert any("Seeds differ more than chance" in warning for warning in found.warnings)
    shuffled = Observations(
        decays, grokked, np.full(decays.size, np.nan), "first99", 2500, 1, seed=np.arange(64)
    )
    assert not any("Seeds differ" in w for w in fit(lapse=0.0).fit(shuffled, seed=0).warnings)


@pytest.mark.parametrize("lapse", [0.0, None])
def test_a_midpoint_decades_below_the_values_is_refused(lapse) -> None:
    """All rates far above one half: the midpoint lies three decades below the weight decays."""
    data = counts([700, 750, 800], n=1000, decays=[0.01, 0.1, 1.0])
    with pytest.raises(FitRefusedError, match=r"more than a decade beyond .* one side of its mid"):
        fit(lapse=lapse).fit(data, seed=0)
