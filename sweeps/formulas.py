"""The search for an activation formula, batch after batch in an Optuna study; durable."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, final

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.storages import JournalStorage
from optuna.trial import FrozenTrial, Trial, TrialState
from torch import Tensor

from observatory.core.errors import ConfigError
from observatory.core.settings import Count, Fraction, Range, Size, checked, declared
from observatory.sweeps.fleets import check_same
from observatory.sweeps.grammar import among, n_nodes, random_formulas, values_of
from observatory.sweeps.grammar import read_grammar as read
from observatory.sweeps.journal import ASKED, BATCH, Journal
from observatory.sweeps.optuna_samplers import log_steps

ACTIVATION = "activation"
"""The setting of a model that is searched."""
_JOURNAL, _NAME = "formulas.journal", "formulas"
_TEXT = "formula"
"""User attribute of a trial: the formula, whose symbols by place are its parameters."""
_TRIES = 300
"""Formulas that are drawn before the functions of a grammar are taken to be exhausted."""


@final
@dataclass(frozen=True)
class FormulaRule:
    """What is searched for, and how it is tested."""

    grammar: dict[str, Any]  # as of `Grammar`
    event: str  # event preset whose time is made short
    budget: Size  # formulas that are trained
    batch: Size  # formulas that are chosen before the outcome of any of them is known
    fresh: Fraction  # share of formulas that are drawn anew; the others have a parent
    tournament: Size  # formulas that are drawn with replacement, of which the best is the parent
    seed: Count  # of the search's draws, and of the random formulas
    operations: list[str]  # presets of `conf/task` on which the best formula is tested
    n_random: Size  # random formulas of its size beside it
    seeds: Annotated[int, Range(5)]  # of the test, the first after those of the search

    def __post_init__(self) -> None:
        checked(vars(self), declared(FormulaRule), "formulas")
        named = all(re.fullmatch(r"\w[\w.-]*", name) for name in self.operations)
        if not self.operations or not named or len(set(self.operations)) < len(self.operations):
            raise ConfigError(
                "`formulas.operations` must name tasks, each once, such as [mul, sub], got "
                f"{self.operations}."
            )
        read(self.grammar)


def read_rule(settings: Mapping[str, Any]) -> FormulaRule:
    """The rule that the block `formulas` of a configuration states.

    Raises:
        ConfigError: If a setting breaks its own.
    """
    return FormulaRule(**checked(settings, declared(FormulaRule), "formulas", complete=True))


def log_times(outcomes: pd.DataFrame, event: str, horizon: int) -> NDArray[np.float64]:
    """log10 of the steps to an event, `[replica]`; of a replica without it that of the horizon."""
    seen = outcomes[f"{event}_observed"].tolist()
    times = outcomes[f"{event}_hi"].tolist()
    return np.array([log_steps(bool(s), t, horizon) for s, t in zip(seen, times, strict=True)])


@final
class FormulaSearch:
    """An Optuna study of formulas in a journal; a second start of it continues.

    Its value is the mean of `log_times` over the replicas of a formula, and is made small. A new
    formula is drawn from the grammar, symbol by symbol with equal chances, or is the best of a few
    that ended with a part, at a place drawn with equal chances, drawn anew. What is the function of
    a trial before is drawn again. Each choice depends on the rule, the trial's number and the
    batches before alone.

    Args:
        folder: Of the study of runs; the journal lies in it.
        rule: What is searched for.
        about: Settings that all runs of the search share.

    Raises:
        ConfigError: If the search in the folder is of other settings.

    Source:
        Subtree mutation and tournaments of genetic programming: Koza (1992), Genetic Programming,
        MIT Press; arXiv:2601.10740 searches so, on data. Deviation: no crossover, no generations.
    """

    def __init__(self, folder: Path, rule: FormulaRule, about: dict[str, Any]) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.rule, self.grammar = rule, read(rule.grammar)
        self._journal = Journal(folder / _JOURNAL)
        storage = JournalStorage(self._journal)
        self.study = optuna.create_study(storage=storage, study_name=_NAME, load_if_exists=True)
        check_same(self.study, folder, {**about, "formulas": vars(rule)})

    def _asked(self) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False)

    def _ended(self) -> list[FrozenTrial]:
        return [t for t in self._asked() if t.state == TrialState.COMPLETE]

    def batch(self) -> dict[str, int]:
        """Formulas to train, with the numbers of their trials; none at the end.

        They are those of the batch that was begun, or a new one.
        """
        if not (open_ones := self._open()):
            self._ask()
            open_ones = self._open()
        return {str(trial.user_attrs[_TEXT]): trial.number for trial in open_ones}

    def _open(self) -> list[FrozenTrial]:
        return [trial for trial in self._asked() if trial.state == TrialState.RUNNING]

    def _ask(self) -> None:
        """Choose a batch; it is recorded whole, or not at all."""
        asked, ended = self._asked(), self._ended()
        number = max((int(t.user_attrs[BATCH]) for t in asked), default=-1) + 1
        tried = [values for t in asked if (values := values_of(t.user_attrs[_TEXT])) is not None]
        with self._journal.at_once():
            for place in range(len(asked), min(len(asked) + self.rule.batch, self.rule.budget)):
                rng = np.random.default_rng([self.rule.seed, place])
                symbols = self._new(ended, tried, rng)
                if symbols is None:
                    break
                self.study.enqueue_trial(symbols)
                trial = self.study.ask()
                trial.set_user_attr(_TEXT, self.grammar.formula(_suggest(trial)))
                trial.set_user_attr(BATCH, number)
            self.study.set_user_attr(ASKED, number + 1)

    def _new(
        self, ended: Sequence[FrozenTrial], tried: list[Tensor], rng: np.random.Generator
    ) -> dict[str, str] | None:
        """Symbols by place of a function that was not tried, which is then added to `tried`."""
        for _ in range(_TRIES):
            symbols = self._drawn(ended, rng)
            values = values_of(self.grammar.formula(lambda at, _, own=symbols: own[at]))
            if values is not None and not among(values, tried):
                tried.append(values)
                return symbols
        return None

    def _drawn(self, ended: Sequence[FrozenTrial], rng: np.random.Generator) -> dict[str, str]:
        """Symbols by place of a formula: a new one, or one that ended with a part drawn anew."""
        parent, cut = dict[str, str](), "node"
        if ended and rng.random() >= self.rule.fresh:
            few = [ended[i] for i in rng.integers(len(ended), size=self.rule.tournament)]
            parent = min(few, key=lambda trial: (float(trial.value or 0.0), trial.number)).params
            cut = str(rng.choice(sorted(parent)))
        made: dict[str, str] = {}

        def choose(at: str, symbols: list[str]) -> str:
            keep = at in parent and not at.startswith(cut)
            made[at] = parent[at] if keep else symbols[int(rng.integers(len(symbols)))]
            return made[at]

        self.grammar.formula(choose)
        return made

    def record(self, number: int, times: Sequence[float] | NDArray[np.float64]) -> None:
        """Add the outcome of a formula: `log_times` of its replicas."""
        self.study.tell(number, float(np.mean(times)))

    def text(self) -> str:
        """What was found so far, in a line."""
        best, value = self.best()
        return f"{len(self._ended())} formulas: shortest {10**value:.0f} steps by {best}"

    def best(self) -> tuple[str, float]:
        """The formula of the smallest value, the first of several, and that value.

        Raises:
            ConfigError: If the grammar has no formula that can be an activation.
        """
        if not (ended := self._ended()):
            raise ConfigError(
                "`formulas.grammar` must have formulas that vary with x and are finite from -8 to "
                "8, and none was found. Give it more functions."
            )
        best = min(ended, key=lambda trial: (float(trial.value or 0.0), trial.number))
        return str(best.user_attrs[_TEXT]), float(best.value or 0.0)

    def controls(self) -> list[str]:
        """Random formulas of the best one's size; neither it nor relu is among them."""
        best, _ = self.best()
        rng = np.random.default_rng([self.rule.seed, self.rule.budget])
        return random_formulas(
            self.grammar, self.rule.n_random, n_nodes(best), [best, "relu(x)"], rng
        )


def _suggest(trial: Trial) -> Callable[[str, list[str]], str]:
    """Choices of symbols, by a trial."""
    return lambda at, symbols: str(trial.suggest_categorical(at, symbols))
