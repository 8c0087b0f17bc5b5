"""Fits of runs: options and tables are checked first, and every estimator answers or refuses."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import observatory
from observatory import fits
from observatory.analysis.fit.observed import known_options, prepare
from observatory.analysis.fit.options import BoundaryOptions
from observatory.analysis.fit.plan import horizons, read_settings
from observatory.analysis.fit.settings import estimators
from observatory.core.errors import ConfigError, FitRefusedError
from tests.composed import composed
from tests.unit.analysis.fit.test_result import COUNTS, runs


@pytest.mark.parametrize("estimator", ["lsq", "mle"])
def test_separated_counts_are_refused_and_firth_answers(estimator: str) -> None:
    separated = COUNTS.assign(n_grokked=[0, 0, 0, 20, 20])
    with pytest.raises(FitRefusedError, match="Separation"):
        fits.boundary(separated, estimator)
    assert 0.03 < fits.boundary(separated, "firth").params["critical"] < 0.1


@pytest.mark.slow
def test_the_window_of_a_foreign_table_is_open_and_what_it_leaves_out_is_counted() -> None:
    wide = COUNTS.assign(weight_decay=COUNTS["weight_decay"] * 100)
    assert fits.boundary(wide, "firth").record["n"] == 80
    found = fits.boundary(wide, "firth", window_max=15.0)
    assert found.record["n"] == 60
    assert "Runs with weight decay above 15 are left out (20)." in found.warnings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": 95},
            r"`level` must be in \(0, 1\), got 95. Give the fraction, not the percentage.",
        ),
        ({"n_bootstrap": 0}, "`n_bootstrap` must be a whole number of at least 20, got 0"),
        ({"n_bootstrap": 99.5}, "`n_bootstrap` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, got -1"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a whole number"),
        ({"horizon_steps": 0.5}, "`horizon_steps` must be a whole number"),
        ({"window_max": -1.0}, "`window_max` must be a number of at least 0"),
        ({"settings": {"lapse": "none"}}, "`lapse` must be in .*or null, got 'none'"),
        ({"settings": {"lapse": 0.5}}, r"`lapse` must be in \[0, 0.4999\] or null, got 0.5"),
        ({"settings": {"n_simulations": True}}, "`n_simulations` must be a whole number"),
    ],
)
def test_numbers_that_break_their_rule_are_refused_before_the_fit(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare("boundary", COUNTS, "mle", known_options(options, BoundaryOptions), timed=False)


def test_a_horizon_too_short_for_its_fractions_is_refused_by_the_setting_that_was_read() -> None:
    settings = composed("map")["fit"]
    plan, _ = read_settings(settings)
    ended = pd.DataFrame({"step": [1], "outcome": ["memorised"]})
    with pytest.raises(ConfigError, match=r"`horizon_fractions` .* in \(0, 1\], .* got \[0\]"):
        horizons(plan, 1, ended)
    with pytest.raises(ConfigError, match=r"`horizon_steps` .* in \(0, 1\], .* got \[9\]"):
        horizons(replace(plan, horizon_steps=[9]), 1, ended)


def test_a_share_of_the_horizon_is_refused_with_the_other_numbers() -> None:
    with pytest.raises(ConfigError, match=r"`held_out` must be in \(0, 1\), got 1.5"):
        fits.horizon(COUNTS, settings={"held_out": 1.5})


def test_numbers_of_a_comparison_and_of_a_plan_keep_their_rules_too() -> None:
    with pytest.raises(ConfigError, match="`level` must be"):
        fits.ratio(COUNTS, COUNTS, level=95)
    with pytest.raises(ConfigError, match=r"`smoothing` is no setting of this fit, which has"):
        fits.ratio(COUNTS, COUNTS, smoothing=0.0)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="`width_decades` must be a positive number, got -1"):
        fits.seeds(COUNTS, width_decades=-1.0)
    with pytest.raises(ConfigError, match=r"`assurance` must be in \(0, 1\)"):
        fits.seeds(COUNTS, width_decades=0.2, assurance=80)


def test_a_critical_point_is_held_by_fits_that_hold_one() -> None:
    with pytest.raises(ConfigError, match=r"`critical` must be a number of at least 0, got -0\.1"):
        fits.times(runs(), "boundary", horizon_steps=3000, critical=-0.1)
    with pytest.raises(ConfigError, match="`critical` is a point to hold, and times holds none"):
        fits.times(runs(), critical=0.1)
    with pytest.raises(ConfigError, match=r"`critical` is no setting of this fit, which has"):
        fits.boundary(COUNTS, critical=0.1)  # pyright: ignore[reportCallIssue]


@pytest.mark.slow
def test_the_critical_point_of_a_table_is_held_as_in_a_study() -> None:
    held = fits.times(runs(), "boundary", horizon_steps=3000, n_bootstrap=100)
    boundary = fits.boundary(runs(), "mle", horizon_steps=3000)
    assert held.record["extras"]["critical_by"] == "boundary_mle"
    assert held.record["extras"]["critical"] == pytest.approx(boundary.params["critical"])
    given = fits.times(runs(), "boundary", horizon_steps=3000, critical=0.01, n_bootstrap=100)
    assert given.record["extras"]["critical"] == 0.01


def test_a_shorter_horizon_censors_the_times() -> None:
    long = fits.times(runs(), horizon_steps=3000, n_bootstrap=100)
    short = fits.times(runs(), horizon_steps=1000, n_bootstrap=100)
    assert short.record["n"] < long.record["n"]
    assert short.record["horizon_steps"] == 1000


def test_tables_too_large_for_a_fit_are_refused() -> None:
    many = pd.DataFrame({"weight_decay": np.arange(1, 3001), "grokked": 1})
    with pytest.raises(ConfigError, match="must have at most 2000 values, got 3000"):
        fits.boundary(many)
    long = pd.DataFrame({"weight_decay": np.ones(150_001), "time": 1})
    with pytest.raises(ConfigError, match="`n_bootstrap` must be at most 999 for 150001 rows"):
        fits.times(long, n_bootstrap=1500)


@pytest.mark.slow
def test_a_window_without_an_end_leaves_out_nothing_but_zero() -> None:
    falling = COUNTS.assign(n_grokked=[0, 1, 15, 15, 1])
    found = fits.boundary(falling, "window")
    assert found.record["n"] == 80
    assert found.params["critical"] < found.params["critical_upper"]


def test_a_study_is_a_table_too(tmp_path: Path) -> None:
    with pytest.raises(observatory.StoreError, match="is no study"):
        fits.boundary(tmp_path)


def test_a_table_beside_itself_has_the_ratio_of_its_units() -> None:
    doubled = COUNTS.assign(weight_decay=2 * COUNTS["weight_decay"])
    options = {"n_bootstrap": 50, "horizon_steps": 99}
    found = fits.ratio(doubled, COUNTS, names=["wide", "narrow"], **options)
    assert found.params["ratio"] == pytest.approx(2.0, rel=1e-6)
    assert found.conf_int().loc["ratio", "lower"] < 2.0 < found.conf_int().loc["ratio", "upper"]
    assert "wide: Runs with weight decay 0" in found.warnings[0]
    assert found.record["extras"]["denominator"] == "narrow"
    assert fits.ratio(doubled, COUNTS, **options).record["extras"]["numerator"] == "a"
    for names in (["wide"], ["narrow", "narrow"], "ab"):
        with pytest.raises(ConfigError, match="`names` must be two names that differ, got"):
            fits.ratio(doubled, COUNTS, names=names, **options)


@pytest.mark.slow
def test_a_pilot_plans_its_seeds() -> None:
    narrow, wide = (
        fits.seeds(COUNTS, width_decades=width, n_simulations=40) for width in (0.3, 0.6)
    )
    assert narrow.params["n_seeds"] > wide.params["n_seeds"]
    assert narrow.record["extras"]["n_simulations"] == 40
    with pytest.raises(ConfigError, match=r"`settings` is no setting of this fit, which has"):
        fits.seeds(COUNTS, width_decades=0.5, settings={})  # pyright: ignore[reportCallIssue]


def test_the_guide_names_every_estimator() -> None:
    guide = (Path(observatory.__file__).parents[1] / "docs" / "fits.md").read_text()
    table = guide.partition("## Estimators")[2].partition("## JSON")[0]
    for kind in ("boundary", "times"):
        assert [name for name in estimators(kind) if f"`{name}`" not in table] == []


@pytest.mark.parametrize("estimator", ["lsq", "mle", "firth"])
@pytest.mark.parametrize(
    ("cells", "n_grokked", "reason"),
    [
        ([0.1], [5], "at least two"),
        ([0.1, 1.0], [0, 0], "Add larger"),
        ([0.1, 1.0], [10, 10], "Add smaller"),
        ([0.0, 0.1], [0, 5], "at least two"),
    ],
    ids=["one value", "none grokked", "all grokked", "one value beside 0"],
)
def test_tables_without_a_boundary_are_refused(estimator, cells, n_grokked, reason: str) -> None:
    table = pd.DataFrame({"weight_decay": cells, "n": 10, "n_grokked": n_grokked})
    with pytest.raises(FitRefusedError, match=reason):
        fits.boundary(table, estimator)
