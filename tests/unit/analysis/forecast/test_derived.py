"""Signals made of the last readings of another one: plain code, closed forms, tables and runs."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from observatory.analysis.forecast.estimators.dmd import ENERGY, hankel_residual
from observatory.analysis.forecast.estimators.hjorth import hjorth
from observatory.analysis.forecast.from_runs import Source, _named, _values
from observatory.analysis.forecast.from_table import from_frame
from observatory.core.columns import Column
from observatory.core.errors import ConfigError


def slow(x: np.ndarray) -> tuple[float, float, float]:
    """Of one window: a fitted line taken off, then the definitions."""
    t = np.arange(x.size)
    flat = x - np.polyval(np.polyfit(t, x, 1), t)
    first = [b - a for a, b in pairwise(flat)]
    second = [b - a for a, b in pairwise(first)]
    variances = [sum((v - sum(d) / len(d)) ** 2 for v in d) / len(d) for d in (flat, first, second)]
    mobility = (variances[1] / variances[0]) ** 0.5
    return variances[0], mobility, (variances[2] / variances[1]) ** 0.5 / mobility


def test_they_are_those_of_plain_code_and_know_no_future() -> None:
    x = np.random.default_rng(0).normal(size=30).cumsum()
    found = hjorth(x, 7)
    for i in range(30):
        values = [found[name][i] for name in ("activity", "mobility", "complexity")]
        if i < 6:
            assert np.isnan(values).all()
        else:
            np.testing.assert_allclose(values, slow(x[i - 6 : i + 1]), rtol=1e-10)
    changed = np.r_[x[:20], x[20:] + 5]
    for name, values in hjorth(changed, 7).items():
        np.testing.assert_array_equal(values[:20], found[name][:20])


def test_a_sine_has_complexity_1() -> None:
    """Whole periods of it; a line through them is nearly flat."""
    omega = 2 * np.pi / 50
    found = hjorth(3 * np.sin(omega * np.arange(2000)), 1000)
    assert found["activity"][-1] == pytest.approx(4.5, rel=0.01)
    assert found["mobility"][-1] == pytest.approx(2 * np.sin(omega / 2), rel=0.01)
    assert found["complexity"][-1] == pytest.approx(1, rel=0.01)


def test_what_does_not_oscillate_has_none() -> None:
    line = hjorth(1e6 + 0.1 * np.arange(12.0), 5)
    assert line["activity"][4:] == pytest.approx(0, abs=1e-9)
    assert np.isnan(line["mobility"]).all()
    gap = np.arange(12.0) ** 2
    gap[5] = np.nan
    assert np.isfinite(hjorth(gap, 4)["mobility"]).tolist() == [
        i in (3, 4, 9, 10, 11) for i in range(12)
    ]


def test_they_are_signals_where_they_are_named() -> None:
    step = np.arange(0, 400, 10)
    loss = np.exp(-step / 100) * (1 + 0.1 * np.sin(step))
    rows = pd.DataFrame({"replica": 0, "seed": 0, "step": step, "t_hi": 390, "train_loss": loss})
    records = from_frame(rows, ["mobility6(train_loss)"], {}, memorised=False).records
    assert list(records.signals) == ["clock", "mobility6(train_loss)", "train_loss"]
    found = records.signals["mobility6(train_loss)"].value[0]
    np.testing.assert_allclose(found, hjorth(loss, 6)["mobility"])
    assert "train_loss" in records.baselines
    for name, why in (("mobility6(nothing)", "must be recorded"), ("mobility3(train_loss)", "16")):
        with pytest.raises(ConfigError, match=why):
            from_frame(rows, [name], {}, memorised=False)


def test_a_linear_law_leaves_no_residual_and_noise_does() -> None:
    t = np.arange(40.0)
    law = np.stack([0.9**t, -3 * 0.9**t, 0 * t], axis=1)
    found = hankel_residual(law, 16)
    assert np.isnan(found[:15]).all()
    assert found[15:] == pytest.approx(0, abs=1e-12)
    noise = np.random.default_rng(0).normal(size=40)
    found = hankel_residual(noise, 16)
    assert (found[15:] > 0.3).all()  # at most about 1 / sqrt(4): the rest of Y lies in X
    changed = np.r_[noise[:30], noise[30:] + 5]
    np.testing.assert_array_equal(hankel_residual(changed, 16)[:30], found[:30])
    np.testing.assert_allclose(hankel_residual(7 * noise, 16), found)


@pytest.mark.parametrize(("entries", "expected"), [(1, 0.42), (4, 0.50), (19, 0.62)])
def test_noise_is_not_linear_and_an_oscillation_is_however_many_entries(
    entries: int, expected: float
) -> None:
    """With all 12 modes noise of 3 entries or more has no residual. Medians of 200 draws."""
    noise = np.random.default_rng(0).normal(size=(40, entries))
    found = hankel_residual(noise, 16)[15:]
    assert (found > 0.2).all()
    assert np.median(found) == pytest.approx(expected, abs=0.08)
    phases = np.linspace(0, 3, entries)
    oscillation = (1 + phases) * np.cos(0.7 * np.arange(40.0)[:, None] + phases)
    assert hankel_residual(oscillation, 16)[15:] == pytest.approx(0, abs=1e-12)


def test_what_ends_at_zero_has_no_residual() -> None:
    for beside in (0, 1e-200):
        assert np.isnan(hankel_residual(np.r_[1.0, np.full(15, beside)], 16)).all()
    assert hankel_residual(np.r_[np.zeros(15), 1.0], 16)[-1] == pytest.approx(1)


@pytest.mark.parametrize("entries", [2, 19])
def test_the_residual_is_that_of_least_squares(entries: int) -> None:
    x = np.random.default_rng(1).normal(size=(16, entries))
    columns = np.array([x[i : i + 4].T.ravel() for i in range(13)]).T
    u, s, _ = np.linalg.svd(columns[:, :-1], full_matrices=False)
    rank = min(int(np.sum(np.cumsum(s**2) < ENERGY * np.sum(s**2))) + 1, 6)
    past, after = u[:, :rank].T @ columns[:, :-1], columns[:, 1:]
    law = np.linalg.lstsq(past.T, after.T, rcond=None)[0].T
    expected = np.linalg.norm(after - law @ past) / np.linalg.norm(after)
    assert hankel_residual(x, 16)[-1] == pytest.approx(expected, rel=1e-9)
    x[3, 1] = np.nan
    assert np.isnan(hankel_residual(x, 16)).all()
    assert np.isnan(hankel_residual(0 * np.arange(20.0), 16)).all()


def test_a_list_is_taken_whole_where_that_is_asked() -> None:
    column = Column(name="log_prob", unit="nats", meaning="made up", dims=("quantile",))
    source = Source("probes/log_prob", column, "log_prob", whole=True)
    names = _named(source, ["dmd8(log_prob)", "mobility8(log_prob)", "log_prob@quantile1"])
    cells = pd.Series([[1.0, 2.0, 6.0], None, [3.0, 4.0, 5.0]])
    found = _values(source, cells, names)
    np.testing.assert_array_equal(found["dmd8(log_prob)"], [[1, 2, 6], [np.nan] * 3, [3, 4, 5]])
    np.testing.assert_array_equal(found["log_prob"], [3, np.nan, 4])  # what mobility8 is made of
    np.testing.assert_array_equal(found["log_prob@quantile1"], [2, np.nan, 4])
