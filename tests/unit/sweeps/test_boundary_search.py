"""The search for a boundary: batches, recorded in any order, that go on where they were."""

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from optuna.trial import TrialState

from observatory.core.errors import ConfigError, StoreError
from observatory.sweeps.boundary import BoundarySearch, run_search
from observatory.sweeps.fleets import replicas_of, shared_settings, with_setting
from observatory.sweeps.rule import Rule, read_rule

RULE = Rule(
    "first99", 0.001, 1.0, 8, 16, 0.2, 60, 0.95, 0, "lower", "critical", None, 1, "boundary", 21
)
CONFIG = {
    "horizon_steps": 1000,
    "model": {"d_model": 32},
    "sweep": {"scientific": {"weight_decay": [1.0]}},
}
ABOUT = {"task": {"p": 97}, "horizon_steps": 1000}
TRUTH, SLOPE = 0.05, 14.0


def train(config: dict, collapse: float = np.inf, lapse: float = 0.0) -> pd.DataFrame:
    """Outcomes of replicas of the true boundary, the same for the same replica."""
    sweep = config["sweep"]
    rows = [{name: values[0] for name, values in sweep["scientific"].items()}, *sweep["extra"]]
    frame = pd.DataFrame(rows)
    place = np.log10(frame["weight_decay"].to_numpy() / TRUTH)
    chance = (1.0 - lapse) / (1.0 + np.exp(-SLOPE * place))
    draws = [
        np.random.default_rng([int(1e6 * r["weight_decay"]), r["seed"]]).random() for r in rows
    ]
    frame["first99_observed"] = np.array(draws) < chance
    frame["outcome"] = np.where(frame["first99_observed"], "grokked", "memorised")
    frame.loc[frame["weight_decay"] >= collapse, "outcome"] = "collapsed"
    frame["first99_hi"] = np.where(frame["first99_observed"], 250, np.nan)
    frame["step"] = np.where(frame["first99_observed"], 300, 1000)
    return frame


class Trainers:
    """Trains at most `parallel` runs at once, of which the last that was started ends first."""

    def __init__(self, parallel: int = 1, failing: int | None = None, **how: float) -> None:
        self.parallel, self.failing, self.how = parallel, failing, how
        self.tables: dict[Path, pd.DataFrame] = {}
        self.configs: list[dict] = []
        self.running: list[Path] = []

    def start(self, config: dict) -> Path:
        folder = Path(str(len(self.tables)))
        self.tables[folder] = train(config, **self.how)
        self.configs.append(config)
        self.running.append(folder)
        assert len(self.running) <= self.parallel
        return folder

    def ended(self) -> dict[Path, StoreError | None]:
        folder = self.running.pop()
        failed = folder == Path(str(self.failing))
        return {folder: StoreError("the disk is full") if failed else None}


def run(search: BoundarySearch, said: list[str] | None = None, **how: Any) -> Trainers:
    launcher = Trainers(**how)
    message = (said if said is not None else []).append
    run_search(search, CONFIG, launcher, lambda folder: launcher.tables[folder], message)
    return launcher


def interval(search: BoundarySearch) -> tuple[float, float, float]:
    """Median and limits of the critical weight decay."""
    middle, low, high = search.posterior.interval(search.rule.level)
    return 10.0**middle, 10.0**low, 10.0**high


def test_a_planted_boundary_is_found_within_the_budget(tmp_path: Path) -> None:
    said: list[str] = []
    search = BoundarySearch(tmp_path, RULE, ABOUT)
    run(search, said)
    middle, low, high = interval(search)
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
    whole = BoundarySearch(tmp_path / "whole", RULE, ABOUT)
    run(whole)
    search = BoundarySearch(tmp_path / "cut", RULE, ABOUT)
    batch = search.ask()
    outcomes = train(replicas_of(CONFIG, batch))
    search.record(batch[:5], outcomes, 1000)  # killed in the middle of recording
    again = BoundarySearch(tmp_path / "cut", RULE, ABOUT)
    (unfinished,) = again.open_batches()
    assert [t.number for t in unfinished] == [t.number for t in batch]
    assert replicas_of(CONFIG, unfinished) == replicas_of(CONFIG, batch)
    again.record(unfinished, outcomes, 1000)
    waiting = again.ask()  # asked for, and never trained
    again = BoundarySearch(tmp_path / "cut", RULE, ABOUT)
    assert [[t.number for t in each] for each in again.open_batches()] == [
        [t.number for t in waiting]
    ]
    half = [t.number for t in waiting[4:]]
    run(again)
    assert half[0] in [t.number for t in again.study.trials if t.state == TrialState.COMPLETE]
    mine, theirs = ([(t.params, t.value) for t in each.study.trials] for each in (again, whole))
    assert mine == theirs
    done = BoundarySearch(tmp_path / "cut", RULE, ABOUT)
    assert done.open_batches() == []
    assert done.ask() == []


