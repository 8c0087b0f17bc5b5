"""What every fit of `conf/fit` keeps: planted truth, refusal, horizon, readable records."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import observatory
from observatory.analysis.boundary.estimators.logistic import curve
from observatory.analysis.fit.contract import EveryControl, Fit
from observatory.analysis.fit.plan import read_settings
from observatory.analysis.stats.estimate import Estimate
from observatory.analysis.stats.observations import Observations
from observatory.core.errors import ConfigError, FitRefusedError
from tests.composed import composed

FILES = sorted((Path(observatory.__file__).parent / "conf" / "fit").glob("*.yaml"))
OF_RUNS = ("boundary", "time", "survival", "horizon")
"""Names of fits of runs begin so; other files are of questions with a contract of their own."""
NAMES = [file.stem for file in FILES if file.stem.startswith(OF_RUNS)]
CRITICAL, SLOPE, NU = 0.1, 9.0, 0.8
KEYS = {
    *("fit", "estimator", "event", "horizon_steps", "horizon_epochs", "params", "level", "n"),
    *("seed", "warnings", "refused", "extras", "curves", "table"),
}


FEW = ("n_bootstrap=60", "n_simulations=20", "n_studies=4", "n_law_draws=20")
"""Enough where two fits are compared with each other, draw by draw."""


def settings(*few: str) -> dict:
    return composed("map", *(f"fit.study.{draws}" for draws in few or ("n_law_draws=40",)))["fit"]


@pytest.fixture(params=NAMES)
def fit(request) -> Fit:
    return read_settings(settings())[1][request.param]


@pytest.fixture
def quick(fit, request) -> Fit:
    """The same fit with few draws."""
    return read_settings(settings(*FEW))[1][request.node.callspec.params["fit"]]


@cache
def fitted(name: str, *few: str) -> Estimate:
    """A fit of the planted data, made once for the tests that read it."""
    return read_settings(settings(*few))[1][name].fit(planted(), seed=0)


@pytest.fixture
def found(request) -> Estimate:
    return fitted(request.node.callspec.params["fit"])


@pytest.fixture
def quickly_found(request) -> Estimate:
    return fitted(request.node.callspec.params["fit"], *FEW)


def planted(horizon_steps: int | None = 2500) -> Observations:
    """480 replicas of a logistic rate, and of times with a threshold of their own, 10 % noise.

    40 seeds at each of 12 weight decays up to 1; beyond, 80 more, of which ever fewer grok.
    """
    rng = np.random.default_rng(5)
    weight_decay = np.repeat(np.geomspace(0.02, 1.0, 12), 40)
    grokked = rng.random(480) < curve(np.log10(weight_decay), np.log10(CRITICAL), SLOPE)
    time = 200.0 * weight_decay**-NU * np.exp(0.1 * rng.normal(size=480))
    beyond = np.repeat([2.0, 4.0], 40)
    high = rng.random(80) < np.repeat([0.7, 0.1], 40)
    grokked, time = np.append(grokked, high), np.append(time.round(-1), np.full(80, 150.0))
    return Observations(
        np.append(weight_decay, beyond),
        grokked,
        np.where(grokked, time, np.nan),
        "first99",
        horizon_steps,
        10,
        critical=0.05,
        seed=np.tile(np.arange(40), 14),
    )


def test_study_composes_every_fit() -> None:
    assert set(settings()) <= {file.stem for file in FILES}
    made = read_settings(settings())[1]
    assert set(made) == set(NAMES)
    assert all(isinstance(one, Fit) for one in made.values())


def test_a_fit_of_elsewhere_or_with_other_numbers_is_refused() -> None:
    changed = settings()
    changed["times"] = {**changed["times"], "_target_": "os.system"}
    with pytest.raises(ConfigError, match="must name a class in"):
        read_settings(changed)
    changed["times"] = {
        "_target_": "observatory.analysis.times.estimators.uncensored.TimePowerLaw",
        "level": 0.9,
    }
    with pytest.raises(ConfigError, match="cannot be built"):
        read_settings(changed)


@pytest.mark.slow
def test_the_record_can_be_read(fit, found) -> None:
    record = found.to_json()
    assert set(record) == KEYS
    assert record["refused"] is None
    assert record["level"] == 0.95
    assert 0 < record["n"] <= (480 if fit.window_max == 1.0 else 560)
    assert (record["horizon_steps"], record["horizon_epochs"]) == (2500, 250.0)
    assert record["fit"] == fit.fit_name
    assert record["estimator"] == fit.estimator
    assert json.loads(json.dumps(record, allow_nan=False)) == record


def test_planted_truth_lies_in_its_interval(fit, found) -> None:
    """One draw: the seed was not chosen, and all truths lie inside their 95 % intervals."""
    truth = {"boundary": {"critical": CRITICAL, "slope": SLOPE}, "times": {"nu": NU}}
    if found.extras.get("link") == "cloglog":
        truth = {}  # another shape: its midpoint is not that of the truth
    if found.extras.get("link") == "probit":
        truth = {"boundary": {"critical": CRITICAL}}  # its slope counts probits
    if fit.fit_name == "times" and found.extras["critical_kind"] == "fixed":
        truth = {}  # held at a wrong place on purpose: the exponent is then biased
        assert found.params["nu"].value < NU - 0.1
    for name, value in truth.get(fit.fit_name, {}).items():
        parameter = found.params[name]
        assert (parameter.ci_low or 0.0) < value < (parameter.ci_high or np.inf)


@pytest.mark.slow
def test_the_seed_decides_everything_and_data_stay_as_they_were(quick, quickly_found) -> None:
    data, untouched = planted(), planted()
    assert quick.fit(data, seed=0).to_json() == quickly_found.to_json()
    for name in ("weight_decay", "grokked", "time"):
        assert np.array_equal(getattr(data, name), getattr(untouched, name), equal_nan=True)


def test_data_that_cannot_decide_are_refused_with_a_way_out(fit) -> None:
    whole = planted()
    nothing = Observations(
        whole.weight_decay,
        np.zeros(560, dtype=bool),
        np.full(560, np.nan),
        "first99",
        2500,
        10,
    )
    empty = Observations(np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0), "first99", 2500, 10)
    for data in (nothing, empty):
        with pytest.raises(FitRefusedError, match=r"Add|No critical weight decay to hold fixed"):
            fit.fit(data, seed=0)


@pytest.mark.slow
def test_a_table_without_a_horizon_is_told(quick) -> None:
    found = quick.fit(planted(horizon_steps=None), seed=0)
    assert found.to_json()["horizon_steps"] is None
    assert any("names no horizon" in warning for warning in found.warnings)


@pytest.mark.slow
def test_weight_decay_zero_and_beyond_the_window_do_not_enter(quick, quickly_found) -> None:
    data = planted()
    far = 10.0 if quick.window_max == 1.0 else 0.0
    extra = Observations(
        np.concatenate([data.weight_decay, [0.0, 0.0, far, far]]),
        np.concatenate([data.grokked, [True, True, False, True]]),
        np.concatenate([data.time, [5.0, 5.0, np.nan, 5.0]]),
        "first99",
        2500,
        10,
        critical=0.05,
        seed=np.append(data.seed, [0, 1, 0, 1]),
    )
    again = quick.fit(extra, seed=0)
    if isinstance(quick, EveryControl):
        assert again.n == quickly_found.n + 4
    else:
        assert again.to_json() == quickly_found.to_json()
