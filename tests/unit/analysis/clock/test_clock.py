"""The clock's rows, likelihood, boundary, limits, refusals and verdict on planted studies."""

import json
from dataclasses import replace

import numpy as np
import pytest

import observatory
from observatory.analysis.clock.estimators.boundary import (
    boundary_plane,
    bracketed,
    counts_of,
    regressions,
)
from observatory.analysis.clock.estimators.clock import Clock
from observatory.analysis.clock.estimators.fitting import critical_limits, fit_law, sample_of
from observatory.analysis.clock.estimators.laws import LAWS, WITH
from observatory.analysis.clock.estimators.likelihood import begin
from observatory.analysis.clock.estimators.rows import ClockRows, entering
from observatory.analysis.fit.settings import build, settings_of
from observatory.analysis.times.estimators.aft_errors import ERRORS
from observatory.cli import main as cli
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_clock import BOTH, CLOCK, THRESHOLD, MadeClock

HORIZONS = np.array([20_000.0, 10_000.0, 5000.0])
SMALL = replace(CLOCK, n_seeds=6)


def judge(**changes: object) -> Clock:
    return build(*settings_of("clock", "clock", changes))


@pytest.mark.parametrize("name", sorted(LAWS))
@pytest.mark.parametrize("distribution", ["lognormal", "weibull"])
def test_the_gradient_is_that_of_the_likelihood(name: str, distribution: str) -> None:
    law, sample = LAWS[name], sample_of(SMALL.rows(0))
    problem, one = sample.problem(law, ERRORS[distribution]), np.zeros(1, dtype=np.int64)
    theta = begin(problem, np.full(1, 0.3), np.full(1, 0.3))
    theta[0, -1] = 0.2
    value, gradient, _ = problem.evaluate(theta, one)
    assert np.isfinite(value).all()
    for place in range(theta.shape[1]):
        step = np.zeros_like(theta)
        step[0, place] = 1e-5
        up, down = (problem.evaluate(theta + s, one)[0][0] for s in (step, -step))
        assert gradient[0, place] == pytest.approx((up - down) / 2e-5, rel=2e-4, abs=2e-3)


@pytest.mark.parametrize("name", sorted(LAWS))
def test_a_larger_law_is_never_less_likely(name: str) -> None:
    sample = sample_of(SMALL.rows(1))
    least = fit_law(sample, "clock_inverse", ERRORS["lognormal"]).loglik
    if LAWS[name].lr != "none":
        assert fit_law(sample, name, ERRORS["lognormal"]).loglik >= least - 1e-5


def test_a_planted_threshold_lies_in_its_interval() -> None:
    sample = sample_of(BOTH.rows(3))
    fit = fit_law(sample, "threshold_clock", ERRORS["lognormal"])
    low, high = critical_limits(sample, fit, ERRORS["lognormal"], 0.95, 16)
    assert low < BOTH.critical < (high or np.inf)
    assert low <= fit.critical <= (high or np.inf)


def test_regressions_are_firths() -> None:
    """Two cells, all and none: Jeffreys' prior adds half an event and half a failure to each."""
    design = np.array([[1.0, -1.0], [1.0, 1.0]])
    found = regressions(design, np.array([[4.0, 4.0]]), np.array([[0.0, 4.0]]))
    assert found[0] == pytest.approx([0.0, np.log(4.5 / 0.5)], abs=1e-7)


def test_counts_are_nested_over_horizons() -> None:
    counts = counts_of(SMALL.rows(0), HORIZONS)
    k = counts.k.reshape(6, 3, 30)
    assert (np.diff(k, axis=1) <= 0).all()
    assert counts.n.sum() == 3 * 180


def test_the_plane_of_a_clock_has_slopes_of_one() -> None:
    """One draw: the seed was not chosen; 16 seeds know both slopes to about 5 %."""
    plane = boundary_plane(CLOCK.rows(0), HORIZONS, 0.95)
    for name in ("lr_slope", "horizon_slope"):
        assert plane.params[name].value == pytest.approx(1.0, abs=0.12)
    at = plane.at(np.array(CLOCK.lrs), 20_000.0)
    assert at * CLOCK.lrs * 20_000 == pytest.approx(np.full(3, 2.5), rel=0.12)


def test_horizons_without_a_boundary_are_left_out_with_a_warning() -> None:
    rows = CLOCK.rows(0)
    assert bracketed(rows, np.array([20_000.0, 100.0])).all(axis=1).tolist() == [True, False]
    found = judge(horizon_fractions=[1.0, 0.5, 0.005]).estimate(rows, 0)
    assert any("1 of 3 horizons are left out" in text for text in found.warnings)
    with pytest.raises(FitRefusedError, match="2 are needed"):
        judge(horizon_fractions=[1.0, 0.005]).estimate(rows, 0)


