"""What the samplers ask for: repeats of what failed, edges, curves, and Optuna's own."""

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from observatory.core.errors import ConfigError
from observatory.sweeps.aims import Aims, Second
from observatory.sweeps.grid_posterior import Prior
from observatory.sweeps.optuna_samplers import Field, OrdinarySampler, log_steps
from observatory.sweeps.sampler import (
    BATCH,
    ENDED_AS,
    STEPS,
    BoundarySampler,
    trial_value,
)

PRIOR = Prior(0.001, 1.0, n_critical=41, n_slopes=4, n_controls=21)
FRACTIONS = Second("train_fraction", (0.3, 0.4, 0.6), shared=True)


def asked(study: optuna.Study, n: int, batch: int) -> list[optuna.Trial]:
    """A batch of trials."""
    trials = [study.ask(study.sampler.space) for _ in range(n)]
    for trial in trials:
        trial.set_user_attr(BATCH, batch)
    return trials


def study_of(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    return optuna.create_study(sampler=sampler)


def failed(study: optuna.Study, trial: optuna.Trial, how: str) -> None:
    trial.set_user_attr(ENDED_AS, how)
    study.tell(trial.number, state=TrialState.FAIL)


@pytest.mark.parametrize(
    ("outcome", "grokked", "lower", "upper"),
    [
        ("grokked", True, 1.0, 1.0),
        ("memorised", False, 0.0, 0.0),
        ("lost", True, 1.0, 0.0),
        ("collapsed", False, None, 0.0),
        ("diverged", False, None, None),
    ],
)
def test_an_outcome_is_told_by_the_edge(
    outcome: str, grokked: bool, lower: float | None, upper: float | None
) -> None:
    assert trial_value(outcome, grokked, upper=False) == lower
    assert trial_value(outcome, grokked, upper=True) == upper


@pytest.mark.parametrize("edge", ["lower", "upper"])
def test_a_diverged_replica_is_asked_for_again_and_then_counts(edge: str) -> None:
    prior = Prior(0.001, 1.0, edge=edge, n_critical=41, n_slopes=4, n_controls=21)
    study = study_of(BoundarySampler(prior, "wd", 8, 0, Aims(batch=1, retries=2)))
    tried = []
    for number in range(3):
        (trial,) = asked(study, 1, number)
        tried.append(trial)
        failed(study, trial, "diverged")
    assert len({t.params["wd"] for t in tried}) == 1
    assert len({t.params["seed"] for t in tried}) == 3
    wd = tried[0].params["wd"]
    (after,) = asked(study, 1, 3)
    middle = study.sampler.posterior(study.trials).interval(0.9)[0]
    if edge == "upper":  # it did not grok: the edge lies lower
        assert middle < -1.6
    else:  # it says nothing, but lies beyond the window
        assert middle == pytest.approx(-1.5, abs=0.01)
    assert after.params["wd"] < wd


def test_a_repeat_that_comes_back_clears_its_control() -> None:
    study = study_of(BoundarySampler(PRIOR, "wd", 8, 0, Aims(batch=1, retries=1)))
    (first,) = asked(study, 1, 0)
    failed(study, first, "diverged")
    (again,) = asked(study, 1, 1)
    assert again.params["wd"] == first.params["wd"]
    study.tell(again.number, 0.0)
    (after,) = asked(study, 1, 2)
    assert after.params["wd"] > first.params["wd"]


def test_one_that_collapsed_is_not_asked_for_again_below_the_lower_edge() -> None:
    study = study_of(BoundarySampler(PRIOR, "wd", 8, 0, Aims(batch=1, retries=5)))
    (first,) = asked(study, 1, 0)
    failed(study, first, "collapsed")
    assert all(t.params["wd"] < first.params["wd"] for t in asked(study, 3, 1))


def test_a_batch_shares_the_second_control_and_batches_follow_the_curve() -> None:
    study = study_of(BoundarySampler(PRIOR, "wd", 32, 0, Aims(batch=4, second=FRACTIONS)))
    truth = {0.3: -1.0, 0.4: -1.4, 0.6: -1.8}
    seen, low, high = [], np.full(3, -3.0), np.zeros(3)
    for batch in range(6):
        trials = asked(study, 4, batch)
        (fraction,) = {t.params["train_fraction"] for t in trials}
        seen.append(fraction)
        for trial in trials:
            grokked = np.log10(trial.params["wd"]) > truth[fraction]
            trial.set_user_attr(STEPS, 0.3 if grokked else 1.0)
            study.tell(trial.number, float(grokked))
    assert set(seen) == {0.3, 0.4, 0.6}
    known = study.sampler.posterior(study.trials)
    _, low, high = known.source.intervals(0.999)
    assert np.all((low < list(truth.values())) & (high > list(truth.values())))
    assert " at 0.3, " in known.text(0.95)
    widest = known.interval(0.95)
    assert known.found(0.95, widest[2] - widest[1] + 1e-9)
    assert not known.found(0.95, widest[2] - widest[1] - 1e-9)


def test_a_batch_of_learning_rates_is_mixed() -> None:
    rates = Second("lr", (0.001, 0.003, 0.01), shared=False)
    study = study_of(BoundarySampler(PRIOR, "wd", 32, 0, Aims(batch=6, second=rates)))
    assert len({t.params["lr"] for t in asked(study, 6, 0)}) > 1


@pytest.mark.parametrize("kind", ["grid", "qmc", "tpe", "random"])
def test_optunas_own_samplers_go_on_as_they_would_have(kind: str) -> None:
    field = Field("wd", 0.01, 1.0, 3, {"lr": (0.001, 0.01)})
    sampler = OrdinarySampler(kind, field, 16, 7)
    whole, cut = study_of(sampler), study_of(sampler)
    for study in (whole, cut):
        for batch in range(4):
            if study is cut:
                study.sampler = OrdinarySampler(kind, field, 16, 7)
            for trial in asked(study, 3, batch):
                study.tell(trial.number, log_steps(trial.params["wd"] > 0.1, 300, 1000))
    assert [t.params for t in whole.trials] == [t.params for t in cut.trials]
    rows = [tuple(t.params.values()) for t in whole.trials]
    assert len(set(rows)) == 12
    if kind == "grid":
        assert len({row[:2] for row in rows[:6]}) == len({row[:2] for row in rows}) == 6
    known = sampler.posterior(whole.trials)
    assert known.value == pytest.approx(np.log10(300))
    assert known.text(0.95).startswith("shortest 300 steps, at wd ")
    assert not known.found(0.95, 10.0)


def test_a_censored_replica_costs_its_horizon() -> None:
    assert log_steps(True, 100.0, 1000) == pytest.approx(2.0)
    assert log_steps(False, 600.0, 1000) == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"retries": -1}, "`search.retries` must not be negative"),
        ({"target": "best"}, "`search.target` must be critical or threshold"),
        ({"target": "threshold", "second": FRACTIONS}, "leave out `search.second`"),
    ],
)
def test_aims_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Aims(**change)


def test_values_edges_and_kinds_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="must be positive and rise"):
        Second("lr", (0.1, 0.01), shared=False)
    with pytest.raises(ConfigError, match="must be another setting than wd and seed"):
        BoundarySampler(PRIOR, "wd", 8, 0, Aims(second=Second("wd", (0.1, 0.2), shared=False)))
    with pytest.raises(ConfigError, match="asks about the lower edge"):
        BoundarySampler(Prior(0.1, 1.0, edge="upper"), "wd", 8, 0, Aims(target="threshold"))
    with pytest.raises(ConfigError, match="must be boundary, grid"):
        OrdinarySampler("cma", Field("wd", 0.01, 1.0, 3, {}), 16, 7)
