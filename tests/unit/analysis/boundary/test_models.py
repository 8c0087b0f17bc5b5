"""Seeds that differ, overdispersion, both edges of the window, and which curve is preferred."""

import numpy as np
import pytest
from scipy.optimize import approx_fprime
from scipy.special import comb
from scipy.stats import betabinom, norm

from observatory.analysis.boundary.estimators import seed_effect
from observatory.analysis.boundary.estimators.beta_binomial import (
    BoundaryBetaBinomial,
    beta_binomial,
)
from observatory.analysis.boundary.estimators.comparison import BoundaryComparison, folds
from observatory.analysis.boundary.estimators.logistic import curve
from observatory.analysis.boundary.estimators.seed_effect import (
    BoundarySeedEffect,
    nodes_for,
    seed_likelihood,
)
from observatory.analysis.boundary.estimators.window import BoundaryWindow
from observatory.analysis.page.records import boundary_curve
from observatory.analysis.stats.bins import bin_rates
from observatory.analysis.stats.links import LINKS
from observatory.analysis.stats.observations import Observations, from_counts
from observatory.analysis.stats.resample import resampled_counts
from observatory.core.errors import ConfigError, FitRefusedError

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")

X = np.log10(np.geomspace(0.02, 1.0, 10))
ROW = np.zeros(1, dtype=np.int64)
SEEDS = BoundarySeedEffect(link="logistic", window_max=1.0, lapse=0.0, level=0.95)
SCATTER = BoundaryBetaBinomial(link="logistic", window_max=1.0, lapse=0.0, level=0.95)
WINDOW = BoundaryWindow(link="logistic", window_max=None, lapse=0.0, n_simulations=199, level=0.95)


def by_seed(n_seeds: int, spread: float, seed: int = 3, slope: float = 14.0) -> Observations:
    rng = np.random.default_rng(seed)
    own = np.log10(0.12) + spread * rng.normal(size=(n_seeds, 1))
    grokked = (rng.random((n_seeds, X.size)) < curve(X, own, slope)).ravel()
    return Observations(
        np.tile(10.0**X, n_seeds),
        grokked,
        np.full(grokked.size, np.nan),
        "first99",
        2500,
        1,
        seed=np.repeat(np.arange(n_seeds), X.size),
    )


@pytest.mark.parametrize("spread", [0.05, 0.3])
def test_the_seed_likelihood_is_an_integral(spread: float) -> None:
    """Against a sum over 4001 points of u."""
    bins = bin_rates(by_seed(6, 0.2))
    evaluate = seed_likelihood(bins.x, bins.n_by, bins.k_by, LINKS["logistic"], 61)
    theta = np.array([-0.9, np.log(9.0), 0.0, 0.0, spread])
    u = np.linspace(-8, 8, 4001)
    p = curve(bins.x, theta[0] + spread * u[:, None], 9.0)
    inside = np.exp(np.log(p) @ bins.k_by.T + np.log1p(-p) @ (bins.n_by - bins.k_by).T)
    direct = np.log((norm.pdf(u)[:, None] * inside).sum(axis=0) * (u[1] - u[0])).sum()
    assert evaluate(theta[None], ROW)[0][0] == pytest.approx(direct, abs=1e-4)


def test_seeds_with_the_same_counts_are_worked_on_once(monkeypatch: pytest.MonkeyPatch) -> None:
    bins = bin_rates(by_seed(40, 0.2))
    theta = np.array([-0.9, np.log(9.0), 0.02, 0.05, 0.2])

    def numbers() -> np.ndarray:
        evaluate = seed_likelihood(bins.x, bins.n_by, bins.k_by, LINKS["logistic"], 61)
        return np.concatenate([np.ravel(part) for part in evaluate(theta[None], ROW)])

    each = numbers()
    monkeypatch.setattr(seed_effect, "_MANY_SEEDS", 10)
    assert numbers() == pytest.approx(each, rel=1e-11, abs=1e-10)


def test_gradients_are_those_of_the_likelihoods() -> None:
    bins = bin_rates(by_seed(6, 0.2))
    cases = [
        (seed_likelihood(bins.x, bins.n_by, bins.k_by, LINKS["logistic"], 61), 0.2),
        (beta_binomial(bins.x, np.arange(10), bins.n, bins.k, LINKS["logistic"]), 0.1),
    ]
    for evaluate, last in cases:
        theta = np.array([-0.9, 2.0, 0.02, 0.05, last])
        numeric = approx_fprime(theta, lambda t, e=evaluate: e(t[None], ROW)[0][0], 1e-7)
        assert evaluate(theta[None], ROW)[1][0] == pytest.approx(numeric, rel=1e-4, abs=1e-4)


