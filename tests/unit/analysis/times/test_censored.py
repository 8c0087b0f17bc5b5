"""The law by censored likelihood: limits, test of zero, who enters, and what is said."""

from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.stats.observations import Observations
from observatory.analysis.stats.solvers import chi2_quantile
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_interval import chi_bar_square, crossings
from observatory.analysis.times.estimators.aft_law import shares
from observatory.analysis.times.estimators.aft_table import (
    drawn_replicas,
    parametric_p,
    resampled_laws,
    sample_of,
    table_of,
    zero_ratio,
)
from observatory.analysis.times.estimators.censored import TimesAft
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_times import Made

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")

NAMES = sorted(ERRORS)
LONG = Made(n_seeds=16, cells=(0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0))
THRESHOLD = Made(critical=0.08, cells=(0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0), n_seeds=12)


def fitted(critical: str = "free", distribution: str = "lognormal", **changes) -> TimesAft:
    numbers = {"window_max": 1.0, "n_grid": 48, "n_bootstrap": 60, "n_parametric": 0, "level": 0.95}
    return TimesAft(distribution=distribution, critical=critical, **{**numbers, **changes})


def rows(data: Observations, index: np.ndarray) -> Observations:
    """The rows of a table in another order, or several times."""
    parts = {k: v[index] for k, v in vars(data).items() if isinstance(v, np.ndarray)}
    return replace(data, **parts)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_law_with_little_noise_is_found(name: str) -> None:
    """Looks 1 step apart, noise 0.5 %: the exponent to 0.02, the critical point to 0.002."""
    made = replace(THRESHOLD, distribution=name, noise=0.005, look=1.0)
    found = fitted(distribution=name).fit(made.one(0), seed=0)
    assert found.params["nu"].value == pytest.approx(1.0, abs=0.02)
    assert found.params["critical"].value == pytest.approx(0.08, abs=0.002)
    assert found.params["amplitude"].value == pytest.approx(300.0, rel=0.01)
    assert found.params["sigma"].value == pytest.approx(0.005, rel=0.3)
    assert found.extras["p_zero"] < 1e-6


