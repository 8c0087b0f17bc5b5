"""The boundary search as an Optuna sampler: trials are replicas, worth 1 where they grokked."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, final

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from observatory.core.errors import ConfigError
from observatory.sweeps.acquisition import Cost, Worlds
from observatory.sweeps.belief import Belief, Prior

Array = NDArray[np.float64]

STEPS = "steps"
"""User attribute of a told trial: steps that it was trained for, as a share of the horizon."""


@final
class BoundarySampler(BaseSampler):
    """Asks for the replica that tells most about the critical value, given what still runs.

    Complete trials are outcomes (1 grokked, 0 not), running ones are expected. Failed ones say
    nothing of the boundary, and neither their control nor any above it is asked for again: a
    replica fails where it collapses or diverges, beyond the window. The choice depends on `seed`,
    the trial's number and the other trials alone, so a search that is continued goes on as it
    would have.

    Args:
        prior: Boundaries that are thought possible.
        control: Name of the parameter that is searched.
        n_seeds: Seeds, 0 to this, of the parameter "seed"; those used least come first.
        seed: Of the draws.
        n_worlds: See `Worlds`.
    """

    def __init__(
        self, prior: Prior, control: str, n_seeds: int, seed: int, n_worlds: int = 16
    ) -> None:
        self.prior, self.control, self.n_seeds = prior, control, n_seeds
        self._seed, self._n_worlds = seed, n_worlds

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """What a trial is asked for."""
        return {
            self.control: FloatDistribution(self.prior.low, self.prior.high, log=True),
            "seed": IntDistribution(0, self.n_seeds - 1),
        }

    def belief(self, trials: Sequence[FrozenTrial]) -> Belief:
        """What complete trials say."""
        belief = Belief(self.prior)
        told = [t for t in trials if t.state == TrialState.COMPLETE]
        if told:
            control = np.array([t.params[self.control] for t in told])
            grokked = np.array([float(t.value or 0.0) for t in told])
            belief.told(control, np.ones_like(grokked), grokked)
        return belief

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Both parameters, always."""
        return self.space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next replica."""
        trials = [t for t in study.get_trials(deepcopy=False) if t.number != trial.number]
        running = [t for t in trials if t.state == TrialState.RUNNING and self.control in t.params]
        belief = self.belief(trials)
        rng = np.random.default_rng([self._seed, trial.number])
        worlds = Worlds(belief, self._n_worlds, rng)
        for other in running:
            worlds.run(other.params[self.control])
        used = [(t.params[self.control], t.params["seed"]) for t in trials if t.params]
        at = Counter(control for control, _ in used)
        failed = [t.params[self.control] for t in trials if t.state == TrialState.FAIL and t.params]
        free = np.array([at[c] < self.n_seeds for c in belief.controls.tolist()])
        free &= belief.controls < min(failed, default=np.inf)
        if not free.any():
            raise ConfigError(
                f"Every value of {self.control} that may be asked for collapsed, diverged or has "
                "no seed left. Lower `search.low`, or raise `search.n_seeds`."
            )
        control = worlds.next(cost_of(trials), free)
        taken = {seed for other, seed in used if other == control}
        often = Counter(seed for _, seed in used)
        seed = min(set(range(self.n_seeds)) - taken, key=lambda s: (often[s], s))
        return {self.control: control, "seed": seed}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Refuses: only the control and the seed are searched."""
        raise ValueError(f"`{param_name}` is not searched: only {self.control} and seed are.")


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
