"""What laws of curves say beside their numbers: class, what is identified, refusals, warnings."""

import numpy as np
import pytest

from observatory.analysis.curves.estimators.relaxation import relaxation_bound
from observatory.analysis.curves.estimators.series import (
    Series,
    block_of,
    criteria,
    lag_one,
    wild_draws,
)
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_curves import emergence_curve, law_of, relu_sparsity

STEPS = np.linspace(0.0, 143_000.0, 37)


def fit(model: str, series: Series, seed: int = 0, **settings):
    return law_of(model, **{"n_bootstrap": 100, **settings}).estimate(series, seed)


def emerging(*params: float, noise: float = 0.02, seed: int = 2) -> Series:
    rng = np.random.default_rng(seed)
    y = emergence_curve(STEPS, *params)
    return Series(STEPS, y * (1 + noise * rng.normal(size=y.size)), "step", "ratio")


def test_what_the_data_do_not_fix_is_left_out_and_said() -> None:
    found = fit("emergence", emerging(800.0, 1e-3, 3e-4, 1.0, 20.0))
    assert found.extras["class"] == "log increase"
    assert not {"K", "gamma", "t0", "lambda", "t_peak", "height"} & set(found.params)
    assert found.extras["K_identified"] is False
    assert any("lambda, gamma, t0, K. Very different" in text for text in found.warnings)
    assert any("logarithm law describes the values better" in text for text in found.warnings)


def test_an_early_peak_brings_its_place_and_height() -> None:
    found = fit("emergence", emerging(500.0, 0.01, 5e-4, 2.0, 50.0))
    assert found.extras["class"] == "early peak"
    assert found.params["t_peak"].value == pytest.approx(55_073, rel=0.1)
    assert found.params["height"].value == pytest.approx(1309.9, rel=0.02)
    assert "K" not in found.params


def test_decay_alone_and_a_very_early_peak_are_told_to_be_alike() -> None:
    found = fit("emergence", emerging(300.0, 1.5, 1e-4, 2.0, 10.0))
    assert any("decay alone" in text or "class is not certain" in text for text in found.warnings)


def test_a_trough_is_no_peak() -> None:
    series = emerging(-3000.0, 0.6, 1e-4, 1.0, 1200.0, noise=0.001)
    found = fit("emergence", series)
    assert found.extras["class"] == "trough"
    assert "t_peak" not in found.params


def test_values_about_a_constant_are_refused() -> None:
    series = Series(STEPS, 7.0 + 0.1 * np.random.default_rng(1).normal(size=37), "step", "ratio")
    with pytest.raises(FitRefusedError, match="A constant may describe `ratio`"):
        fit("emergence", series)


def test_a_line_has_no_plateau_and_no_middle() -> None:
    rng = np.random.default_rng(4)
    x = np.repeat([2.0, 4.0, 8.0, 16.0, 32.0], 9)
    found = fit("saturation", Series(x, 0.02 + 0.01 * x + 0.01 * rng.normal(size=x.size)))
    assert "plateau" not in found.params
    assert found.extras["best_law"] == "linear"
    t = np.arange(0.0, 3000.0, 25.0)
    found = fit("tanh", Series(t, 0.9 + 1e-5 * t + 0.001 * rng.normal(size=t.size)))
    assert found.extras["degeneracy"] == "line"
    assert not {"t0", "before", "after"} & set(found.params)


@pytest.mark.parametrize(
    ("middle", "width", "kind"),
    [(1000.0, 200.0, "none"), (-400.0, 900.0, "tail"), (1010.0, 2.0, "step")],
)
def test_the_degeneracy_of_a_passage(middle: float, width: float, kind: str) -> None:
    t = np.arange(0.0, 3000.0, 25.0)
    y = 0.9 + 0.05 * np.tanh((t - middle) / width)
    y = y + 0.001 * np.random.default_rng(7).normal(size=t.size)
    assert fit("tanh", Series(t, y)).extras["degeneracy"] == kind


def norms(**known) -> Series:
    t = np.arange(0.0, 4000.0, 20.0)
    y = 30 + 40 * np.exp(-1.86e-3 * t) + 0.3 * np.random.default_rng(3).normal(size=t.size)
    return Series(t, y, "step", "l2", **known)


