"""What every law of curves of `conf/fit` keeps: planted truth, refusal, readable records."""

import json
from dataclasses import replace

import numpy as np
import pytest

from observatory.analysis.curves.estimators.law_fit import CurveLaw
from observatory.analysis.curves.estimators.series import Series
from observatory.analysis.fit.settings import estimators
from observatory.core.errors import ConfigError, FitRefusedError
from tests.made_curves import emergence_curve, law_of, silu_sparsity

KEYS = {
    *("fit", "estimator", "event", "horizon_steps", "horizon_epochs", "params", "level", "n"),
    *("seed", "warnings", "refused", "extras", "curves", "table"),
}
TRUTH = {
    "emergence": {"t_peak": 11618.26, "height": 752.16, "K": 120.0},
    "saturation": {"plateau": 0.12, "b": 0.2},
    "tanh": {"t0": 800.0, "w": 200.0, "before": 0.85, "after": 0.95},
    "relaxation": {"kappa": 18.6, "kappa_per_step": 1.86, "omega_inf": 30.0},
    "sparsity": {"A0": 0.409, "alpha": 0.479, "c": 0.102},
}


def planted(model: str) -> Series:
    """A curve of each law with a little noise, 60 to 200 points."""
    rng = np.random.default_rng(11)
    if model == "emergence":
        t = np.linspace(0.0, 143_000.0, 155)
        y = emergence_curve(t, 3000.0, 0.6, 1e-4, 1.0, 120.0)
        return Series(t, y * (1 + 0.02 * rng.normal(size=t.size)))
    if model == "saturation":
        d = np.repeat([2.0, 4.0, 8.0, 16.0, 32.0], 12)
        return Series(d, 0.12 - 0.1 * np.exp(-0.2 * d) + 0.005 * rng.normal(size=d.size))
    if model == "tanh":
        t = np.arange(0.0, 3000.0, 25.0)
        return Series(t, 0.9 + 0.05 * np.tanh((t - 800) / 200) + 0.003 * rng.normal(size=t.size))
    if model == "relaxation":
        t = np.arange(0.0, 4000.0, 20.0)
        y = 30 + 40 * np.exp(-1.86e-3 * t) + 0.3 * rng.normal(size=t.size)
        return Series(t, y, lr=1e-3, weight_decay=1.0, steps_per_epoch=10, horizon_steps=200_000)
    d = np.geomspace(5.0, 800.0, 60)
    return Series(d, silu_sparsity(d, 0.102, 0.479, 0.409) + 2e-4 * rng.normal(size=d.size))


@pytest.fixture(params=estimators("curves"))
def model(request) -> str:
    return request.param


def fit_of(model: str, **settings) -> CurveLaw:
    return law_of(model, **{"n_bootstrap": 100, **settings})


def test_the_record_can_be_read(model: str) -> None:
    record = fit_of(model).estimate(planted(model), 0).to_json()
    assert set(record) == KEYS
    assert record["n"] == planted(model).n
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert {"data.step", "data.value", "fit.value", "fit.low", "fit.high"} <= set(record["curves"])
    assert record["extras"]["best_law"] != "constant"


@pytest.mark.slow
def test_planted_truth_lies_in_its_interval(model: str) -> None:
    """One draw: the seed was not chosen, and all truths lie inside their 99.9 % intervals."""
    found = fit_of(model, n_bootstrap=1000, level=0.999).estimate(planted(model), 0)
    for name, value in TRUTH[model].items():
        parameter = found.params[name]
        assert (parameter.ci_low or -np.inf) < value < (parameter.ci_high or np.inf), name


@pytest.mark.slow
def test_the_seed_decides_everything_and_data_stay_as_they_were(model: str) -> None:
    series, untouched = planted(model), planted(model)
    fit = fit_of(model)
    assert fit.estimate(series, 4).to_json() == fit.estimate(series, 4).to_json()
    assert np.array_equal(series.value, untouched.value)


@pytest.mark.slow
def test_the_unit_of_the_values_changes_nothing_else(model: str) -> None:
    """A tenth of a millionth of every value: the search must not know an absolute scale."""
    series = planted(model)
    small = replace(series, value=series.value * 1e-7)
    found, tiny = (fit_of(model).estimate(s, 0) for s in (series, small))
    assert tiny.extras["best_law"] == found.extras["best_law"]
    assert tiny.extras["r2"] == pytest.approx(found.extras["r2"], abs=1e-9)
    for name in (
        {"t_peak", "b", "t0", "w", "kappa", "alpha"} & set(TRUTH[model]) & set(found.params)
    ):
        if (model, name) != ("sparsity", "b"):
            assert tiny.params[name].value == pytest.approx(found.params[name].value, rel=1e-5)


def test_flat_and_short_curves_are_refused_with_a_way_out(model: str) -> None:
    series = planted(model)
    flat = replace(series, value=np.full(series.n, 7.0))
    short = replace(series, step=series.step[-3:], value=series.value[-3:])
    for data in (flat, short):
        with pytest.raises(FitRefusedError, match="Add"):
            fit_of(model).estimate(data, 0)


def test_a_setting_that_is_none_is_refused(model: str) -> None:
    with pytest.raises(ConfigError, match="is no setting of"):
        law_of(model, no_such=1)
    with pytest.raises(ConfigError, match="`estimator` of `curves` must be one of"):
        law_of("no_such")
