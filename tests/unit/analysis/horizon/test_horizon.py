"""The boundary at many horizons, what the laws foretell, the verdict, and what would decide."""

from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.boundary.estimators.likelihood import firth_points
from observatory.analysis.horizon.estimators.boundary import boundaries, shorter_horizons
from observatory.analysis.horizon.estimators.foresight import (
    Design,
    expected_ratio,
    expected_records,
    needed_ratio,
)
from observatory.analysis.horizon.estimators.horizon import Horizon
from observatory.analysis.horizon.estimators.verdict import Evidence, foretold, verdict_of
from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.analysis.times.estimators.aft_law import Times
from observatory.analysis.times.estimators.aft_table import sample_of, table_of
from observatory.core.errors import FitRefusedError
from tests.made_times import Made

pytestmark = pytest.mark.usefixtures("without_checks_of_calls")

LONG = Made(n_seeds=16, cells=(0.02, 0.03, 0.045, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 1.0))
THRESHOLD = replace(LONG, critical=0.2)


def judge(**changes) -> Horizon:
    numbers = {"window_max": 1.0, "held_out": 0.5, "n_horizons": 6, "n_grid": 48}
    return Horizon(**{**numbers, "n_bootstrap": 60, "level": 0.95, **changes})


def test_boundaries_are_firths_of_the_censored_table() -> None:
    data = LONG.one(0)
    horizons = np.array([1000.0, 6000.0])
    drawn = np.random.default_rng(0).integers(0, 3, (3, data.grokked.size)).astype(float)
    found = boundaries(data, horizons, drawn)
    cells = np.unique(data.weight_decay)
    for i, row in enumerate(drawn):
        for j, steps in enumerate(horizons):
            cut = data.at_horizon(steps)
            n = np.array([row[data.weight_decay == c].sum() for c in cells])
            k = np.array([(row * cut.grokked)[data.weight_decay == c].sum() for c in cells])
            plain = firth_points(np.log10(cells), n[None], k[None])[0, 0]
            assert found[i, j] == pytest.approx(10.0**plain, rel=1e-9)


def test_all_or_none_grokked_is_an_end() -> None:
    data = LONG.one(0)
    ones = np.ones((1, data.grokked.size))
    assert boundaries(data, np.array([1.0]), ones)[0, 0] == np.inf
    all_grokked = data.take(data.weight_decay >= 0.2)
    assert boundaries(all_grokked, np.array([6000.0]), np.ones((1, 64)))[0, 0] == 0.0


def test_horizons_go_down_to_where_a_boundary_is_found() -> None:
    data = LONG.one(0)
    horizons = shorter_horizons(data, 6000.0, 8)
    assert horizons[-1] == pytest.approx(6000.0)
    assert np.diff(np.log(horizons)) == pytest.approx(np.full(7, np.log(6000 / horizons[0]) / 7))
    first = boundaries(data, horizons[:1], np.ones((1, data.grokked.size)))[0, 0]
    assert 0.3 < first < 1.0


@pytest.mark.slow
def test_without_a_threshold_laws_and_boundary_agree() -> None:
    """t = 300 / weight_decay: the boundary is at 300 / T; 16 seeds know it to about 10 %."""
    found = judge().fit(LONG.one(0), seed=0)
    assert found.extras["verdict"] == "horizon artefact"
    assert "cross the horizon" in found.extras["reason"]
    assert found.params["critical"].value == pytest.approx(0.05, rel=0.15)
    assert found.extras["smallest_visible"] == 0.5 * found.params["critical"].value
    steps = np.array(found.curves["boundary.horizon"])
    assert np.array(found.curves["boundary.critical"]) == pytest.approx(300 / steps, rel=0.25)
    for name in ERRORS:
        at = np.array(found.curves[f"law_zero_{name}.horizon"])
        assert at[-1] == pytest.approx(4 * 6000)
        law = np.array(found.curves[f"law_zero_{name}.critical"])
        assert law == pytest.approx(300 / at, rel=0.25)
        assert found.extras[f"held_out_ratio_{name}"] == pytest.approx(1.0, abs=0.3)
        assert (
            found.extras[f"held_out_ratio_low_{name}"]
            < found.extras[f"held_out_ratio_{name}"]
            < found.extras[f"held_out_ratio_high_{name}"]
        )


@pytest.mark.slow
def test_a_threshold_is_found_and_its_laws_stop_there() -> None:
    found = judge().fit(THRESHOLD.one(0), seed=0)
    assert found.extras["verdict"] == "threshold"
    assert "deciding_horizon" not in found.extras
    assert max(found.extras[f"aic_rival_gain_{name}"] for name in ERRORS) < -2
    assert found.extras["lower_window_max"] == 0.5
    assert found.params["critical"].value == pytest.approx(0.25, rel=0.15)
    free = found.params["critical_free"]
    assert free.ci_low < 0.2 < free.ci_high
    assert found.curves["law_free_lognormal.critical"][-1] > 0.15
    assert all(found.extras[f"flattens_{name}"] for name in ERRORS)
    assert any("cannot be seen" in w for w in found.warnings)


