"""The belief, what a replica would tell of it, and the search that goes on where it was."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from observatory.core.errors import ConfigError
from observatory.sweeps.acquisition import Worlds, information
from observatory.sweeps.belief import GUESS, Belief, Prior
from observatory.sweeps.boundary import BoundarySearch, Rule, replicas_of, run_search
from tests.made_searches import choose_batch

PRIOR = Prior(0.001, 1.0, n_critical=61, n_slopes=5, n_controls=31)
RULE = Rule("first99", 0.001, 1.0, 8, 16, 0.2, 60, 0.95, 0)
CONFIG = {"horizon_steps": 1000, "sweep": {"scientific": {"weight_decay": [1.0]}}}
TRUTH, SLOPE = 0.05, 14.0


def test_the_posterior_is_the_product_of_likelihoods() -> None:
    belief, empty = Belief(PRIOR), Belief(PRIOR)
    control = np.array([0.02, 0.1])
    belief.told(control, np.array([3.0, 2.0]), np.array([1.0, 2.0]))
    p = belief.chance_at(control)
    likelihood = p[0] * (1 - p[0]) ** 2 * p[1] ** 2
    assert belief.weight == pytest.approx(likelihood / likelihood.sum())
    assert empty.weight == pytest.approx(np.full(likelihood.size, 1 / likelihood.size))
    middle, low, high = empty.interval(0.95)
    assert middle == pytest.approx(-1.5, abs=1e-9)
    assert high - low == pytest.approx(0.95 * 3.05, rel=0.01)  # half a cell at each end
    assert p.min() >= GUESS
    assert p.max() <= 1 - GUESS


def test_information_is_what_an_outcome_is_expected_to_tell() -> None:
    """Entropy of the critical value, less its mean entropy once the outcome is known."""
    belief = Belief(PRIOR)
    belief.told(np.array([0.01, 0.2]), np.ones(2), np.array([0.0, 1.0]))
    told, chance = information(belief, belief.weight[None])

    def entropy(weight: np.ndarray) -> float:
        mass = belief.by_critical(weight / weight.sum()).sum(axis=-1)
        return float(-(mass * np.log(np.maximum(mass, 1e-300))).sum())

    for place in (5, 15, 22):
        p = belief.chance[place]
        yes = float((belief.weight * p).sum())
        after = yes * entropy(belief.weight * p)
        after += (1 - yes) * entropy(belief.weight * (1 - p))
        assert chance[0, place] == pytest.approx(yes)
        assert told[0, place] == pytest.approx(entropy(belief.weight) - after, abs=1e-9)
    # Nothing is told where all would be as they are.
    assert told[0].argmax() not in (0, 30)
    assert told[0, 0] < 0.2 * told[0].max()


def test_a_batch_spreads_where_one_replica_more_would_tell_little() -> None:
    batch = choose_batch(Belief(PRIOR), 8, np.random.default_rng(0))
    assert np.unique(batch).size >= 6
    known = Belief(PRIOR)
    grid = np.geomspace(0.001, 1.0, 31)
    p = 1.0 / (1.0 + np.exp(-SLOPE * (np.log10(grid) - np.log10(TRUTH))))
    known.told(grid, np.full(31, 8.0), np.rint(8.0 * p))
    near = choose_batch(known, 8, np.random.default_rng(0))
    assert np.abs(np.log10(near / TRUTH)).max() < 0.6


def test_a_cheaper_replica_is_preferred() -> None:
    """Those that grok leave early: with that, the search asks for larger weight decays."""
    dear, cheap = (Worlds(Belief(PRIOR), 16, np.random.default_rng(0)) for _ in range(2))
    assert cheap.next(lambda p: 0.05 * p + (1.0 - p)) > dear.next()
    allowed = Belief(PRIOR).controls < 0.01
    assert dear.next(allowed=allowed) < 0.01


def train(config: dict, collapse: float = np.inf, lapse: float = 0.0) -> pd.DataFrame:
    """Outcomes of replicas of the true boundary, the same for the same replica."""
    sweep = config["sweep"]
    first = {"weight_decay": sweep["scientific"]["weight_decay"][0]}
    rows = [{**first, "seed": sweep["nuisance"]["seed"][0]}, *sweep["extra"]]
    frame = pd.DataFrame(rows)
    place = np.log10(frame["weight_decay"].to_numpy() / TRUTH)
    chance = (1.0 - lapse) / (1.0 + np.exp(-SLOPE * place))
    draws = [
        np.random.default_rng([int(1e6 * r["weight_decay"]), r["seed"]]).random() for r in rows
    ]
    frame["first99_observed"] = np.array(draws) < chance
    frame["outcome"] = np.where(frame["first99_observed"], "grokked", "memorised")
    frame.loc[frame["weight_decay"] >= collapse, "outcome"] = "collapsed"
    frame["step"] = np.where(frame["first99_observed"], 300, 1000)
    return frame


def test_a_planted_boundary_is_found_within_the_budget(tmp_path: Path) -> None:
    said: list[str] = []
    search = BoundarySearch(tmp_path, RULE)
    run_search(search, CONFIG, train, said.append)
    middle, low, high = search.interval()
    assert low < TRUTH < high
    assert search.found()
    assert np.log10(high / low) <= RULE.width_decades
    assert search.n_run < RULE.budget
    assert f"{search.n_run} replicas: critical weight decay {middle:.3g}" in said[-1]
    trials = search.study.trials
    replicas = [(t.params["weight_decay"], t.params["seed"]) for t in trials]
    assert len(set(replicas)) == len(replicas)
    seeds = np.bincount([seed for _, seed in replicas], minlength=16)
    assert seeds.max() - seeds.min() <= 2


def test_a_search_that_was_killed_goes_on_as_it_would_have(tmp_path: Path) -> None:
    whole = BoundarySearch(tmp_path / "whole", RULE)
    run_search(whole, CONFIG, train, lambda _: None)
    search = BoundarySearch(tmp_path / "cut", RULE)
    batch = search.batch()
    search.tell(batch, train(replicas_of(CONFIG, batch)), 1000)
    waiting = search.batch()  # asked for, and never trained
    again = BoundarySearch(tmp_path / "cut", RULE)
    assert [t.number for t in again.batch()] == [t.number for t in waiting]
    half = [t.number for t in waiting[4:]]
    run_search(again, CONFIG, train, lambda _: None)
    assert half[0] in [t.number for t in again.study.trials if t.state == TrialState.COMPLETE]
    mine, theirs = ([(t.params, t.value) for t in each.study.trials] for each in (again, whole))
    assert mine == theirs
    done = BoundarySearch(tmp_path / "cut", RULE)
    assert done.batch() == []


def test_nothing_is_asked_for_where_replicas_collapse(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, replace(RULE, high=10.0))
    run_search(search, CONFIG, lambda config: train(config, collapse=2.0), lambda _: None)
    failed = [t for t in search.study.trials if t.state == TrialState.FAIL]
    assert failed
    smallest = min(t.params["weight_decay"] for t in failed)
    last = max(t.number for t in failed)
    later = [t for t in search.study.trials if t.number > last + RULE.batch]
    assert all(t.params["weight_decay"] < smallest for t in later)
    low, high = search.interval()[1:]
    assert low < TRUTH < high


def test_a_budget_ends_the_search(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, replace(RULE, budget=12, width_decades=0.01))
    run_search(search, CONFIG, train, lambda _: None)
    assert search.n_run == 12
    assert not search.found()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 0.0}, "`search.low` must be positive and below"),
        ({"high": 0.0001}, "`search.low` must be positive and below"),
        ({"batch": 0}, "`search.batch` must be a positive integer, got 0"),
        ({"width_decades": 0.0}, "`search.width_decades` must be positive"),
        ({"level": 95.0}, "`search.level` must be in"),
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(RULE, **change)
