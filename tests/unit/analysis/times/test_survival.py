"""Kaplan-Meier, medians, restricted means and the log-rank test against closed forms."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import beta, chi2, t

from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.cells import waiting_time
from observatory.analysis.times.estimators.intervals import (
    bounds_of,
    interval_log_rank,
    overlapping,
    turnbull,
)
from observatory.analysis.times.estimators.kaplan_meier import (
    kaplan_meier,
    restricted_mean,
    share_limits,
)
from observatory.analysis.times.estimators.survival import Survival, log_rank
from observatory.analysis.times.figure_survival import curve_name
from observatory.core.errors import FitRefusedError
from tests.made_times import Made

FREIREICH = {
    0: ([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], 9),
    1: ([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], 21),
}
"""Weeks in remission, the first so many seen to end: Freireich et al. (1963), in every textbook."""


def textbook(group: int) -> tuple[np.ndarray, np.ndarray]:
    times, n_seen = FREIREICH[group]
    return np.array(times, dtype=float), np.arange(len(times)) < n_seen


def test_the_textbook_curve_and_test() -> None:
    """Printed in Kalbfleisch and Prentice to 3 or 4 digits: S(6) = .857, S(23) = .448, 16.79."""
    time, seen = textbook(0)
    curve = kaplan_meier(time, seen, 0.95)
    at = {step: round(float(s), 3) for step, s in zip(curve.time, curve.survival, strict=True)}
    assert at == {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert curve.median == 23.0
    times, seens = zip(textbook(0), textbook(1), strict=True)
    found = log_rank(np.concatenate(times), np.concatenate(seens), np.repeat([0.0, 1.0], 21))
    assert found == pytest.approx(16.79, abs=5e-3)


def test_limits_of_counts_are_clopper_and_pearsons() -> None:
    """Everyone watched alike, 3 of 8 at once and 2 later: k of 8 by quantiles of beta."""
    time = np.array([100.0] * 3 + [300.0] * 2 + [500.0] * 3)
    low, high = share_limits(kaplan_meier(time, time < 500.0, 0.95), 500.0, 0.95)
    for i, k in enumerate((0, 3, 5)):
        assert low[i] == pytest.approx(0.0 if k == 0 else beta.ppf(0.025, k, 9 - k), rel=1e-12)
        assert high[i] == pytest.approx(beta.ppf(0.975, k + 1, 8 - k), rel=1e-12)
    everyone = kaplan_meier(np.array([100.0, 200.0]), np.array([True, True]), 0.95)
    assert share_limits(everyone, 500.0, 0.95)[1][-1] == 1.0


def test_limits_of_censored_records_are_quantiles_of_products_of_betas() -> None:
    """20 000 draws of the product: a quantile near 0.9 has an error of 0.003; moments, of 0.005.

    Two records of 6 end at 150 steps, between the events: then the second limit from above is of
    the two that are left, not of the four before it.
    """
    time = np.array([100.0, 150.0, 150.0, 200.0, 300.0, 400.0])
    seen = np.array([True, False, False, True, False, False])
    low, high = share_limits(kaplan_meier(time, seen, 0.95), 400.0, 0.95)
    draw = np.random.default_rng(0)
    first = draw.beta(6.0, 1.0, 20_000)
    after = first * draw.beta(3.0, 1.0, 20_000)
    assert low[1:] == pytest.approx(1.0 - np.quantile([first, after], 0.975, axis=1), abs=0.02)
    ends = [first * draw.beta(3.0, 1.0, 20_000), after * draw.beta(1.0, 1.0, 20_000)]
    assert high[1:] == pytest.approx(1.0 - np.quantile(ends, 0.025, axis=1), abs=0.02)


def test_few_events_have_the_limits_of_the_curve() -> None:
    """1 of 4 at 100 steps of 400: the areas below the shares that Clopper and Pearson allow."""
    time, seen = np.array([100.0, 400.0, 400.0, 400.0]), np.array([True, False, False, False])
    mean = restricted_mean(kaplan_meier(time, seen, 0.95), 400.0, 0.95)
    none, one = (beta.ppf(0.025, k, 5 - k) for k in (4, 3))
    assert mean.value == 325.0
    assert mean.ci_low == pytest.approx(100.0 * none + 300.0 * one)
    assert mean.ci_high == pytest.approx(100.0 + 300.0 * beta.ppf(0.975, 4, 1))
    nobody = restricted_mean(kaplan_meier(np.full(4, 400.0), seen & False, 0.95), 400.0, 0.95)
    assert (nobody.value, nobody.se, nobody.ci_high) == (400.0, None, 400.0)
    assert nobody.ci_low == pytest.approx(400.0 * none)


def test_with_everyone_watched_it_is_counting() -> None:
    """Share = k / n, medians as `waiting_time`, restricted mean = mean of min(t, T) with its se."""
    made = Made()
    data = made.one(0)
    found = Survival(window_max=1.0, level=0.95).fit(data, seed=0)
    curves = found.curves
    for i, cell in enumerate(made.cells):
        at = data.weight_decay == cell
        cut = np.minimum(np.where(data.grokked, data.time, np.inf)[at], made.horizon)
        assert curves["rmst.value"][i] == pytest.approx(cut.mean(), rel=1e-12)
        assert curves["rmst.se"][i] == pytest.approx(cut.std(ddof=1) / np.sqrt(8), rel=1e-9)
        half = t.ppf(0.975, 7) * cut.std(ddof=1) / np.sqrt(8)
        if data.grokked[at].sum() >= 5:
            assert curves["rmst.low"][i] == pytest.approx(max(cut.mean() - half, 0.0), rel=1e-9)
        steps = np.array(curves["km.weight_decay"]) == cell
        last = np.array(curves["km.share"])[steps][-1]
        assert last == pytest.approx(data.grokked[at].mean(), abs=1e-12)
        assert np.array(curves["km.step"])[steps][-1] == made.horizon
        median = waiting_time(data.time[at & data.grokked], 8, 0.5)
        assert (curves["median.value"][i] or np.nan) == pytest.approx(median, nan_ok=True)
    assert found.extras["logrank_df"] == 7
    assert found.extras["logrank_p"] == pytest.approx(chi2.sf(found.extras["logrank_chi2"], 7))


def test_collapsed_replicas_stay_among_those_that_have_not_grokked() -> None:
    """One minus the curve is the cumulative incidence: 2 of 4, not 2 of the 3 that were left."""
    nan = np.nan
    data = Observations(
        np.full(4, 0.1),
        np.array([True, False, True, False]),
        np.array([100.0, nan, 300.0, nan]),
        "first99",
        500,
        None,
        watched=np.array([100.0, 200.0, 300.0, 500.0]),
        competing=np.array([False, True, False, False]),
    )
    found = Survival(window_max=1.0, level=0.95).fit(data, seed=0)
    assert found.curves["km.share"] == pytest.approx([0.0, 0.25, 0.5, 0.5])
    assert found.extras["n_competing"] == 1
    assert any("never having the event (1)" in w for w in found.warnings)
    assert "logrank_p" not in found.extras


def test_groups_without_events_and_without_censored_runs_are_drawn() -> None:
    data = Made(cells=(0.001, 1.0)).one(0)
    curves = Survival(window_max=1.0, level=0.95).fit(data, seed=0).curves
    assert curves["rmst.value"][0] == 6000.0
    assert curves["rmst.se"][0] is curves["median.value"][0] is None
    assert curves["km.share"][:2] == [0.0, 0.0]
    assert curves["km.share"][-1] == 1.0
    assert curves["km.high"][-1] == 1.0
    assert curves["km.high"][:2] == pytest.approx([1.0 - 0.025 ** (1 / 8)] * 2)


def test_weights_are_repeated_rows() -> None:
    data = Made().one(1)
    twice = Survival(window_max=1.0, level=0.95).fit(
        replace(data, weight=np.full(data.grokked.size, 2.0)), seed=0
    )
    once = Survival(window_max=1.0, level=0.95).fit(data, seed=0)
    assert twice.n == 2 * once.n
    assert twice.curves["km.share"] == pytest.approx(once.curves["km.share"])
    assert twice.extras["logrank_chi2"] == pytest.approx(2 * once.extras["logrank_chi2"], rel=0.05)


def test_a_restricted_mean_ends_at_the_horizon() -> None:
    curve = kaplan_meier(np.array([100.0, 300.0]), np.array([True, True]), 0.95)
    assert restricted_mean(curve, 200.0, 0.95).value == 150.0
    assert restricted_mean(curve, 400.0, 0.95).value == 200.0
    alone = kaplan_meier(np.array([100.0]), np.array([True]), 0.95)
    assert restricted_mean(alone, 400.0, 0.95).se is None


def test_without_a_horizon_curves_end_where_the_last_open_one_does() -> None:
    """All of 1.0 grok early: its curve is known beyond its last event, to the end of 0.1's."""
    data = Observations(
        np.array([0.1, 0.1, 1.0, 1.0, 2.0]),
        np.array([True, False, True, True, True]),
        np.array([900.0, np.nan, 100.0, 200.0, 4000.0]),
        "first99",
        None,
        None,
        watched=np.array([900.0, 2500.0, 100.0, 200.0, 4000.0]),
    )
    found = Survival(window_max=2.0, level=0.95).fit(data, seed=0)
    assert found.extras["rmst_steps"] == 2500.0
    assert found.curves["rmst.value"] == pytest.approx([1700.0, 150.0, 2500.0])
    decays, steps = (np.array(found.curves[f"km.{name}"]) for name in ("weight_decay", "step"))
    for decay, last in ((0.1, 2500.0), (1.0, 2500.0), (2.0, 4000.0)):
        assert (np.diff(steps[decays == decay]) >= 0).all()
        assert steps[decays == decay][-1] == last
    said = "The table names no horizon: restricted means count at most 2500 steps, "
    assert found.warnings == [f"{said}the end of the records at weight decay 0.1."]
    everyone = Survival(window_max=2.0, level=0.95).fit(data.take(data.grokked), seed=0)
    assert everyone.extras["rmst_steps"] == 4000.0
    assert everyone.warnings[0].endswith("at most 4000 steps, the latest time.")