def test_a_learning_rate_at_which_nearly_nobody_has_the_event_is_named() -> None:
    rows = CLOCK.rows(0)
    seldom = rows.take((rows.lr > 0.001) | ~rows.data.grokked)
    with pytest.raises(
        FitRefusedError, match=r"missing at every horizon at learning rate 0\.001\."
    ):
        judge().estimate(seldom, 0)


@pytest.mark.parametrize(
    ("made", "changes", "verdict"),
    [
        (CLOCK, {}, "clock"),
        (BOTH, {}, "both"),
        (THRESHOLD, {"threshold_moves": True}, "threshold"),
        (THRESHOLD, {}, "cannot tell"),
    ],
)
def test_planted_laws_are_told_apart(made: MadeClock, changes: dict, verdict: str) -> None:
    """One draw each: the seed was not chosen. A moving boundary needs `threshold_moves`."""
    found = judge(**changes).estimate(made.rows(1), 0)
    assert found.extras["verdict"] == verdict
    assert found.extras["reason"]
    record = found.to_json()
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert set(record["table"]) == set(LAWS)
    assert all(record["table"][name]["critical"] >= 0 for name in WITH)


def test_row_order_does_not_matter() -> None:
    frame = SMALL.frame(2)
    first = observatory.fits.clock(frame, horizon_steps=20_000)
    mixed = observatory.fits.clock(frame.sample(frac=1.0, random_state=1), horizon_steps=20_000)
    assert first.record == mixed.record


def test_one_learning_rate_is_refused() -> None:
    rows = SMALL.rows(0)
    with pytest.raises(FitRefusedError, match="at least 2 learning rates, got 1"):
        judge().estimate(rows.take(rows.lr == 0.003), 0)


def test_only_censored_replicas_are_refused() -> None:
    rows = replace(SMALL, amplitude=1e4).rows(0)
    with pytest.raises(FitRefusedError, match="all are censored"):
        judge().estimate(rows, 0)


def test_learning_rates_without_a_shared_range_are_refused() -> None:
    rows = replace(SMALL, lrs=(0.00001, 0.01)).rows(0)
    with pytest.raises(FitRefusedError, match="No two learning rates share a range"):
        judge().estimate(rows, 0)


def lost(rows: ClockRows, which: np.ndarray) -> ClockRows:
    data = rows.data
    failed = np.where(which, 300.0, np.nan)
    gone = replace(data, grokked=data.grokked & ~which, competing=which, failed_at=failed)
    return ClockRows(gone, rows.lr)


def test_a_learning_rate_at_which_replicas_are_lost_is_left_out_by_name() -> None:
    rows = SMALL.rows(0)
    found = judge().estimate(lost(rows, rows.lr == 0.01), 0)
    assert found.n == 120
    assert found.extras["lrs"] == "0.001, 0.003"
    assert any("learning rate 0.01 is left out (60)" in text for text in found.warnings)
    with pytest.raises(FitRefusedError, match=r"learning rate 0\.01 is left out"):
        judge().estimate(lost(rows, rows.lr > 0.002), 0)


def test_a_lost_cell_is_left_out_alone() -> None:
    rows = SMALL.rows(0)
    top = rows.data.weight_decay == rows.data.weight_decay.max()
    entered = entering(lost(rows, top), None, 0.1)
    assert entered.rows.data.n == 174
    assert "At learning rate 0.001 the weight decays 1.5 are left out (6)" in entered.left_out[0]


def test_a_table_without_seeds_or_with_a_wrong_lr() -> None:
    frame = SMALL.frame(0)
    found = observatory.fits.clock(frame.drop(columns="seed"), horizon_steps=20_000)
    assert any("names no seed" in text for text in found.warnings)
    with pytest.raises(ConfigError, match="`lr` must be positive"):
        observatory.fits.clock(frame.assign(lr=0.0), horizon_steps=20_000)
    with pytest.raises(ConfigError, match="`lr` must name a column"):
        observatory.fits.clock(frame.drop(columns="lr"), horizon_steps=20_000)


def test_the_command_answers(tmp_path, capsys) -> None:
    path = tmp_path / "runs.csv"
    SMALL.frame(0).to_csv(path, index=False)
    assert cli.run(["fit", "clock", str(path), "--horizon-steps", "20000", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["fit"], record["n"], record["horizon_steps"]) == ("clock", 180, 20_000)
    assert record["extras"]["verdict"] in ("clock", "cannot tell")