@pytest.mark.slow
def test_too_few_seeds_cannot_tell_and_say_what_would() -> None:
    found = judge().fit(Made(n_seeds=5, cells=(0.03, 0.06, 0.1, 0.2, 0.5, 1.0)).one(3), seed=0)
    assert found.extras["verdict"] == "cannot tell"
    assert found.extras["deciding_horizon"] >= 6000
    assert found.extras["deciding_seeds_factor"] >= 1
    assert found.extras["deciding_lowest"] < 0.03
    assert f"{found.extras['deciding_horizon']} steps" in found.extras["reason"]


@pytest.mark.slow
def test_too_short_a_held_out_horizon_cannot_tell() -> None:
    """At 2 % of the horizon nobody had grokked: nothing is foretold, no threshold is claimed."""
    found = judge(held_out=0.02).fit(THRESHOLD.one(0), seed=0)
    assert found.extras["verdict"] == "cannot tell"
    assert "cannot be foretold" in found.extras["reason"]
    assert "flattens_weibull" not in found.extras


def evidence(
    p: float,
    upper: float,
    zero: float | None,
    free: float | None,
    gain: float = -9.0,
    lower: float | None = None,
) -> Evidence:
    sample = sample_of(LONG.one(0))
    table = table_of(sample, ERRORS["weibull"], 0.02, 48)
    gains = {"constant": -9.0, "large": -9.0, "small": gain, "curved": -9.0}
    return Evidence(table, table, 1.0, p, upper, gains, lower, zero, free, np.zeros(0))


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([(0.01, 0.09, 0.04, 0.08)] * 3, "threshold"),
        ([(0.01, 0.09, 0.04, 0.08)] * 2 + [(0.06, 0.09, 0.04, 0.08)], "cannot tell"),
        ([(0.01, 0.09, 0.09, 0.3)] * 3, "cannot tell"),
        ([(0.5, 0.02, 0.1, 0.1)] * 3, "horizon artefact"),
        ([(0.5, 0.02, 0.1, 0.1)] * 2 + [(0.5, 0.03, 0.1, 0.1)], "cannot tell"),
        ([(0.01, 0.02, 0.1, 0.12)] * 3, "horizon artefact"),
        ([(0.01, 0.09, None, None)] * 3, "cannot tell"),
        ([(0.01, 0.09, 0.04, 0.08)] * 2 + [(0.01, 0.09, 0.04, 0.08, -2.0)], "cannot tell"),
        ([(0.01, 0.09, 0.04, 0.08)] * 2 + [(0.01, 0.09, 0.04, 0.08, -2.1)], "threshold"),
        ([(0.01, 0.09, 0.04, 0.08)] * 2 + [(0.01, 0.09, 0.04, 0.08, -9, 0.009)], "cannot tell"),
        ([(0.01, 0.09, 0.04, 0.08)] * 2 + [(0.01, 0.09, 0.04, 0.08, -9, 0.011)], "threshold"),
    ],
)
def test_verdicts_need_all_three(found: list, verdict: str) -> None:
    """The boundary is at 0.1: flat is above the geometric mean of what is foretold.

    A rival within 2 of AIC under one distribution, or a critical weight decay of 0.02 that falls
    below half without the largest weight decays, is enough against a threshold.
    """
    each = {name: evidence(*numbers) for name, numbers in zip(ERRORS, found, strict=True)}
    assert verdict_of(each, 0.1, 0.95, "weight decay")[0] == verdict


@pytest.mark.slow
def test_rivals_that_bend_at_either_end_are_found() -> None:
    """Times that bend without a threshold: the rival of that bend is named in the reason."""
    for made, words in (
        (replace(LONG, large=(0.7, 3.0), noise=0.1), "fall more slowly at large values of the"),
        (replace(LONG, small=(0.06, 1.0), noise=0.1), "rise faster at small values of the"),
    ):
        found = judge().fit(made.one(0), seed=0)
        assert found.extras["verdict"] == "cannot tell"
        assert words in found.extras["reason"]


@pytest.mark.parametrize("name", sorted(ERRORS))
def test_expected_records_are_the_mean_of_simulated_ones(name: str) -> None:
    """Their maximum is the truth, and their ratio that of 10 000 seeds, per seed: to 15 %.

    The ratio of 10 000 seeds, about 1500, varies by twice its root, 5 %; three times that.
    """
    made = Made(distribution=name, critical=0.02, noise=0.25)
    errors = ERRORS[name]
    many = replace(made, n_seeds=10_000)
    truth = table_of(sample_of(made.one(0)), errors, 0.02, 48).law
    truth = replace(
        truth,
        nu=np.ones(1),
        log_amplitude=np.log([300.0]),
        sigma=np.array([0.25]),
        theta=np.array([[4.0, errors.median - 4.0 * np.log(300.0), 4.0]]),
    )
    design = Design(np.array(made.cells), np.full(8, 8.0))
    records, weights = expected_records(errors, truth, design, 6000.0)
    assert weights.sum() == pytest.approx(64.0)
    back = Times(errors, records, weights).at_critical(np.array([0.02]), truth.theta)
    assert back.nu[0] == pytest.approx(1.0, abs=0.01)
    assert back.sigma[0] == pytest.approx(0.25, rel=0.01)
    sample = sample_of(many.one(1))
    laws = [table_of(sample, errors, critical, 48).law for critical in (0.02, 0.0)]
    per_seed = 2.0 * (laws[0].loglik[0] - laws[1].loglik[0]) / 10_000
    assert expected_ratio(errors, truth, 0.0, design, 6000.0) == pytest.approx(
        8.0 * per_seed, rel=0.15
    )