def test_the_beta_binomial_is_scipys() -> None:
    n, k = np.full(10, 12.0), np.arange(10.0)
    theta = np.array([-0.9, np.log(4.0), 0.0, 0.0, 0.2])
    p = curve(X, -0.9, 4.0)
    full = betabinom.logpmf(k, n, 4.0 * p, 4.0 * (1 - p))
    without = (full - np.log(comb(n, k))).sum()
    found = beta_binomial(X, np.arange(10), n, k, LINKS["logistic"])(theta[None], ROW)[0][0]
    assert found == pytest.approx(without, abs=1e-9)


@pytest.mark.slow
def test_a_planted_spread_over_seeds_is_found_and_widens_the_interval() -> None:
    found = SEEDS.fit(by_seed(30, 0.3), seed=0)
    spread, critical = found.params["seed_spread"], found.params["critical"]
    assert spread.ci_low is not None
    assert spread.ci_high is not None
    assert spread.ci_low < 0.3 < spread.ci_high
    assert critical.ci_low is not None
    assert critical.ci_high is not None
    assert critical.ci_low < 0.12 < critical.ci_high
    assert found.extras["p_no_seed_effect"] < 1e-6
    u = norm.ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    seeds = np.log10(critical.value) + spread.value * u
    rate = curve(X, seeds, found.params["slope"].value).mean(axis=0)  # of all seeds, not of one
    assert boundary_curve(found.to_json(), 10.0**X) == pytest.approx(rate, abs=2e-3)


@pytest.mark.slow
def test_seeds_that_are_alike_show_no_spread() -> None:
    found = SEEDS.fit(by_seed(20, 0.0), seed=0)
    assert found.params["seed_spread"].value < 0.1
    assert found.extras["p_no_seed_effect"] > 0.05


def test_a_seed_effect_needs_seeds_that_recur() -> None:
    data = by_seed(12, 0.1)
    for seed in (None, np.arange(data.grokked.size)):
        once = Observations(
            data.weight_decay, data.grokked, data.time, "first99", 2500, 1, seed=seed
        )
        with pytest.raises(FitRefusedError, match=r"at least five seeds .* got 0"):
            SEEDS.fit(once, seed=0)


@pytest.mark.slow
def test_planted_overdispersion_is_found_and_plain_counts_show_none() -> None:
    rng = np.random.default_rng(1)
    decays = np.geomspace(0.02, 1.0, 30)
    p = curve(np.log10(decays), np.log10(0.12), 6.0)
    n = np.full(30, 40)
    scattered = rng.binomial(n, np.clip(rng.beta(4 * p + 1e-9, 4 * (1 - p) + 1e-9), 0, 1))
    found = SCATTER.fit(from_counts(decays, n, scattered, "first99", 2500), seed=0)
    rho = found.params["overdispersion"]
    assert rho.ci_low is not None
    assert rho.ci_high is not None
    assert rho.ci_low < 0.2 < rho.ci_high
    assert found.extras["p_no_overdispersion"] < 1e-6
    plain = SCATTER.fit(from_counts(decays, n, rng.binomial(n, p), "first99", 2500), seed=0)
    assert plain.params["overdispersion"].value < 0.05
    wide, narrow = found.params["critical"], plain.params["critical"]
    assert np.log(wide.ci_high / wide.ci_low) > 1.5 * np.log(narrow.ci_high / narrow.ci_low)


WIDE = [0.03, 0.06, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 4.0, 10.0]


@pytest.mark.slow
def test_both_edges_of_a_planted_window_are_found() -> None:
    x = np.log10(WIDE)
    p = curve(x, np.log10(0.12), 12.0) * (1 - curve(x, np.log10(2.5), 10.0))
    data = from_counts(WIDE, [5000] * 12, np.round(5000 * p), "first99", 2500)
    params = WINDOW.fit(data, seed=0).params
    # counts are rounded to 2e-4 of the replicas
    assert params["critical"].value == pytest.approx(0.12, rel=1e-2)
    assert params["slope"].value == pytest.approx(12.0, rel=2e-2)
    assert params["critical_upper"].value == pytest.approx(2.5, rel=1e-2)
    assert params["slope_upper"].value == pytest.approx(10.0, rel=2e-2)