def test_nobody_below_the_critical_point_counts_and_nobody_there_may_grok() -> None:
    """The replicas at 0.05 never grok: without them the likelihood at 0.08 is the same."""
    data = THRESHOLD.one(1)
    whole, above = sample_of(data), sample_of(data.take(data.weight_decay > 0.08))
    laws = [s.times(ERRORS["weibull"]).at_critical(np.array([0.08])) for s in (whole, above)]
    assert laws[0].loglik == pytest.approx(laws[1].loglik, rel=1e-12)
    lowest = data.weight_decay[data.grokked].min()
    assert whole.times(ERRORS["weibull"]).highest[0] == lowest
    assert (shares(48) < 1).all()
    assert (np.diff(shares(48)) > 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_limits_are_where_the_profile_has_fallen(name: str) -> None:
    """There the log-likelihood, all else fitted anew, is 1.92 below its maximum: to 1e-3."""
    table = table_of(sample_of(THRESHOLD.one(2)), ERRORS[name], None, 48)
    drop = 0.5 * chi2_quantile(0.95, 1)
    ends = np.array(table.critical_limits(0.95))
    assert table.law.loglik[0] - table.at(ends) == pytest.approx(drop, abs=1e-3)
    assert table.upper_limit(0.95) < ends[1]
    zero = table_of(sample_of(THRESHOLD.one(2)), ERRORS[name], 0.0, 48)
    low, high = zero.exponent_limits(0.95, free=False)
    wide_low, wide_high = table.exponent_limits(0.95, free=True)
    assert low < zero.law.nu[0] < high
    assert wide_low < table.law.nu[0] < wide_high
    assert wide_high - wide_low > high - low


def test_limits_end_where_the_range_does() -> None:
    """Times without a threshold: the lower limit is 0; the free law holds the zero law."""
    sample = sample_of(Made().one(0))
    zero, free = (table_of(sample, ERRORS["lognormal"], c, 48) for c in (0.0, None))
    low, high = free.critical_limits(0.95)
    assert low == 0.0
    assert 0 < high <= 0.03
    assert free.law.loglik[0] >= zero.law.loglik[0] - 1e-9
    assert (chi_bar_square(0.0), zero_ratio(zero, free) >= 0.0) == (1.0, True)


def test_crossings_are_found_between_grid_points() -> None:
    inside, outside = np.array([0.0, 0.0]), np.array([7.0, -3.0])
    found = crossings(lambda x: 1.0 - np.abs(x**3), inside, outside)
    assert found == pytest.approx([1.0, -1.0], abs=1e-5)
    cliff = crossings(lambda x: np.where(x > 2.0, -np.inf, 1.0), np.zeros(1), np.full(1, 4.0))
    assert cliff == pytest.approx(2.0, abs=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("critical", ["zero", "free"])
def test_units_change_what_they_should_only(critical: str) -> None:
    """Weight decays ten times larger, times in epochs of 10: nu and its limits stay.

    To 1e-3: the likelihood is flat to rounding within about 1e-4 of its best critical point.
    """
    data = THRESHOLD.one(3)
    assert data.time_lo is not None
    assert data.watched is not None
    other = replace(
        data,
        weight_decay=10.0 * data.weight_decay,
        time=data.time / 10.0,
        time_lo=data.time_lo / 10.0,
        watched=data.watched / 10.0,
        horizon_steps=600,
    )
    one = fitted(critical).fit(data, seed=0)
    two = fitted(critical, window_max=10.0).fit(other, seed=0)
    for part in ("value", "ci_low", "ci_high"):
        assert getattr(two.params["nu"], part) == pytest.approx(
            getattr(one.params["nu"], part), rel=1e-3
        )
        if critical == "free":
            assert getattr(two.params["critical"], part) == pytest.approx(
                10.0 * getattr(one.params["critical"], part), rel=1e-3
            )
    scale = 10.0 ** one.params["nu"].value / 10.0
    assert two.params["amplitude"].value == pytest.approx(
        scale * one.params["amplitude"].value, rel=1e-3
    )


def test_row_order_and_halved_weights_change_nothing() -> None:
    data = THRESHOLD.one(4)
    order = np.random.default_rng(0).permutation(data.weight_decay.size)
    shuffled, twice = rows(data, order), rows(data, np.repeat(order, 2))
    errors = ERRORS["weibull"]
    one = table_of(sample_of(data), errors, None, 48)
    halved = replace(twice, weight=np.full(2 * order.size, 0.5))
    for table in (shuffled, halved):
        other = table_of(sample_of(table), errors, None, 48)
        assert other.law.critical == pytest.approx(one.law.critical, rel=1e-6)
        assert other.law.loglik == pytest.approx(one.law.loglik, rel=1e-9)


def test_resampled_laws_are_refits() -> None:
    """The coarser search of resamples finds likelihoods within 0.02 of the fine one's."""
    data = THRESHOLD.one(5)
    sample = sample_of(data)
    table = table_of(sample, ERRORS["loglogistic"], None, 48)
    weights = sample.resampled(drawn_replicas(data, 8, 0))
    draws = resampled_laws(table, weights, free=True)
    for i in range(8):
        fine = table_of(
            replace(sample, weights=weights[i : i + 1]), ERRORS["loglogistic"], None, 48
        )
        assert draws.loglik[i] == pytest.approx(fine.law.loglik[0], abs=0.02)
        assert draws.critical[i] == pytest.approx(fine.law.critical[0], abs=0.02)


def test_whole_seeds_are_drawn() -> None:
    data = THRESHOLD.one(0)
    drawn = drawn_replicas(data, 5, 1)
    assert data.seed is not None
    for seed in np.unique(data.seed):
        assert (drawn[:, data.seed == seed] == drawn[:, data.seed == seed][:, :1]).all()


@pytest.mark.slow
def test_the_simulated_p_value_agrees_with_the_asymptotic_one() -> None:
    """500 tables: a p-value of about 0.2 is known to 0.02; 0.1 allows for small samples."""
    data = Made(critical=0.02, n_seeds=12).one(3)
    sample = sample_of(data)
    zero, free = (table_of(sample, ERRORS["lognormal"], c, 48) for c in (0.0, None))
    ratio = zero_ratio(zero, free)
    simulated = parametric_p(zero, ratio, data, 500, seed=0)
    assert simulated == pytest.approx(chi_bar_square(ratio), abs=0.1)
    assert parametric_p(zero, 1e9, data, 99, seed=0) == 0.01
    found = fitted(n_parametric=50).fit(data, seed=0)
    assert 0 < found.extras["p_zero_simulated"] <= 1


def test_collapsed_replicas_never_grok_and_are_told() -> None:
    """Marking two late replicas as collapsed at step 900 is following them to the horizon."""
    data = Made(n_seeds=6).one(0)
    late = np.flatnonzero(~data.grokked)[:2]
    assert data.watched is not None
    watched, competing = data.watched.copy(), np.zeros(data.grokked.size, dtype=bool)
    watched[late], competing[late] = 900.0, True
    failed = replace(data, watched=watched, competing=competing)
    plain, told = (fitted("zero").fit(d, seed=0) for d in (data, failed))
    assert told.params == plain.params
    assert told.extras["n_competing"] == 2
    assert any("collapsed or diverged" in w and "(2)" in w for w in told.warnings)


def test_a_held_boundary_leaves_out_who_grokked_below_it() -> None:
    data = replace(Made().one(0), critical=0.07)
    found = fitted("boundary").fit(data, seed=0)
    below = int((data.grokked & (data.weight_decay <= 0.07)).sum())
    assert below > 0
    assert found.n == data.n - below
    assert found.extras["aic"] is None
    assert any(f"left out ({below})" in w for w in found.warnings)
    with pytest.raises(FitRefusedError, match="No critical weight decay to hold fixed"):
        fitted("boundary").fit(Made().one(0), seed=0)


@pytest.mark.slow
def test_the_record_holds_the_region_and_the_joint_resamples() -> None:
    found = fitted().fit(THRESHOLD.one(0), seed=0)
    delta = np.array(found.curves["region.delta"], dtype=float)
    inside = delta < chi2_quantile(0.95, 2)
    assert np.nanmin(delta) >= -1e-6
    assert 0.1 < inside.mean() < 0.9
    critical = np.array(found.curves["region.critical"])[inside]
    limits = found.params["critical"]
    assert critical.min() <= limits.ci_low
    assert critical.max() >= limits.ci_high - 0.002
    assert len(found.curves["joint.critical"]) == len(found.curves["joint.nu"]) == 60


@pytest.mark.slow
def test_a_critical_point_that_cannot_be_told_from_zero_is_told() -> None:
    found = fitted().fit(Made().one(0), seed=0)
    assert found.extras["p_zero"] > 0.05
    assert any("do not tell this critical weight decay from 0" in w for w in found.warnings)


def test_seeds_that_go_together_are_told() -> None:
    """Twelve seeds, each with an exponent of its own: replicas of a seed lean the same way."""
    made = Made(noise=0.05, n_seeds=12, horizon=60_000.0)
    own = made.control ** -np.random.default_rng(0).normal(0.0, 0.3, size=12)[made.seeds]
    data = made.table(made.times(1, np.random.default_rng(1))[0] * own)
    found = fitted("zero", n_bootstrap=400).fit(data, seed=0)
    assert any("not independent" in w for w in found.warnings)


def test_what_cannot_be_fitted_is_refused() -> None:
    data = Made().one(0)
    untimed = replace(data, time=np.where(data.weight_decay == 1.0, np.nan, data.time))
    with pytest.raises(
        FitRefusedError, match="8 replicas had the event `first99` at an unknown time"
    ):
        fitted().fit(untimed, seed=0)
    with pytest.raises(FitRefusedError, match="needs times at 3 weight decays"):
        fitted(window_max=0.06).fit(data, seed=0)
    same = Observations(
        np.repeat([0.1, 0.2, 1.0], 4), np.ones(12, dtype=bool), np.full(12, 100.0), "e", 500, None
    )
    with pytest.raises(FitRefusedError, match="has no maximum"):
        fitted().fit(same, seed=0)
    with pytest.raises(ConfigError, match="`distribution` must be among"):
        fitted(distribution="gamma")
    with pytest.raises(ConfigError, match="`critical` must be among"):
        fitted("best")


def steep() -> Observations:
    """Few weight decays, far apart: times at the smallest that grokked are longer than a law's."""
    decays = np.repeat([0.01, 0.03, 0.1, 0.3, 1.0], [3, 3, 2, 3, 3])
    steps = [np.nan] * 3 + [8300, 12200, 11100, 3800, 4100, 2600, 3400, 3000, 3300, 2900, 3200]
    time = np.array(steps, dtype=float)
    return Observations(decays, ~np.isnan(time), time, "t_grok", 20_000, None)


@pytest.mark.parametrize("name", NAMES)
def test_a_critical_point_at_the_end_of_its_search_is_refused(name: str) -> None:
    with pytest.raises(
        FitRefusedError, match=r"smallest weight decay with the event, 0\.03: the end"
    ):
        fitted(distribution=name).fit(steep(), seed=0)
    assert fitted("zero", name).fit(steep(), seed=0).params["nu"].value > 0


@pytest.mark.slow
def test_a_critical_point_of_0_has_no_standard_error() -> None:
    critical = fitted().fit(LONG.one(0), seed=0).params["critical"]
    assert critical.value == critical.ci_low == 0.0
    assert critical.se is None