def test_nothing_to_show_is_refused() -> None:
    data = Made(cells=(0.001, 0.002)).one(0)
    with pytest.raises(
        FitRefusedError, match=r"the 16 up to weight decay 0\.002 had the event `first99`"
    ):
        Survival(window_max=1.0, level=0.95).fit(data, seed=0)
    untimed = replace(Made().one(0), time=np.full(64, np.nan))
    with pytest.raises(FitRefusedError, match="at an unknown time"):
        Survival(window_max=1.0, level=0.95).fit(untimed, seed=0)


def test_halved_rows_add_up_and_fractions_are_refused() -> None:
    control, time = np.array([0.1, 0.1, 1.0, 1.0]), np.array([900.0, np.nan, 300.0, 400.0])
    fit = Survival(window_max=1.0, level=0.95)

    def table(copies: int, weight: float | None) -> Observations:
        weights = None if weight is None else np.full(4 * copies, weight)
        times = np.tile(time, copies)
        return Observations(
            np.tile(control, copies), ~np.isnan(times), times, "first99", 2500, 1, weight=weights
        )

    once, halved = fit.fit(table(1, None), seed=0), fit.fit(table(2, 0.5), seed=0)
    assert once.curves == halved.curves
    assert once.extras["logrank_chi2"] == halved.extras["logrank_chi2"]
    with pytest.raises(FitRefusedError, match="add up to fractions"):
        fit.fit(table(1, 0.4), seed=0)


