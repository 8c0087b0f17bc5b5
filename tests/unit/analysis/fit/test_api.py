"""The library: what it returns prints itself, tells its intervals and draws itself."""

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from observatory.analysis.fit.api import (
    boundary_ratio,
    fit_boundary,
    fit_horizon,
    fit_survival,
    fit_times,
    plan_seeds,
)
from observatory.analysis.fit.plot import rates_table

import observatory
from observatory.analysis.fit.settings import changed, draw_seed, estimators, fit_files, settings_of
from observatory.analysis.fit.study import read_settings
from observatory.analysis.fit.task import prepare
from observatory.core.errors import ConfigError, FitRefusedError

COUNTS = pd.DataFrame(
    {"weight_decay": [0.0, 0.01, 0.03, 0.1, 0.3], "n": 20, "n_grokked": [0, 1, 6, 15, 20]}
)


def runs() -> pd.DataFrame:
    """120 runs with seeds, times and a horizon of 3000 steps."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame({"weight_decay": np.repeat(np.geomspace(0.05, 1.0, 6), 20)})
    frame["seed"] = np.tile(np.arange(20), 6)
    time = 200.0 / frame["weight_decay"] * np.exp(0.3 * rng.normal(size=120))
    frame["time"] = time.where(time <= 3000).round()
    frame["grokked"] = frame["time"].notna()
    return frame


def test_the_result_prints_itself() -> None:
    found = fit_boundary(COUNTS, "firth", horizon_steps=5000)
    assert str(found) == repr(found)
    assert "boundary (firth), event grokked, horizon 5000 steps, n = 80" in str(found)
    summary = found.summary()
    assert "Boundary fit" in summary
    assert "[0.025" in summary
    assert "columns: x weight_decay, n n, n_grokked n_grokked" in summary
    assert "<pre>" in found._repr_html_()
    assert found.warnings[0] == (
        "Runs with weight decay 0, which no log axis shows, are left out (20)."
    )


def test_params_and_intervals_are_tables() -> None:
    found = fit_boundary(COUNTS, "firth", level=0.9)
    limits = found.conf_int()
    assert list(limits.columns) == ["lower", "upper"]
    assert list(limits.index) == list(found.params.index) == ["critical", "slope"]
    assert (limits["lower"] < found.params).all()
    assert (limits["upper"] > found.params).all()
    wider = fit_boundary(COUNTS, "firth", level=0.99).conf_int()
    assert (wider["lower"] < limits["lower"]).all()


def test_the_record_has_its_main_numbers_on_top() -> None:
    record = fit_boundary(COUNTS, "firth").to_json()
    assert record["critical"] == record["params"]["critical"]["value"]
    assert record["ci_high"] == record["params"]["critical"]["ci_high"]
    assert record["slope"] == record["params"]["slope"]["value"]
    assert any("names no horizon" in warning for warning in record["warnings"])
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_a_control_of_any_name_is_called_by_it() -> None:
    found = fit_boundary(COUNTS.rename(columns={"weight_decay": "p"}), "firth", x="p")
    assert "(p)" in str(found)
    with pytest.raises(ConfigError, match="no weight_decay"):
        fit_boundary(COUNTS.rename(columns={"weight_decay": "p"}))


def test_a_refusal_is_raised_and_has_a_record() -> None:
    flat = COUNTS.assign(n_grokked=0)
    with pytest.raises(FitRefusedError, match="Add larger"):
        fit_boundary(flat)
    record = prepare("boundary", flat, None, horizon_steps=100).refused("why")
    assert (record["refused"], record["critical"], record["horizon_steps"]) == ("why", None, 100)
    assert record["n"] == 80


@pytest.mark.parametrize("estimator", ["lsq", "mle"])
def test_separated_counts_are_refused_and_firth_answers(estimator: str) -> None:
    separated = COUNTS.assign(n_grokked=[0, 0, 0, 20, 20])
    with pytest.raises(FitRefusedError, match="Separation"):
        fit_boundary(separated, estimator)
    assert 0.03 < fit_boundary(separated, "firth").params["critical"] < 0.1


def test_the_window_of_a_foreign_table_is_open_and_what_it_leaves_out_is_counted() -> None:
    wide = COUNTS.assign(weight_decay=COUNTS["weight_decay"] * 100)
    assert fit_boundary(wide, "firth").estimate.n == 80
    found = fit_boundary(wide, "firth", window_max=15.0)
    assert found.estimate.n == 60
    assert "Runs with weight decay above 15 are left out (20)." in found.warnings


def test_settings_come_from_the_yaml_and_may_be_changed() -> None:
    assert {"lsq", "mle", "firth"} <= set(estimators("boundary"))
    name, node = settings_of("boundary", "lsq")
    assert (name, node["level"], node["n_bootstrap"]) == ("boundary_lsq", 0.95, 1500)
    assert settings_of("boundary", "boundary_lsq") == (name, node)
    assert changed(name, node, {"level": 0.5})["level"] == 0.5
    smoothed = fit_boundary(COUNTS, "lsq", smoothing=0.5, n_bootstrap=100)
    assert smoothed.estimate.estimator == "least_squares_smoothed"
    assert (
        smoothed.to_json()
        == fit_boundary(COUNTS, "lsq", settings={"smoothing": 0.5, "n_bootstrap": 100}).to_json()
    )


def test_what_is_unknown_lists_what_is_known() -> None:
    with pytest.raises(ConfigError, match=r"`estimator` of boundary must be one of .*'lsq'"):
        fit_boundary(COUNTS, "ols")
    with pytest.raises(ConfigError, match=r"`boundary_firth` has no setting \['smoothing'\], only"):
        fit_boundary(COUNTS, "firth", smoothing=0.5)
    with pytest.raises(ConfigError, match=r"There is no option \['horizon'\], only"):
        fit_boundary(COUNTS, "firth", horizon=5)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ConfigError, match="`fit` must be one of"):
        prepare("slope", COUNTS, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"level": 95},
            r"`level` must be in \(0, 1\), got 95. Give the share, not the percentage.",
        ),
        ({"n_bootstrap": 0}, "`n_bootstrap` must be a whole number of at least 20, got 0"),
        ({"n_bootstrap": 99.5}, "`n_bootstrap` must be a whole number"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, got -1"),
        ({"steps_per_epoch": 0}, "`steps_per_epoch` must be a positive whole number"),
        ({"horizon_steps": 0.5}, "`horizon_steps` must be a positive whole number"),
        ({"window_max": -1.0}, "`window_max` must be a positive number"),
        ({"settings": {"lapse": "none"}}, "`lapse` must be in .*or null, got 'none'"),
        ({"settings": {"n_simulations": True}}, "`n_simulations` must be a whole number"),
        ({"critical": 0.1}, "`critical` is a point to hold, and boundary_mle holds none"),
    ],
)
def test_numbers_that_break_their_rule_are_refused_before_the_fit(options, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare("boundary", COUNTS, None, **options)


def test_numbers_of_a_comparison_and_of_a_plan_keep_their_rules_too() -> None:
    with pytest.raises(ConfigError, match="`level` must be"):
        boundary_ratio(COUNTS, COUNTS, level=95)
    with pytest.raises(ConfigError, match=r"\['smoothing'\] are of a single fit"):
        boundary_ratio(COUNTS, COUNTS, smoothing=0.0)
    with pytest.raises(ConfigError, match="`width_decades` must be a positive number, got -1"):
        plan_seeds(COUNTS, -1.0)
    with pytest.raises(ConfigError, match=r"`assurance` must be in \(0, 1\)"):
        plan_seeds(COUNTS, 0.2, 80)
    with pytest.raises(ConfigError, match=r"`critical` must be a number of at least 0, got -0\.1"):
        fit_times(runs(), "boundary", horizon_steps=3000, critical=-0.1)
    node = {**settings_of("boundary", "firth")[1], "level": 95}
    with pytest.raises(ConfigError, match=r"`fit\.boundary_firth`: `level` must be"):
        read_settings({"study": fit_files()["study"], "boundary_firth": node})


def test_whole_numbers_of_any_kind_are_taken() -> None:
    assert type(changed("x", {"n_tests": None}, {"n_tests": 1e6})["n_tests"]) is int
    assert changed("x", {"n_tests": None}, {"n_tests": np.int64(3)})["n_tests"] == 3
    assert draw_seed(3) == 3


def test_the_critical_point_of_a_table_is_held_as_in_a_study() -> None:
    held = fit_times(runs(), "boundary", horizon_steps=3000, n_bootstrap=100)
    boundary = fit_boundary(runs(), "lsq", horizon_steps=3000)
    assert held.estimate.extras["critical"] == pytest.approx(boundary.params["critical"])
    given = fit_times(runs(), "boundary", horizon_steps=3000, critical=0.01, n_bootstrap=100)
    assert given.estimate.extras["critical"] == 0.01


def test_a_shorter_horizon_censors_the_times() -> None:
    long = fit_times(runs(), horizon_steps=3000, n_bootstrap=100)
    short = fit_times(runs(), horizon_steps=1000, n_bootstrap=100)
    assert short.estimate.n < long.estimate.n
    assert short.estimate.horizon_steps == 1000


def test_tables_too_large_for_a_fit_are_refused() -> None:
    many = pd.DataFrame({"weight_decay": np.arange(1, 3001), "grokked": 1})
    with pytest.raises(ConfigError, match="must have at most 2000 values, got 3000"):
        fit_boundary(many)
    long = pd.DataFrame({"weight_decay": np.ones(150_001), "time": 1})
    with pytest.raises(ConfigError, match="`n_bootstrap` must be at most 999 for 150001 rows"):
        fit_times(long, n_bootstrap=1500)


@pytest.mark.parametrize(
    ("fit", "options", "artists"),
    [
        (fit_boundary, {}, {"fit", "critical"}),
        (fit_times, {"n_bootstrap": 50}, {"power-law", "grokked", "censored"}),
        (fit_survival, {}, {"incidence"}),
        (fit_horizon, {"n_bootstrap": 20}, {"critical-at-horizon", "law-zero", "law-free"}),
    ],
)
def test_every_result_draws_itself(fit, options, artists: set[str]) -> None:
    axes = Figure().add_subplot()
    fitted = fit(runs(), horizon_steps=3000, **options)
    assert fitted.plot(axes) is axes
    assert artists <= {artist.get_gid() for artist in axes.get_lines()}
    assert axes.get_legend() is not None


def test_what_a_result_is_about_is_in_its_text() -> None:
    assert "weight decay 1: median " in str(fit_survival(runs(), horizon_steps=3000))
    judged = fit_horizon(runs(), horizon_steps=3000, n_bootstrap=20)
    assert f"verdict: {judged.estimate.extras['verdict']}. " in str(judged)


def test_a_window_without_an_end_leaves_out_nothing_but_zero() -> None:
    falling = COUNTS.assign(n_grokked=[0, 1, 15, 15, 1])
    found = fit_boundary(falling, "window")
    assert found.estimate.n == 80
    assert found.params["critical"] < found.params["critical_upper"]


def test_a_control_of_many_values_is_drawn_in_groups() -> None:
    data = prepare("boundary", dense(), "lsq").opened.observations
    table = rates_table(data, 0.95)
    assert 2 < len(table) <= 20
    assert table["n"].astype(float).sum() == 1000
    assert table["weight_decay"].is_monotonic_increasing


def dense() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = np.geomspace(0.01, 1, 1000)
    return pd.DataFrame({"weight_decay": x, "grokked": rng.random(1000) < x})


def test_the_public_names_are_found_and_few() -> None:
    assert len(observatory.__all__) <= 10
    assert set(observatory.__all__) == set(observatory._HOMES)
    assert observatory.fit_boundary is fit_boundary
    assert all(find_spec(home) for home in observatory._HOMES.values())


def test_a_study_is_a_table_too(tmp_path: Path) -> None:
    with pytest.raises(observatory.ObservatoryError, match="is no study"):
        fit_boundary(tmp_path)


def test_a_table_beside_itself_has_the_ratio_of_its_units() -> None:
    doubled = COUNTS.assign(weight_decay=2 * COUNTS["weight_decay"])
    found = boundary_ratio(doubled, COUNTS, ("wide", "narrow"), n_bootstrap=50, horizon_steps=99)
    assert found.params["ratio"] == pytest.approx(2.0, rel=1e-6)
    assert found.conf_int().loc["ratio", "lower"] < 2.0 < found.conf_int().loc["ratio", "upper"]
    assert "wide: Runs with weight decay 0" in found.warnings[0]
    assert found.estimate.extras["denominator"] == "narrow"
    with pytest.raises(ConfigError, match=r"\['smoothing'\] are of a single fit"):
        boundary_ratio(COUNTS, COUNTS, smoothing=0.5)


def test_a_pilot_plans_its_seeds() -> None:
    few = {"n_simulations": 40}
    narrow, wide = (plan_seeds(COUNTS, width, settings=few) for width in (0.3, 0.6))
    assert narrow.params["n_seeds"] > wide.params["n_seeds"]
    with pytest.raises(ConfigError, match=r"\['settings'\] are of a single fit"):
        plan_seeds(COUNTS, 0.5, settings={"lapse": 0.1})


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
        fit_boundary(table, estimator)
