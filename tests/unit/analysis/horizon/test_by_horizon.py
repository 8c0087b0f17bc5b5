"""The horizon moved over one table: every record is that of the table cut at its horizon."""

import numpy as np
import pytest

from observatory.analysis.fit.settings import build
from observatory.analysis.horizon.estimators.by_horizon import ByHorizon
from observatory.analysis.stats.observations import Observations
from tests.composed import composed

HORIZON = 2500


@pytest.fixture(scope="module")
def settings() -> dict:
    return composed("map")["fit"]


@pytest.fixture(scope="module")
def fit(settings) -> ByHorizon:
    return build("by_horizon", {**settings["by_horizon"], "n_horizons": 6, "n_verdicts": 2})


@pytest.fixture(scope="module")
def data() -> Observations:
    """A clock: times of 300 / weight decay with a scatter of 0.2, at looks of 25 steps."""
    rng = np.random.default_rng(3)
    decay = np.repeat([0.03, 0.06, 0.1, 0.2, 0.4, 1.0], 8)
    time = 25.0 * np.ceil(12.0 / decay * np.exp(0.2 * rng.normal(size=decay.size)))
    seen = time <= HORIZON
    return Observations(
        decay, seen, np.where(seen, time, np.nan), "first99", HORIZON, 10, time_lo=time - 25.0
    )


@pytest.fixture(scope="module")
def records(fit, data) -> list[dict]:
    return fit.records(data, fit.horizons(float(np.nanmin(data.time)), HORIZON), 0)


def test_horizons_reach_from_the_first_event_to_the_end(records, data):
    steps = [record["horizon_steps"] for record in records]
    assert steps == sorted(set(steps))
    assert steps[0] == np.nanmin(data.time)
    assert steps[-1] == HORIZON


def test_counts_are_those_of_the_records_cut_there(records, data):
    for record in records:
        for row in record["table"].values():
            at = data.weight_decay == row["weight_decay"]
            assert row["n"] == at.sum()
            assert row["n_event"] == (data.time[at] <= record["horizon_steps"]).sum()


def test_a_boundary_and_its_limits_are_those_of_the_fit_at_that_horizon(records, data, settings):
    firth = build("boundary_firth", {**settings["boundary_firth"], "n_simulations": 0})
    compared = 0
    for record in records:
        if record["refused"] is not None:
            continue
        alone = firth.fit(data.at_horizon(record["horizon_steps"]), 0).params["critical"]
        here = record["params"]["critical"]
        for name in ("value", "ci_low", "ci_high"):
            assert here[name] == pytest.approx(getattr(alone, name), rel=1e-4)
        compared += 1
    assert compared >= 3


def test_a_horizon_without_a_boundary_says_why(records):
    assert "does not rise more than a constant rate" in records[0]["refused"]
    assert records[0]["params"] == {}


def test_verdicts_are_of_some_horizons_and_the_last_among_them(records):
    judged = [i for i, r in enumerate(records) if "verdict" in r["extras"]]
    assert judged[-1] == len(records) - 1
    assert len(judged) == 2
    assert records[-1]["extras"]["verdict"] in {"horizon artefact", "cannot tell"}


def test_a_verdict_that_is_known_is_kept(fit, data):
    known = {"verdict": "cannot tell", "reason": "As given."}
    last = fit.records(data, np.array([HORIZON]), 0, last=known)[-1]
    assert last["extras"]["reason"] == "As given."
