"""The search for a boundary: asked in batches, each a fleet; told when it is done; durable."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, final

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from observatory.core.errors import ConfigError, ObservatoryError
from observatory.core.setting_types import check_types, declared
from observatory.launch.compose import with_replicas
from observatory.launch.launcher import Launcher
from observatory.launch.run import described
from observatory.sweeps.belief import Edge, Prior
from observatory.sweeps.optuna_samplers import Best, Field, OrdinarySampler, log_steps
from observatory.sweeps.sampler import (
    BATCH,
    ENDED_AS,
    SEED,
    STEPS,
    TIME,
    Aims,
    BoundarySampler,
    Second,
    told_as,
)
from observatory.sweeps.targets import Known

Config = dict[str, Any]

JOURNAL = "search.journal"
NAME = "boundary"
CONTROL = "weight_decay"
LR = "lr"
"""The one further setting in which replicas of a fleet may differ, but for their seed."""
ABOUT = "about"
"""User attribute of the study: the settings that hold for all of its replicas."""
NOT_SECOND = {
    "modulus": "other settings took their values from it: name `task.p`",
    "horizon_steps": "a long run contains the short ones",
    f"optimizer.{CONTROL}": "it is what is searched",
}
"""Settings that cannot be a second control, and why."""
LASTING = ("event", "low", "high", "edge", "target", "second", "sampler", "points", "seed")
"""What of a rule holds for all replicas; the rest may change when a search is continued."""


@final
@dataclass(frozen=True)
class Rule:
    """What is searched for, and when it is found.

    Attributes:
        event: Event preset that makes a replica count as grokked.
        low: Smallest critical weight decay that is thought possible.
        high: Largest.
        batch: Replicas asked for together.
        n_seeds: Seeds that they may have, 0 to this.
        width_decades: Stop where the credible interval is no wider.
        budget: Stop where this many replicas were run.
        level: Of that interval.
        seed: Of the search's draws.
        edge: "lower": replicas grok above the critical value; "upper": below it.
        target: See `Aims`.
        second: None, or the `name` and `values` of a second control.
        retries: See `Aims`.
        sampler: "boundary", or one of Optuna's: see `OrdinarySampler`.
        points: Weight decays of `sampler` "grid".
    """

    event: str
    low: float
    high: float
    batch: int
    n_seeds: int
    width_decades: float
    budget: int
    level: float
    seed: int
    edge: str
    target: str
    second: dict[str, Any] | None
    retries: int
    sampler: str
    points: int

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ConfigError(f"`search.seed` must not be negative, got {self.seed}.")
        if not 0 < self.low < self.high:
            raise ConfigError(
                f"`search.low` must be positive and below `search.high`, got {self.low} and "
                f"{self.high}. Give weight decays that surely lie on both sides of the boundary."
            )
        for name in ("batch", "n_seeds", "budget", "points"):
            if (value := getattr(self, name)) < 1:
                raise ConfigError(f"`search.{name}` must be at least 1, got {value}.")
        if not self.width_decades > 0:
            raise ConfigError(f"`search.width_decades` must be positive, got {self.width_decades}.")
        if not 0 < self.level < 1:
            raise ConfigError(f"`search.level` must be in (0, 1), got {self.level}. Give a share.")
        if self.edge not in ("lower", "upper"):
            raise ConfigError(f"`search.edge` must be lower or upper, got {self.edge!r}.")
        self.made()

    def _second(self) -> Second | None:
        if self.second is None:
            return None
        if set(self.second) != {"name", "values"}:
            raise ConfigError(
                f"`search.second` must be null or have a name and values, got {self.second}."
            )
        check_types({"name": str, "values": list[float]}, self.second, "search.second.")
        name, values = self.second["name"], self.second["values"]
        if name in NOT_SECOND:
            raise ConfigError(f"`search.second.name` cannot be `{name}`: {NOT_SECOND[name]}.")
        return Second(name, tuple(values), shared=name != LR)

    def made(self) -> BoundarySampler | OrdinarySampler:
        """Its sampler."""
        second = self._second()
        if self.sampler == "boundary":
            aims = Aims(self.batch, self.target, second, self.retries)
            prior = Prior(self.low, self.high, cast(Edge, self.edge))
            return BoundarySampler(prior, CONTROL, self.n_seeds, self.seed, aims)
        if second is not None and second.shared:
            raise ConfigError(
                f"`search.sampler={self.sampler}` mixes the values of a second control in a batch, "
                f"and replicas of a run share `{second.name}`. Leave out `search.second`, name "
                "`lr`, or set `search.sampler=boundary`."
            )
        others = {second.name: second.values} if second else {}
        field = Field(CONTROL, self.low, self.high, self.points, others)
        return OrdinarySampler(self.sampler, field, self.n_seeds, self.seed)


def read_rule(settings: Config) -> Rule:
    """The rule that the group `search` of a configuration states.

    Raises:
        ConfigError: If a setting breaks its own.
    """
    check_types(declared(Rule), settings, "search.")
    return Rule(**settings)


@final
class BoundarySearch:
    """An Optuna study of replicas in a journal; a second start of it continues.

    Args:
        folder: Of the study of runs; the journal lies in it.
        rule: What is searched for.
        about: Settings that all runs of the search share.

    Raises:
        ConfigError: If the search in the folder is of other settings.
    """

    def __init__(self, folder: Path, rule: Rule, about: Config) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.rule = rule
        self.sampler = rule.made()
        mend(folder / JOURNAL)
        self.study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / JOURNAL))),
            study_name=NAME,
            sampler=self.sampler,
            load_if_exists=True,
        )
        self._same(folder, {**about, "search": {name: getattr(rule, name) for name in LASTING}})

    def _same(self, folder: Path, about: Config) -> None:
        """Refuse settings that are not those of the replicas in the journal."""
        ours = flat(json.loads(json.dumps(about)))
        if ABOUT not in self.study.user_attrs:
            self.study.set_user_attr(ABOUT, ours)
        theirs = self.study.user_attrs[ABOUT]
        if other := sorted(key for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)):
            key = other[0]
            raise ConfigError(
                f"`{folder}` holds a search of another configuration: `{key}` is "
                f"{theirs.get(key)!r} there and {ours.get(key)!r} now"
                f"{f', and {len(other) - 1} more differ' if len(other) > 1 else ''}. Choose "
                "another `study`, or give what it was begun with."
            )

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _asked(self) -> list[FrozenTrial]:
        """Trials that belong to no batch yet."""
        return [t for t in self._trials(TrialState.RUNNING) if BATCH not in t.user_attrs]

    def _trial(self, frozen: FrozenTrial) -> optuna.Trial:
        """A trial that can be written to."""
        return optuna.Trial(self.study, frozen._trial_id)

    @property
    def n_run(self) -> int:
        """Replicas that were run to their end."""
        return len(self._trials(TrialState.COMPLETE, TrialState.FAIL))

    @property
    def known(self) -> Known | Best:
        """What the replicas so far say."""
        return self.sampler.belief(self._trials(TrialState.COMPLETE, TrialState.FAIL))

    def found(self) -> bool:
        """Whether it is known as well as asked."""
        return self.known.found(self.rule.level, self.rule.width_decades)

    def open_batches(self) -> list[list[FrozenTrial]]:
        """Batches that are not told to their end, whole, the first asked for first."""
        batches: dict[int, list[FrozenTrial]] = {}
        for trial in self._trials():
            if BATCH in trial.user_attrs:
                batches.setdefault(int(trial.user_attrs[BATCH]), []).append(trial)
        return [
            batches[number]
            for number in sorted(batches)
            if any(trial.state == TrialState.RUNNING for trial in batches[number])
        ]

    def ask(self) -> list[FrozenTrial]:
        """A new batch, given what was told and what still runs; none at the end.

        What a process that died had asked for is asked for to its end, as it would have been.
        """
        begun = self._asked()
        left = self.rule.budget - self.n_run - len(self._trials(TrialState.RUNNING))
        if not begun and (self.found() or left <= 0):
            return []
        for trial in map(self._trial, begun):
            for name, values in self.sampler.space.items():
                trial._suggest(name, values)  # what is there already stays
        for _ in range(min(self.rule.batch - len(begun), left)):
            self.study.ask(self.sampler.space)
        known = [int(t.user_attrs[BATCH]) for t in self._trials() if BATCH in t.user_attrs]
        for trial in self._asked():
            self._trial(trial).set_user_attr(BATCH, max(known, default=-1) + 1)
        return self.open_batches()[-1]

    def tell(self, batch: list[FrozenTrial], outcomes: pd.DataFrame, horizon: int) -> None:
        """Outcomes of a batch's replicas; see `told_as` for those that failed.

        Args:
            batch: As of `ask` or `open_batches`.
            outcomes: As of `Run.outcomes()`.
            horizon: Steps after which replicas were retired.
        """
        rows = {
            tuple(float(row[name]) for name in self._own): row
            for row in cast(list[Mapping[str, Any]], outcomes.to_dict("records"))
        }
        for trial in batch:
            if trial.state != TrialState.RUNNING:
                continue  # told before this process was started
            row = rows[tuple(float(trial.params[name]) for name in self._own)]
            grokked, open_trial = bool(row[f"{self.rule.event}_observed"]), self._trial(trial)
            time = float(row[f"{self.rule.event}_hi"]) if grokked else float(horizon)
            if self.rule.sampler == "boundary":
                value = told_as(row["outcome"], grokked, self.rule.edge == "upper")
            else:
                value = log_steps(grokked, time, horizon)
            if value is None:
                open_trial.set_user_attr(ENDED_AS, row["outcome"])
                self.study.tell(trial.number, state=TrialState.FAIL)
                continue
            open_trial.set_user_attr(STEPS, float(row["step"]) / horizon)
            open_trial.set_user_attr(TIME, time / horizon)
            self.study.tell(trial.number, value)

    @property
    def _own(self) -> list[str]:
        """Settings in which the replicas of a batch differ."""
        return [name for name in (CONTROL, LR, SEED) if name in self.sampler.space]


def mend(journal: Path) -> None:
    """Cut off a last line that a full disk or a lost node left unfinished; for its owner alone."""
    if not journal.exists():
        return
    with journal.open("r+b") as file:
        text = file.read()
        file.truncate(text.rfind(b"\n") + 1)


def flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested settings by their dotted names.

    Example:
        >>> flat({"task": {"p": 97}, "seed": 0})
        {'task.p': 97, 'seed': 0}
    """
    leaves: dict[str, Any] = {}
    for key, value in values.items():
        leaves |= (
            flat(value, f"{before}{key}.") if isinstance(value, dict) else {before + key: value}
        )
    return leaves


