"""The boundary search as an Optuna sampler: trials are replicas, worth 1 where they grokked."""

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from observatory.core.errors import ConfigError
from observatory.sweeps.acquisition import Cost
from observatory.sweeps.aims import Aims
from observatory.sweeps.grid_posterior import Prior
from observatory.sweeps.journal import BATCH
from observatory.sweeps.targets import (
    AskContext,
    ObservedReplicas,
    Point,
    Posterior,
)

Array = NDArray[np.float64]

SEED = "seed"
STEPS = "steps"
"""User attribute of a complete trial: steps that it was trained for, as a share of the horizon."""
TIME = "time"
"""User attribute of a complete trial: when it grokked, as a share of the horizon; else 1."""
ENDED_AS = "ended_as"
"""User attribute of a failed trial: what its replica ended as, "collapsed" or "diverged"."""
_RETRY_OF = "retry_of"
"""System attribute of a trial that repeats a failed one: the number of that trial."""


def trial_value(outcome: str, grokked: bool, upper: bool) -> float | None:
    """Value of a trial whose replica has an outcome; None: the trial failed.

    A replica that diverged says nothing at first. One that collapsed is beyond the window: it says
    nothing of the lower edge, and that it did not grok of the upper one. So does, there, one that
    lost what it had learnt.

    Args:
        outcome: As of `Run.outcomes()`.
        grokked: Whether the event was observed.
        upper: Whether the upper edge is searched.
    """
    if outcome == "diverged" or (outcome == "collapsed" and not upper):
        return None
    return float(grokked and not (upper and outcome in ("collapsed", "lost")))


def seeds(n: int) -> BaseDistribution:
    """Seeds that a replica may have."""
    return IntDistribution(0, n - 1)


def free_seed(
    trials: Sequence[FrozenTrial], alike: Sequence[FrozenTrial], n: int, control: str
) -> int:
    """The seed used least of those that a replica may still have.

    Args:
        trials: All others.
        alike: Those that differ from it in their seed alone.
        n: Seeds that there are.
        control: What is searched, for the message.
    """
    left = set(range(n)) - {t.params[SEED] for t in alike}
    if not left:
        raise ConfigError(
            f"No seed is left at a value of {control} that is asked for again: raise "
            "`search.n_seeds`."
        )
    often = Counter(t.params[SEED] for t in trials)
    return min(left, key=lambda seed: (often[seed], seed))


class JointSampler(BaseSampler, ABC):
    """Chooses all parameters of a trial together, and no others."""

    @property
    @abstractmethod
    def space(self) -> dict[str, BaseDistribution]:
        """What a trial is asked for."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """All parameters, always."""
        return self.space

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuses: only the parameters of `space` are searched."""
        raise ValueError(f"`{param_name}` is not searched: only {', '.join(self.space)} are.")


