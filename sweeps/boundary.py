"""The search for a boundary: asked in batches, each a fleet; recorded as they end; durable."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast, final

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, TrialState

from observatory.core.errors import ObservatoryError
from observatory.launch.launcher import Launcher
from observatory.sweeps.fleets import check_same, replicas_of
from observatory.sweeps.journal import ASKED, BATCH, Journal
from observatory.sweeps.optuna_samplers import Best, log_steps
from observatory.sweeps.rule import CONTROL, LR, Rule
from observatory.sweeps.sampler import (
    ENDED_AS,
    SEED,
    STEPS,
    TIME,
    trial_value,
)
from observatory.sweeps.targets import Posterior

Config = dict[str, Any]

_JOURNAL = "search.journal"
NAME = "boundary"
_LASTING = ("event", "low", "high", "edge", "target", "second", "sampler", "points", "seed")
"""What of a rule holds for all replicas; the rest may change when a search is continued."""


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
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.rule = rule
        self.sampler = rule.made()
        self._journal = Journal(folder / _JOURNAL)
        self._storage = JournalStorage(self._journal)
        self.study = optuna.create_study(
            storage=self._storage,
            study_name=NAME,
            sampler=self.sampler,
            load_if_exists=True,
        )
        lasting = {name: getattr(rule, name) for name in _LASTING}
        check_same(self.study, folder, {**about, "search": lasting})

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states or None)

    def _trial(self, frozen: FrozenTrial) -> optuna.Trial:
        """A trial that can be written to."""
        study = self._storage.get_study_id_from_name(NAME)
        number = self._storage.get_trial_id_from_study_id_trial_number(study, frozen.number)
        return optuna.Trial(self.study, number)

    @property
    def n_run(self) -> int:
        """Replicas that were run to their end."""
        return len(self._trials(TrialState.COMPLETE, TrialState.FAIL))

    @property
    def posterior(self) -> Posterior | Best:
        """What the replicas so far say."""
        return self.sampler.posterior(self._trials(TrialState.COMPLETE, TrialState.FAIL))

    def found(self) -> bool:
        """Whether the search has found what was asked."""
        return self.posterior.found(self.rule.level, self.rule.width_decades)

    def open_batches(self) -> list[list[FrozenTrial]]:
        """Batches of which replicas still run, whole, the first asked for first."""
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
        """A new batch, given what was observed and what still runs; none at the end.

        It is recorded whole: where the process dies before, it is asked for again, the same.
        """
        left = self.rule.budget - self.n_run - len(self._trials(TrialState.RUNNING))
        if self.found() or left <= 0:
            return []
        number = 1 + max((int(trial.user_attrs[BATCH]) for trial in self._trials()), default=-1)
        with self._journal.at_once():
            n = min(self.rule.batch, left)
            for trial in [self.study.ask(self.sampler.space) for _ in range(n)]:
                trial.set_user_attr(BATCH, number)
            self.study.set_user_attr(ASKED, number + 1)
        return self.open_batches()[-1]

    def record(self, batch: list[FrozenTrial], outcomes: pd.DataFrame, horizon: int) -> None:
        """Add the outcomes of a batch's replicas.

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
                continue  # recorded before this process was started
            row = rows[tuple(float(trial.params[name]) for name in self._own)]
            grokked, open_trial = bool(row[f"{self.rule.event}_observed"]), self._trial(trial)
            time = float(row[f"{self.rule.event}_hi"]) if grokked else float(horizon)
            if self.rule.sampler == "boundary":
                value = trial_value(row["outcome"], grokked, self.rule.edge == "upper")
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


def run_search(
    search: BoundarySearch,
    config: Config,
    launcher: Launcher,
    outcomes: Callable[[Path], pd.DataFrame],
    message: Callable[[str], None],
) -> None:
    """Ask, train and record until the interval is narrow enough or the budget is spent.

    A run that fails ends the asking; those in flight are still recorded.

    Args:
        search: The batches.
        config: Of a run; its sweep is replaced.
        launcher: Trains.
        outcomes: Of a run's folder, as of `Run.outcomes()`.
        message: Receives lines for the user.

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
                message(f"nothing more is asked for, and what runs is awaited: {error}")
            if error is None:
                search.record(batch, outcomes(folder), int(config["horizon_steps"]))
                message(f"{search.n_run} replicas: {search.posterior.text(search.rule.level)}")
    if failure is not None:
        raise failure