def with_setting(config: Config, name: str, value: object) -> Config:
    """A configuration with another value of a setting.

    Example:
        >>> with_setting({"model": {"d_model": 32}, "seed": 0}, "model.d_model", 64)
        {'model': {'d_model': 64}, 'seed': 0}
    """
    head, _, rest = name.partition(".")
    if head not in config or isinstance(config[head], dict) != bool(rest):
        known = sorted(f"{key}." if isinstance(config[key], dict) else key for key in config)
        raise ConfigError(
            f"`search.second.name` names no setting: there is no `{name}` among {known}."
        )
    return {**config, head: with_setting(config[head], rest, value) if rest else value}


def shared_settings(config: Config, rule: Rule) -> Config:
    """What all runs of a search share, once it was checked that every one can be trained.

    Raises:
        ConfigError: If a setting breaks its rule, also one that the second control gives.
    """
    if rule.second is not None and (name := rule.second["name"]) != LR:
        runs = [
            described(with_setting(config, name, value), rule.event)
            for value in rule.second["values"]
        ]
        if runs[0] == runs[1]:
            raise ConfigError(
                f"`search.second.name` is `{name}`, which changes nothing that is recorded. Name a "
                "setting of the model, the task or the optimizer."
            )
    return described(config, rule.event)


def replicas_of(config: Config, batch: list[FrozenTrial]) -> Config:
    """The configuration of a run whose replicas are a batch."""
    rows = [
        {name: t.params[name] for name in (CONTROL, LR, SEED) if name in t.params} for t in batch
    ]
    for name in set(batch[0].params) - {CONTROL, LR, SEED}:
        config = with_setting(config, name, batch[0].params[name])
    return with_replicas(config, sorted(rows, key=lambda row: tuple(row.values())))