def test_designs_go_on_at_their_spacing() -> None:
    design = Design(np.array([0.1, 0.2, 0.4]), np.array([8.0, 8.0, 6.0])).down_to(0.03)
    assert design.control == pytest.approx([0.025, 0.05, 0.1, 0.2, 0.4])
    assert design.n.tolist() == [8.0, 8.0, 8.0, 8.0, 6.0]
    assert needed_ratio(0.95, 0.5) == pytest.approx(2.706, abs=1e-3)


@pytest.mark.slow
def test_a_separated_boundary_has_the_limits_of_its_profile() -> None:
    """Resamples of separated counts all agree: their interval would be [0.0566, 0.0566]."""
    data = replace(Made(noise=0.01, cells=(0.02, 0.04, 0.08, 0.2, 1.0)), look=5.0).one(0)
    found = judge().fit(data, seed=0)
    critical = found.params["critical"]
    assert 0.04 < critical.ci_low < 0.05
    assert 0.065 < critical.ci_high < 0.08
    assert critical.se > 1e-3
    assert found.curves["boundary.low"][-1] == critical.ci_low


@pytest.mark.slow
def test_a_critical_point_at_the_end_of_its_search_carries_no_verdict() -> None:
    """Few weight decays, far apart: 0.9999 of the smallest that grokked is no estimate."""
    decays = np.repeat([0.01, 0.03, 0.1, 0.3, 1.0], [3, 3, 2, 3, 3])
    steps = [np.nan] * 3 + [8300, 12200, 11100, 3800, 4100, 2600, 3400, 3000, 3300, 2900, 3200]
    time = np.array(steps, dtype=float)
    data = Observations(decays, ~np.isnan(time), time, "t_grok", 20_000, None)
    found = judge().fit(data, seed=0)
    assert found.extras["verdict"] == "cannot tell"
    assert "at the end of its search" in found.extras["reason"]
    assert set(found.params) == {"critical"}
    assert found.params["critical"].value == pytest.approx(0.01744, abs=1e-4)
    limits = (found.params["critical"].ci_low, found.params["critical"].ci_high)
    assert limits == pytest.approx((0.00288, 0.04737), rel=1e-2)


def test_what_cannot_be_judged_is_refused() -> None:
    data = LONG.one(0)
    with pytest.raises(FitRefusedError, match="at an unknown time"):
        judge().fit(replace(data, time=np.full(data.time.size, np.nan)), seed=0)
    with pytest.raises(FitRefusedError, match="Every replica had the event `"):
        judge().fit(data.take(data.weight_decay >= 0.15), seed=0)
    with pytest.raises(FitRefusedError, match="needs times at 3"):
        judge(window_max=0.05).fit(data, seed=0)


def test_times_that_do_not_depend_on_the_control_are_refused() -> None:
    """Half of the replicas grok at every weight decay: there is no boundary to move."""
    data = LONG.one(0)
    rng = np.random.default_rng(1)
    seen = rng.random(data.time.size) < 0.5
    time = 25.0 * rng.integers(20, 200, data.time.size)
    flat = replace(data, grokked=seen, time=np.where(seen, time, np.nan), time_lo=None)
    with pytest.raises(FitRefusedError, match="does not rise more than a constant rate"):
        judge().fit(flat, seed=0)


def test_a_boundary_outside_of_what_was_tried_is_refused() -> None:
    data = LONG.one(0)
    few = data.take((data.weight_decay >= 0.07) & (data.weight_decay <= 0.3))
    with pytest.raises(FitRefusedError, match=r"outside the weight decays tried, 0\.07 to 0\.3"):
        shorter_horizons(few, 6000.0, 8)


def test_a_law_without_a_boundary_foretells_nothing() -> None:
    """Times that hardly depend on the weight decay, or grow with it."""
    law = table_of(sample_of(LONG.one(0)), ERRORS["weibull"], 0.0, 48).law
    assert foretold(law, 6000.0) == pytest.approx(0.05, rel=0.2)
    for nu in (1e-6, -0.5):
        for steps in (1.0, 1e9):
            assert foretold(replace(law, nu=np.array([nu])), steps) is None


@pytest.mark.slow
def test_a_fall_of_the_rate_is_told() -> None:
    data = LONG.one(0)
    lost = (data.weight_decay == 0.3) & (np.arange(data.time.size) % 3 == 0)
    fallen = replace(
        data, grokked=data.grokked & ~lost, time=np.where(lost, np.nan, data.time), time_lo=None
    )
    assert any("not monotone" in warning for warning in judge().fit(fallen, seed=0).warnings)