@pytest.mark.parametrize("writes", range(0, 18, 2))
def test_a_search_that_died_while_it_asked_asks_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    rule = replace(RULE, budget=16)
    whole = BoundarySearch(tmp_path / "whole", rule, ABOUT)
    run(whole)
    search = BoundarySearch(tmp_path / "cut", rule, ABOUT)
    left, write = [writes], search.study._storage.set_trial_param

    def dying(*given: Any) -> None:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        write(*given)

    monkeypatch.setattr(search.study._storage, "set_trial_param", dying)
    with pytest.raises(KeyboardInterrupt):
        run(search)
    again = BoundarySearch(tmp_path / "cut", rule, ABOUT)
    run(again)
    mine, theirs = ([(t.params, t.value) for t in each.study.trials] for each in (again, whole))
    assert mine == theirs


def test_a_journal_that_ends_in_half_a_line_is_continued(tmp_path: Path) -> None:
    rule = replace(RULE, budget=16)
    search = BoundarySearch(tmp_path, rule, ABOUT)
    search.ask()
    with (tmp_path / "search.journal").open("a") as journal:
        journal.write('{"op_code": 5, "wor')
    again = BoundarySearch(tmp_path, rule, ABOUT)
    run(again)
    assert BoundarySearch(tmp_path, rule, ABOUT).n_run == 16


@pytest.mark.slow
def test_batches_in_flight_together_may_end_in_any_order(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, RULE, ABOUT)
    launcher = run(search, parallel=3)
    _, low, high = interval(search)
    assert low < TRUTH < high
    assert search.n_run <= RULE.budget
    assert sum(map(len, launcher.tables.values())) == search.n_run
    replicas = pd.concat(launcher.tables.values())
    assert not replicas.duplicated(["weight_decay", "seed"]).any()


def test_a_run_that_fails_ends_the_asking_and_the_others_are_told(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, RULE, ABOUT)
    with pytest.raises(StoreError, match="the disk is full"):
        run(search, parallel=2, failing=1)
    assert search.n_run == RULE.batch
    assert len(search.open_batches()) == 1
    run(search)
    assert search.found()


def test_nothing_is_asked_for_where_replicas_collapse(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, replace(RULE, high=10.0), ABOUT)
    run(search, collapse=2.0)
    failed = [t for t in search.study.trials if t.state == TrialState.FAIL]
    assert failed
    smallest = min(t.params["weight_decay"] for t in failed)
    last = max(t.number for t in failed)
    later = [t for t in search.study.trials if t.number > last + RULE.batch]
    assert all(t.params["weight_decay"] < smallest for t in later)
    _, low, high = interval(search)
    assert low < TRUTH < high


def test_a_search_of_another_configuration_is_not_continued(tmp_path: Path) -> None:
    BoundarySearch(tmp_path, RULE, ABOUT)
    BoundarySearch(tmp_path, replace(RULE, budget=90, width_decades=0.1, batch=4), ABOUT)
    with pytest.raises(ConfigError, match=r"`task\.p` is 97 there and 31 now\. Choose another"):
        BoundarySearch(tmp_path, RULE, {"task": {"p": 31}, "horizon_steps": 1000})
    with pytest.raises(ConfigError, match=r"'first99' there and 'mem' now, and 1 more"):
        BoundarySearch(tmp_path, replace(RULE, event="mem", low=0.01), ABOUT)


def test_a_budget_ends_the_search(tmp_path: Path) -> None:
    search = BoundarySearch(tmp_path, replace(RULE, budget=12, width_decades=0.01), ABOUT)
    run(search)
    assert search.n_run == 12
    assert not search.found()


