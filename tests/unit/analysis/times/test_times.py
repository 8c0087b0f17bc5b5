from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.stats.observations import Observations
from observatory.analysis.times.estimators.comparison import TimeComparison
from observatory.analysis.times.estimators.power_law import (
    bootstrap_law,
    fit_law,
    fit_line,
    uncensored,
)
from observatory.analysis.times.estimators.uncensored import TimePowerLaw
from observatory.core.errors import ConfigError, FitRefusedError

DECAYS = np.repeat([0.1, 0.15, 0.2, 0.3, 0.5, 1.0], 8)


def planted(
    nu=0.9, critical=0.0, amplitude=300.0, noise=0.0, seed=0, known: float | None = None
) -> Observations:
    rng = np.random.default_rng(seed)
    time = amplitude * (DECAYS - critical) ** -nu * np.exp(noise * rng.normal(size=DECAYS.size))
    return Observations(DECAYS, np.ones(DECAYS.size, dtype=bool), time, "first99", 2500, 1, known)


def law(critical: str, **changes) -> TimePowerLaw:
    numbers = {"window_max": 1.0, "n_grid": 400, "n_bootstrap": 200, "level": 0.95}
    return TimePowerLaw(critical=critical, **{**numbers, **changes})


def test_exact_laws_are_found() -> None:
    """Without noise only rounding is left: 1e-9; the free one is a minimum, known to 1e-6."""
    data, ones = planted(nu=0.7, critical=0.05), np.ones(DECAYS.size)
    point, (log_amplitude, nu, rss) = fit_law(DECAYS, data.time, ones, "boundary", 0.05, 400)
    assert (point, nu, np.exp(log_amplitude)) == pytest.approx((0.05, 0.7, 300.0), rel=1e-9)
    assert rss < 1e-12  # a difference of sums of squares near 100
    point, (_, nu, _) = fit_law(DECAYS, data.time, ones, "free", None, 400)
    assert (point, nu) == pytest.approx((0.05, 0.7), rel=1e-5)


def test_a_critical_point_at_the_end_of_its_search_is_refused() -> None:
    """Times at the smallest weight decay are longer than any power law has them."""
    time = np.where(DECAYS == 0.1, 9000.0, 300.0 * DECAYS**-0.1)
    data = Observations(DECAYS, DECAYS > 0, time, "first99", 20_000, 1)
    with pytest.raises(FitRefusedError, match=r"with the event, 0\.1: the end of its search"):
        law("free").fit(data, seed=0)


def test_a_free_critical_point_stops_at_zero() -> None:
    """Times that bend the other way than a positive critical point would have them."""
    time = 300.0 * (DECAYS + 0.1) ** -0.9
    data = Observations(DECAYS, DECAYS > 0, time, "first99", 2500, 1)
    found = law("free").fit(data, seed=0)
    assert found.params["critical"].value == 0.0
    assert found.params["critical"].se is None
    assert any("the end of its range" in warning for warning in found.warnings)


def test_a_free_critical_point_at_the_end_of_its_search_is_refused() -> None:
    """Its optimum lies 5e-6 below the smallest weight decay that grokked, and nu is no exponent."""
    decays = np.repeat([0.03, 0.1, 0.3, 1.0], [3, 2, 3, 3])
    times = np.array([8300.0, 12200, 11100, 3800, 4100, 2600, 3400, 3000, 3300, 2900, 3200])
    with pytest.raises(FitRefusedError, match="the end of its search, not an estimate"):
        fit_law(decays, times, np.ones(11), "free", None, 400)


def test_weighted_lines_equal_repeated_rows() -> None:
    rng = np.random.default_rng(1)
    u, y = rng.normal(size=12), rng.normal(size=12)
    weights = rng.integers(0, 4, size=(5, 12))
    found = fit_line(u, y, weights.astype(float))
    for row, w in zip(found, weights, strict=True):
        slope, offset = np.polyfit(np.repeat(u, w), np.repeat(y, w), 1)
        rss = np.square(np.repeat(y - offset - slope * u, w)).sum()
        assert row == pytest.approx([offset, -slope, rss], rel=1e-9)


def test_a_line_through_one_place_is_nan() -> None:
    assert np.isnan(
        fit_line(np.array([1.0, 1.0, 2.0]), np.ones(3), np.array([1.0, 1.0, 0.0]))
    ).all()


def test_bootstrap_of_a_free_law_equals_refits_on_the_grid() -> None:
    data = planted(critical=0.05, noise=0.1)
    weights = np.random.default_rng(0).integers(1, 4, size=(6, DECAYS.size)).astype(float)
    draws = bootstrap_law(DECAYS, data.time, weights, None, 100)
    grid = np.linspace(0.0, 0.1, 100, endpoint=False)
    for draw, w in zip(draws, weights, strict=True):
        lines = [fit_line(np.log(DECAYS - c), np.log(data.time), w) for c in grid]
        best = int(np.argmin([line[2] for line in lines]))
        assert draw == pytest.approx([grid[best], *lines[best][:2]])