def run_search(
    search: BoundarySearch,
    config: Config,
    launcher: Launcher,
    outcomes: Callable[[Path], pd.DataFrame],
    tell: Callable[[str], None],
) -> None:
    """Ask, train and tell until the interval is narrow enough or the budget is spent.

    A run that fails ends the asking; those in flight are still told.

    Args:
        search: See `BoundarySearch`.
        config: Of a run; its sweep is replaced.
        launcher: Trains.
        outcomes: Of a run's folder, as of `Run.outcomes()`.
        tell: Receives lines for the user.

    Raises:
        ObservatoryError: Why the first of the failed runs failed.
    """
    waiting: dict[Path, list[FrozenTrial]] = {}
    failure: ObservatoryError | None = None
    batches = search.open_batches()
    while True:
        while failure is None and len(waiting) < launcher.parallel:
            batch = batches.pop(0) if batches else search.ask()
            if not batch:
                break
            try:
                waiting[launcher.start(replicas_of(config, batch))] = batch
            except ObservatoryError as error:
                if not waiting:
                    raise
                failure = error
        if not waiting:
            break
        for folder, error in launcher.ended().items():
            batch = waiting.pop(folder)
            failure = failure or error
            if error is not None and waiting:
                tell(f"nothing more is asked for, and what runs is awaited: {error}")
            if error is None:
                search.tell(batch, outcomes(folder), int(config["horizon_steps"]))
                tell(f"{search.n_run} replicas: {search.known.text(search.rule.level)}")
    if failure is not None:
        raise failure