@pytest.mark.slow
def test_runs_of_a_curve_have_one_value_of_the_second_control_each(tmp_path: Path) -> None:
    second = {"name": "model.d_model", "values": [16, 32, 64]}
    search = BoundarySearch(tmp_path, replace(RULE, second=second, budget=32), ABOUT)
    said: list[str] = []
    launcher = run(search, said)
    sizes = [config["model"]["d_model"] for config in launcher.configs]
    assert set(sizes) == {16, 32, 64}
    asked = [t.params["model.d_model"] for t in search.study.trials]
    assert asked == np.repeat(sizes, RULE.batch).tolist()
    assert said[-1].count("] at ") == 3
    lost = BoundarySearch(
        tmp_path / "lost", replace(RULE, second={**second, "name": "width"}), ABOUT
    )
    with pytest.raises(ConfigError, match="There is no setting `width`"):
        run(lost)


def test_replicas_of_a_run_may_differ_in_their_learning_rate(tmp_path: Path) -> None:
    second = {"name": "lr", "values": [0.001, 0.01]}
    search = BoundarySearch(tmp_path, replace(RULE, second=second, budget=16), ABOUT)
    launcher = run(search)
    assert all(set(table["lr"]) == {0.001, 0.01} for table in launcher.tables.values())


@pytest.mark.parametrize("sampler", ["grid", "tpe"])
def test_an_ordinary_search_ends_with_its_budget(tmp_path: Path, sampler: str) -> None:
    rule = replace(RULE, sampler=sampler, points=4, budget=16)
    search = BoundarySearch(tmp_path, rule, ABOUT)
    said: list[str] = []
    run(search, said, collapse=0.5)
    assert search.n_run == 16
    values = {t.value for t in search.study.trials}
    assert values == {np.log10(250), 3.0}  # the collapsed ones cost their horizon
    assert said[-1].startswith("16 replicas: shortest 250 steps, at weight_decay ")


def test_above_an_upper_edge_one_that_collapsed_did_not_grok(tmp_path: Path) -> None:
    rule = replace(RULE, edge="upper", low=0.3, high=30.0)
    search = BoundarySearch(tmp_path, rule, ABOUT)
    run(search, collapse=2.0)
    assert search.found()
    _, low, high = interval(search)
    assert low < 2.0 < high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"low": 0.0}, "`search.low` must be positive and below"),
        ({"high": 0.0001}, "`search.low` must be positive and below"),
        ({"batch": 0}, "`search.batch` must be a whole number of at least 1, got 0"),
        ({"width_decades": 0.0}, "`search.width_decades` must be a positive number"),
        ({"level": 95.0}, "`search.level` must be in"),
        ({"edge": "left"}, "`search.edge` must be one of .*lower.*upper"),
        ({"second": {"name": "lr"}}, "`search.second.values` must be given"),
        ({"second": {"name": "lr", "values": [0.1, "b"]}}, "each a finite number, got"),
        ({"high": "x"}, "`search.high` must be a finite number, got 'x'"),
        ({"seed": 0.5}, "`search.seed` must be a whole number of at least 0, got 0.5"),
        ({"second": {"name": "modulus", "values": [31, 47]}}, "name `task.p`"),
        ({"second": {"name": "horizon_steps", "values": [9, 99]}}, "contains the short ones"),
        (
            {"second": {"name": "p", "values": [5, 7]}, "sampler": "tpe"},
            "replicas of a run share `p`",
        ),
    ],
)
def test_rules_that_make_no_sense_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rule({**asdict(RULE), **change})


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("trian_fraction", "no setting `trian_fraction` among ['model.', 'train_fraction']. Did you"
                           " mean train_fraction?"),
        ("model.d_modl", "no setting `model.d_modl` among ['model.d_model']. Did you mean model.d"),
        ("model", "no setting `model` among ['model.', 'train_fraction']."),
        ("train_fraction.x", "no setting `train_fraction.x` among"),
    ],
)  # fmt: skip
def test_a_setting_that_is_not_there_is_refused_by_its_whole_name(name: str, said: str) -> None:
    config = {"train_fraction": 0.5, "model": {"d_model": 32}}
    with pytest.raises(ConfigError, match=re.escape(said)) as refusal:
        with_setting(config, name, 1)
    assert "search.second" not in str(refusal.value)
    rule = replace(RULE, second={"name": name, "values": [1, 2]})
    with pytest.raises(ConfigError, match=r"`search\.second\.name` must name a setting\. There is"):
        shared_settings(config, rule)