def test_kappa_is_per_epoch_and_so_is_the_horizon_of_its_bound() -> None:
    known = {"lr": 1e-3, "weight_decay": 1.0, "steps_per_epoch": 10.0, "horizon_steps": 200_000}
    found = fit("relaxation", norms(**known))
    kappa = found.params["kappa"]
    assert kappa.value == pytest.approx(10 * found.params["kappa_per_step"].value)
    bound = found.params["bound_0.9"]
    assert bound.value == pytest.approx(relaxation_bound(0.9, 1e-3, kappa.value, 20_000))
    assert bound.ci_low == pytest.approx(relaxation_bound(0.9, 1e-3, kappa.ci_high, 20_000))
    assert (found.horizon_steps, found.horizon_epochs) == (200_000, 20_000)


def test_without_an_epoch_or_a_horizon_there_is_no_bound() -> None:
    found = fit("relaxation", norms(lr=1e-3, weight_decay=1.0))
    assert "kappa" not in found.params
    assert any("per step" in text for text in found.warnings)
    found = fit("relaxation", norms(lr=1e-3, weight_decay=1.0, steps_per_epoch=10.0))
    assert "bound_0.5" not in found.params
    assert any("horizon is not known" in text for text in found.warnings)


def test_relaxation_says_where_it_does_not_apply() -> None:
    known = {"lr": 1e-3, "weight_decay": 1.0}
    t = np.arange(0.0, 4000.0, 20.0)
    noise = np.random.default_rng(5).normal(size=t.size)
    cases = {
        "`weight_decay` must be positive": norms(lr=1e-3, weight_decay=0.0),
        "`lr` must be positive, none is known": norms(weight_decay=1.0),
        "after its largest value": Series(t, 30 + 0.01 * t, **known),
        "of the variance": Series(t, 30 + 4 * np.exp(-t / 200) + 0.7 * noise, **known),
        "only the slope is known": Series(t, 30 - 0.001 * t + 0.001 * noise, **known),
    }
    for reason, series in cases.items():
        with pytest.raises(FitRefusedError, match=f"Relaxation does not apply.*{reason}"):
            fit("relaxation", series)
    with pytest.raises(ValueError, match="`share` must be in"):
        relaxation_bound(1.0, 1e-3, 18.6, 20_000)


def test_a_window_is_what_enters() -> None:
    known = {"lr": 1e-3, "weight_decay": 1.0}
    found = fit("relaxation", norms(**known), window=[200, 2000])
    assert (found.extras["window_first"], found.extras["window_last"]) == (200.0, 2000.0)
    assert found.n == 91


def test_percent_is_no_share_and_a_law_can_be_named() -> None:
    d = np.geomspace(5.0, 800.0, 30)
    y = 100 * relu_sparsity(d, 9.03e-4, 1.33, -3.89, 0.0782)
    y = y + 0.002 * np.random.default_rng(6).normal(size=30)
    found = fit("sparsity", Series(d, y))
    assert found.estimator == "relu"
    assert any("no shares" in text for text in found.warnings)
    assert any("AICc lower" in text for text in fit("sparsity", Series(d, y), law="silu").warnings)
    with pytest.raises(ConfigError, match="must be relu, silu or null"):
        fit("sparsity", Series(d, y), law="gelu")


def test_sizes_and_training_must_be_positive() -> None:
    x = np.repeat([0.0, 2.0, 4.0, 8.0, 16.0], 3)
    y = np.random.default_rng(1).normal(size=15)
    for model in ("saturation", "sparsity"):
        series = Series(np.arange(15.0) if model == "sparsity" else x, y)
        with pytest.raises(FitRefusedError, match="must be positive"):
            fit(model, series)


def test_criteria_are_those_of_normal_noise() -> None:
    aic, aicc = criteria(2.0, 10, 3)
    assert aic == pytest.approx(10 * np.log(0.2) + 6)
    assert aicc - aic == pytest.approx(2 * 3 * 4 / 6)


def test_draws_keep_the_spread_and_the_blocks() -> None:
    rng = np.random.default_rng(0)
    value = np.arange(12.0)
    residual = np.linspace(0.1, 1.2, 12)
    own = np.full(12, 0.5)
    draws = wild_draws(value - residual, value, own, 3, 50, rng)
    moved = (draws - (value - residual)) / residual
    assert np.abs(moved) == pytest.approx(np.full((50, 12), 2.0))
    turns = (np.diff(np.sign(moved), axis=1) != 0).sum(axis=1)
    assert turns.max() <= 4


def test_blocks_grow_with_what_residuals_share() -> None:
    rng = np.random.default_rng(9)
    white = rng.normal(size=200)
    alike = np.convolve(white, np.ones(5), mode="valid")
    assert lag_one(white) < 0.15
    assert block_of(white, 12) == (1, False)
    assert block_of(alike, 12)[0] >= 8
    assert block_of(np.cumsum(white), 12) == (12, True)