def test_every_value_of_the_control_has_a_curve() -> None:
    """No axis of the control, so no window and no log: 0 and 8 are there."""
    data = Observations(
        np.array([0.0, 0.0, 0.1, 8.0]),
        np.array([False, False, False, True]),
        np.array([np.nan, np.nan, np.nan, 300.0]),
        "first99",
        500,
        None,
    )
    found = Survival(window_max=None, level=0.95).fit(data, seed=0)
    assert found.curves["rmst.weight_decay"] == [0.0, 0.1, 8.0]
    assert found.n == 4
    assert Survival(window_max=8.0, level=0.95).fit(data, seed=0).n == 4
    with pytest.raises(FitRefusedError, match=r"the 3 up to weight decay 0\.1 had the event"):
        Survival(window_max=1.0, level=0.95).fit(data, seed=0)


def test_the_likeliest_distribution_of_intervals_is_a_fixed_point() -> None:
    """Disjoint intervals: counting. Two that overlap with a third: all mass where they meet."""
    ends, mass = turnbull(np.array([0.0, 0.0, 10.0]), np.array([10.0, 10.0, 20.0]), np.ones(3))
    assert ends.tolist() == [10.0, 20.0]
    assert mass == pytest.approx([2 / 3, 1 / 3])
    ends, mass = turnbull(np.array([0.0, 5.0, 8.0]), np.array([9.0, 20.0, np.inf]), np.ones(3))
    assert ends[np.argmax(mass)] == 9.0
    assert mass.max() == pytest.approx(1.0)