@pytest.mark.slow
def test_clean_steps_at_both_edges_get_intervals_that_reach_into_their_gaps() -> None:
    k = [0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8, 0]
    found = WINDOW.fit(from_counts(WIDE, [8] * 12, k, "first99", 2500), seed=0)
    lower, upper = found.params["critical"], found.params["critical_upper"]
    assert 0.1 < lower.value < 0.15
    assert 4.0 < upper.value < 10.0
    assert upper.ci_low < upper.value < upper.ci_high
    assert found.extras["width_decades"] == pytest.approx(np.log10(upper.value / lower.value))


@pytest.mark.parametrize(
    ("k", "reason"),
    [
        ([0, 0, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8], "highest at the largest weight decay"),
        ([8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4, 0], "highest at the smallest weight decay"),
        ([0] * 12, "No replica had the event"),
        ([0, 0, 4, 8, 8, 7, 8, 7, 8, 8, 8, 7], "second edge cannot be distinguished"),
        ([4, 5, 3, 4, 6, 4, 3, 5, 4, 4, 5, 3], "second edge cannot be distinguished"),
    ],
)
def test_a_window_with_one_edge_is_refused(k, reason: str) -> None:
    with pytest.raises(FitRefusedError, match=reason):
        WINDOW.fit(from_counts(WIDE, [8] * 12, k, "first99", 2500), seed=0)


def test_the_lapse_is_preferred_where_replicas_lapse_and_folds_add_up() -> None:
    p = 0.8 * curve(X, np.log10(0.12), 12.0)
    rng = np.random.default_rng(0)
    data = from_counts(10.0**X, [60] * 10, rng.binomial(60, p), "first99", 2500)
    found = BoundaryComparison(window_max=1.0, n_folds=10, level=0.95).fit(data, seed=0)
    assert str(found.extras["preferred"]).endswith("_lapse")
    assert found.extras["aicc_logistic"] > found.extras["aicc_logistic_lapse"] + 10
    assert found.extras["log_score_logistic"] < found.extras["log_score_logistic_lapse"]
    bins = bin_rates(data)
    n, k = folds(bins, 7, np.random.default_rng(0))
    assert n.sum(axis=0).tolist() == bins.n.tolist()
    assert k.sum(axis=0).tolist() == bins.k.tolist()
    assert n.sum(axis=1).max() - n.sum(axis=1).min() <= 10
    assert np.all(k <= n)


def test_folds_are_whole_seeds_where_seeds_recur() -> None:
    bins = bin_rates(by_seed(9, 0.1))
    n, _ = folds(bins, 10, np.random.default_rng(0))
    assert n.tolist() == np.ones((9, 10)).tolist()


@pytest.mark.parametrize("kind", [BoundarySeedEffect, BoundaryBetaBinomial])
def test_unknown_links_are_named(kind) -> None:
    with pytest.raises(ConfigError, match="`link` must be among"):
        kind(link="cauchit", window_max=1.0, lapse=0.0, level=0.95)


@pytest.mark.slow
def test_sharp_edges_of_seeds_are_resolved() -> None:
    """Slope 30 and a spread of 0.4 decades: the interval holds 0.12 and the rule has converged."""
    data = by_seed(20, 0.4, seed=0, slope=30.0)
    bins = bin_rates(data)
    found = SEEDS.fit(data, seed=0).params
    assert found["critical"].ci_low < 0.12 < found["critical"].ci_high
    theta = np.array([np.log10(found["critical"].value), np.log(found["slope"].value), 0, 0, 0])
    theta[4] = found["seed_spread"].value
    used, fine = (
        seed_likelihood(bins.x, bins.n_by, bins.k_by, LINKS["logistic"], n)(theta[None], ROW)[0][0]
        for n in (nodes_for(theta), 2001)
    )
    assert used == pytest.approx(fine, abs=0.02)


def test_groups_within_one_weight_decay_are_the_unit() -> None:
    """30 groups of 10 replicas that are all alike: as wide as 30 replicas, not 300."""
    rng = np.random.default_rng(2)
    decays = np.repeat([0.03, 0.06, 0.12, 0.25, 0.5], 6)
    grokked = rng.random(30) < curve(np.log10(decays), np.log10(0.1), 5.0)
    alone = Observations(decays, grokked, np.full(30, np.nan), "e", 1, 1)
    groups = Observations(
        np.repeat(decays, 10),
        np.repeat(grokked, 10),
        np.full(300, np.nan),
        "e",
        1,
        1,
        seed=np.repeat(np.arange(30), 10),
    )
    one, ten = (
        resampled_counts(bin_rates(t), 2000, np.random.default_rng(0)) for t in (alone, groups)
    )
    spread = [(k / n).std(axis=0) for n, k in (one, ten)]
    assert spread[1] == pytest.approx(spread[0], rel=0.1)
    assert np.array_equal(np.unique(ten[0]), [60.0])