@pytest.mark.parametrize("critical", ["zero", "free"])
def test_a_weighted_row_is_that_many_replicas(critical: str) -> None:
    times = np.random.default_rng(2).integers(1, 4, DECAYS.size)
    data = replace(planted(critical=0.03, noise=0.2), weight=times.astype(float))
    each = np.repeat(np.arange(DECAYS.size), times)
    repeated = replace(
        planted(), weight_decay=DECAYS[each], grokked=data.grokked[each], time=data.time[each]
    )
    one, other = (law(critical).fit(table, seed=0) for table in (data, repeated))
    assert one.n == other.n == times.sum()
    for name, parameter in one.params.items():
        assert parameter.value == pytest.approx(other.params[name].value, rel=1e-6)
        # both intervals come from 200 draws of the same distribution
        assert parameter.se == pytest.approx(other.params[name].se, rel=0.3)
    for name in ("aic", "aicc", "rms_log", "n_grokked"):
        assert one.extras[name] == pytest.approx(other.extras[name], rel=1e-6)
    laws = [TimeComparison(1.0, 400, 0.95).fit(table, seed=0).extras for table in (data, repeated)]
    assert laws[0]["delta_aicc"] == pytest.approx(laws[1]["delta_aicc"], rel=1e-6)


def test_seeds_with_an_effect_of_their_own_are_drawn_whole() -> None:
    """Seeds differ in the exponent: replicas drawn alone would make the interval too narrow."""
    seed = np.tile(np.arange(8), 6)
    steeper = np.random.default_rng(0).normal(0.0, 0.3, 8)[seed]
    time = 300.0 * DECAYS ** -(0.9 + steeper)
    data = replace(planted(), time=time, seed=seed)
    together, alone = (
        law("zero").fit(table, seed=0).params["nu"].se for table in (data, replace(data, seed=None))
    )
    assert together is not None
    assert alone is not None
    assert together > 1.3 * alone


def test_censored_runs_are_counted_out() -> None:
    grokked = np.arange(DECAYS.size) >= 5
    time = np.where(grokked, 500.0, np.nan)
    time[-1] = np.nan
    data = Observations(DECAYS, grokked, time, "verma", 2500, 1)
    keep, notes = uncensored(data, above=0.15)
    assert keep.sum() == DECAYS.size - 16 - 1
    assert notes == [
        "Uncensored replicas only: those without the event are left out (5).",
        "Replicas with the event at an unknown time are left out (1).",
        "Replicas with the event at or below the critical point are left out (11).",
    ]


def test_intervals_carry_level_n_and_horizon() -> None:
    found = law("zero").fit(planted(noise=0.2), seed=3)
    nu = found.params["nu"]
    assert nu.ci_low is not None
    assert nu.ci_high is not None
    assert nu.ci_low < nu.value < nu.ci_high
    assert (found.n, found.level, found.horizon_steps, found.horizon_epochs) == (
        48,
        0.95,
        2500,
        2500,
    )
    assert found.extras["critical"] == 0.0
    assert found.to_json() == law("zero").fit(planted(noise=0.2), seed=3).to_json()


def test_the_boundary_law_needs_a_boundary() -> None:
    with pytest.raises(FitRefusedError, match="No critical weight decay to hold fixed"):
        law("boundary").fit(planted(), seed=0)
    found = law("boundary").fit(planted(critical=0.05, known=0.05), seed=0)
    assert found.extras["critical"] == 0.05
    assert any("held at its point estimate" in warning for warning in found.warnings)


def test_too_few_times_are_refused() -> None:
    none = Observations(DECAYS, DECAYS < 0, np.full(DECAYS.size, np.nan), "first99", 2500, 1)
    with pytest.raises(FitRefusedError, match="got 0 replicas at 0"):
        law("zero").fit(none, seed=0)
    with pytest.raises(FitRefusedError, match="got 8 replicas at 1"):
        law("zero", window_max=0.1).fit(planted(), seed=0)
    with pytest.raises(FitRefusedError, match="needs times at 3 weight decays"):
        law("free", window_max=0.15).fit(planted(), seed=0)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="`critical` must be among"):
        law("best")


@pytest.mark.parametrize(("critical", "verdict"), [(0.0, "zero"), (0.09, "free")])
def test_comparison_prefers_the_planted_law(critical: float, verdict: str) -> None:
    given = planted(critical=critical, noise=0.02, seed=1, known=0.04)
    found = TimeComparison(window_max=1.0, n_grid=400, level=0.95).fit(given, seed=0)
    assert found.extras["preferred"] == verdict
    assert found.extras["critical_boundary"] == 0.04
    assert found.n == 48


def test_comparison_uses_one_set_of_replicas() -> None:
    given = planted(noise=0.1, known=0.12)
    found = TimeComparison(window_max=1.0, n_grid=400, level=0.95).fit(given, seed=0)
    assert found.n == 40
    assert any("at or below the critical point are left out (8)" in w for w in found.warnings)


def test_aic_is_that_of_normal_noise() -> None:
    found = law("zero").fit(planted(noise=0.2), seed=0).extras
    n, k = 48, 3
    assert found["aic"] == pytest.approx(2 * n * np.log(found["rms_log"]) + 2 * k)
    assert found["aicc"] - found["aic"] == pytest.approx(2 * k * (k + 1) / (n - k - 1))