@final
class BoundarySampler(JointSampler):
    """Asks for the replica that is most informative about its target, given what still runs.

    Complete trials are outcomes (1 grokked, 0 not), running ones are expected. A failed trial whose
    replica diverged is asked for again with another seed, so many times as
    `Aims.retries` says. If it fails each time, it did not grok where the upper edge is searched;
    where the lower one is, it lies beyond the window, as one that collapsed does: it says nothing
    of the boundary, and neither its control nor any above it is asked for again. The choice depends
    on `seed`, the trial's number and the other trials alone, so a search that is continued goes on
    as it would have.

    Args:
        prior: Boundaries that are thought possible.
        control: Name of the parameter that is searched.
        n_seeds: Seeds, 0 to this, of the parameter "seed"; those used least come first.
        seed: Of the draws.
        aims: What the search is after.
    """

    def __init__(
        self, prior: Prior, control: str, n_seeds: int, seed: int, aims: Aims | None = None
    ) -> None:
        self.prior, self.control, self.n_seeds = prior, control, n_seeds
        self.aims = aims or Aims()
        if self.aims.second is not None and self.aims.second.name in (control, SEED):
            raise ConfigError(
                f"`search.second.name` must be another setting than {control} and seed, got "
                f"{self.aims.second.name}."
            )
        self._seed = seed
        self._target = self.aims.search_target(prior)
        self._known: tuple[list[tuple[float, ...]], Posterior] | None = None

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """What a trial is asked for."""
        second = self.aims.second
        return {
            self.control: FloatDistribution(self.prior.low, self.prior.high, log=True),
            **({second.name: CategoricalDistribution(second.values)} if second else {}),
            SEED: seeds(self.n_seeds),
        }

    def point(self, trial: FrozenTrial) -> Point:
        """What a trial asked for."""
        second = self.aims.second
        place = second.values.index(trial.params[second.name]) if second else 0
        return float(trial.params[self.control]), place

    def posterior(self, trials: Sequence[FrozenTrial]) -> Posterior:
        """What trials say."""
        rows = [
            (*self.point(t), float(t.value or 0.0), float(t.user_attrs.get(TIME, 1.0)))
            for t in trials
            if t.params and (t.state == TrialState.COMPLETE or self._counts(t, trials))
        ]
        if self._known is None or self._known[0] != rows:
            control, place, grokked, time = np.array(rows).reshape(-1, 4).T
            observed = ObservedReplicas(control, place.astype(np.intp), grokked, time)
            self._known = rows, self._target.learn(observed, np.random.default_rng(self._seed))
        return self._known[1]

    def _tries(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> int:
        """How often a replica had been asked for when this trial repeated it."""
        before = {t.number: t for t in trials}
        tries = 0
        while (number := trial.system_attrs.get(_RETRY_OF)) is not None:
            tries, trial = tries + 1, before[number]
        return tries

    def _ended(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Whether a trial has failed for the last time."""
        if trial.state != TrialState.FAIL or not trial.params:
            return False
        if trial.user_attrs.get(ENDED_AS) == "collapsed":
            return True
        return self._tries(trial, trials) >= self.aims.retries

    def _counts(self, trial: FrozenTrial, trials: Sequence[FrozenTrial]) -> bool:
        """Whether a failed trial counts as one that did not grok."""
        return self.prior.edge == "upper" and self._ended(trial, trials)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next replica."""
        others = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        trials = [t for t in others if self.control in t.params]
        running = [t for t in trials if t.state == TrialState.RUNNING]
        mates = [t for t in running if BATCH not in t.user_attrs]
        second = self.aims.second
        shared = second is not None and second.shared and bool(mates)
        place = self.point(mates[0])[1] if shared else None
        failed = self._again(trials, place)
        if failed is not None:
            _note_retry(study, trial, failed)
            point = self.point(failed)
        else:
            context = AskContext(
                running=[self.point(t) for t in running],
                place=place,
                left=max(self.aims.batch - len(mates), 1),
                cost=cost_of(trials),
                allowed=lambda control, at: self._allowed(trials, control, at),
                rng=np.random.default_rng([self._seed, trial.number]),
                n_draws=self.aims.n_draws,
            )
            point = self.posterior(trials).ask(context)
        if point is None:
            raise ConfigError(
                f"Every value of {self.control} that may be asked for collapsed, diverged or has "
                "no seed left. Raise `search.n_seeds`, or begin another `study` with a lower "
                "`search.low`."
            )
        named = {second.name: second.values[point[1]]} if second else {}
        alike = [t for t in trials if self.point(t) == point]
        seed = free_seed(trials, alike, self.n_seeds, self.control)
        return {self.control: point[0], **named, SEED: seed}

    def _again(self, trials: list[FrozenTrial], place: int | None) -> FrozenTrial | None:
        """The first failed trial that is to be repeated, at this place if one is given."""
        repeated = {t.system_attrs.get(_RETRY_OF) for t in trials}
        for trial in trials:
            if trial.state != TrialState.FAIL or trial.number in repeated:
                continue
            control, at = self.point(trial)
            free = self._allowed(trials, np.array([control]), at)[0]
            if free and place in (None, at) and not self._ended(trial, trials):
                return trial
        return None

    def _allowed(self, trials: list[FrozenTrial], control: Array, place: int) -> NDArray[np.bool_]:
        """Which controls have a seed left and do not lie beyond the window."""
        here = [t for t in trials if self.point(t)[1] == place]
        at = Counter(self.point(t)[0] for t in here)
        free = np.array([at[c] < self.n_seeds for c in control.tolist()])
        if self.prior.edge == "upper":
            return free
        ended = [self.point(t)[0] for t in here if self._ended(t, trials)]
        return free & (control < min(ended, default=np.inf))


def _note_retry(study: Study, trial: FrozenTrial, failed: FrozenTrial) -> None:
    """Note of a trial that it repeats a failed one.

    Optuna gives a sampler no public way to note something of the trial that it chooses for; its own
    samplers write to the study's storage, as this does. It must be durable: a search that is
    continued has to know what was repeated.
    """
    study._storage.set_trial_system_attr(trial._trial_id, _RETRY_OF, failed.number)


def cost_of(trials: Sequence[FrozenTrial]) -> Cost:
    """Expected steps of a replica from its chance to grok, learnt from what grokked so far."""
    steps = [
        float(t.user_attrs[STEPS])
        for t in trials
        if t.state == TrialState.COMPLETE and t.value == 1.0 and STEPS in t.user_attrs
    ]
    share = float(np.mean(steps)) if steps else 1.0

    def cost(p: Array) -> Array:
        return p * share + (1.0 - p)

    return cost