def test_of_intervals_that_do_not_overlap_the_test_is_near_the_usual_one() -> None:
    """Permutation in place of the hypergeometric variance: 15 % at 64 replicas in drawn groups.

    Where groups differ much the two variances do too, since permutation mixes the groups.
    """
    data = Made(cells=(0.1, 0.2), n_seeds=32).one(2)
    low, high = bounds_of(data)
    for draw in range(4):
        group = np.random.default_rng(draw).permutation(data.weight_decay)
        seen = log_rank(data.followed, data.grokked, group)
        found = interval_log_rank(low, high, np.ones(64), group)
        assert found == pytest.approx(seen, rel=0.15, abs=0.01)
    assert not overlapping(data)


def test_wide_intervals_have_the_curve_of_intervals() -> None:
    """Nobody is seen twice: tumours by the age at death, or none by then."""
    rng = np.random.default_rng(3)
    truth = np.concatenate([rng.exponential(500.0, 60), rng.exponential(1500.0, 60)])
    look = np.ceil(rng.uniform(1.0, 2000.0, 120))
    seen = truth <= look
    data = Observations(
        np.repeat([1.0, 2.0], 60),
        seen,
        np.where(seen, look, np.nan),
        "tumour",
        None,
        None,
        time_lo=np.where(seen, 0.0, np.nan),
        watched=look,
    )
    found = Survival(window_max=None, level=0.95).fit(data, seed=0)
    first, second = found.curves["median.value"]
    assert 150.0 < first < 800.0
    assert second > first
    assert found.extras["logrank_p"] < 0.01
    assert found.curves["rmst.value"] == [None, None]
    assert any("overlap in part" in warning for warning in found.warnings)
    assert found.estimator == "turnbull"
    assert not any("horizon" in warning for warning in found.warnings)
    assert Survival(window_max=None, level=0.95).fit(Made().one(0), 0).estimator == "kaplan_meier"


def test_a_group_is_no_critical_value() -> None:
    """A control that is called group: survival has no critical point, and says nothing of one."""
    data = replace(Made(cells=(0.04, 1.0)).one(0), horizon_steps=None, control="group")
    found = Survival(window_max=None, level=0.95).fit(data, seed=0)
    assert not any("critical" in warning for warning in found.warnings)
    assert "the end of the records at group 0.04." in found.warnings[0]
    assert data.horizon_warnings == [
        "The table names no horizon: the critical value of group depends on it."
    ]


def test_curves_are_named_by_what_they_are_in_older_records_too() -> None:
    method = "likeliest curves of intervals (Turnbull); competing events as open"
    older = {"estimator": "kaplan_meier", "extras": {"method": method}}
    assert curve_name(older) == "Turnbull, of intervals"
    assert curve_name({"estimator": "turnbull", "extras": {}}) == "Turnbull, of intervals"
    assert curve_name({"estimator": "kaplan_meier"}) == "Kaplan-Meier"
