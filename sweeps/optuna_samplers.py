"""Optuna's own samplers through the door of the boundary search: the shortest time to grok."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, final

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from observatory.core.errors import ConfigError
from observatory.sweeps.sampler import SEED, JointSampler, free_seed, seeds

KINDS = ("grid", "qmc", "tpe", "random")


@final
@dataclass(frozen=True)
class Field:
    """What is sampled."""

    control: str  # name of the first control
    low: float  # its smallest value
    high: float  # its largest
    points: int  # its log-spaced values, if they form a grid
    others: dict[str, tuple[float, ...]]  # further controls, each with its values

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """All but the seed."""
        return {
            self.control: FloatDistribution(self.low, self.high, log=True),
            **{name: CategoricalDistribution(values) for name, values in self.others.items()},
        }

    @property
    def grid(self) -> list[dict[str, Any]]:
        """Its points, if it is a grid."""
        first = np.clip(np.geomspace(self.low, self.high, self.points), self.low, self.high)
        axes = [first.tolist(), *self.others.values()]
        return [
            dict(zip([self.control, *self.others], point, strict=True)) for point in product(*axes)
        ]


def _optuna_sampler(kind: str, seed: int, number: int) -> BaseSampler:
    """Optuna's sampler as it stands before a trial: it depends on nothing but the study."""
    own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        if kind == "qmc":
            return QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)
        if kind == "tpe":
            return TPESampler(seed=own, constant_liar=True)
        return RandomSampler(seed=own)


def log_steps(grokked: bool, step: float, horizon: int) -> float:
    """What such a search makes small: log10 of the steps to grok.

    A replica that did not grok, for whatever reason, counts as if it had at the horizon: its cost,
    not its time.
    """
    return float(np.log10(max(step if grokked else horizon, 1)))


@final
@dataclass(frozen=True)
class Best:
    """The best replica so far."""

    best: dict[str, Any] | None  # its parameters; None before the first
    value: float  # as of `log_steps`

    def found(self, level: float, width: float) -> bool:
        """Never: such a search ends with its budget."""
        return False

    def text(self, level: float) -> str:
        """For the user, half a line."""
        if self.best is None:
            return "none has ended yet"
        named = ", ".join(f"{k} {v:.3g}" for k, v in self.best.items() if k != SEED)
        return f"shortest {10.0**self.value:.0f} steps, at {named}"


@final
class OrdinarySampler(JointSampler):
    """One of Optuna's samplers for the controls, and a seed of its own for each replica.

    A search that is continued goes on as it would have: each trial's draws depend on `seed`, its
    number and the trials in the study.

    Args:
        kind: "grid" (all its points in a drawn order, then again with other seeds: Optuna's own
            ends the study instead), "qmc" (scrambled Sobol points), "tpe" (tree-structured Parzen
            estimator) or "random".
        field: What is sampled.
        n_seeds: Seeds, 0 to this, of the parameter "seed"; those used least come first.
        seed: Of the draws.
    """

    def __init__(self, kind: str, field: Field, n_seeds: int, seed: int) -> None:
        if kind not in KINDS:
            raise ConfigError(
                f"`search.sampler` must be boundary, {', '.join(KINDS)}, got {kind!r}."
            )
        self.kind, self.field, self.n_seeds, self._seed = kind, field, n_seeds, seed

    @property
    def space(self) -> dict[str, BaseDistribution]:
        """What a trial is asked for."""
        return {**self.field.space, SEED: seeds(self.n_seeds)}

    def posterior(self, trials: Sequence[FrozenTrial]) -> Best:
        """The best trial."""
        complete = [t for t in trials if t.state == TrialState.COMPLETE and t.value is not None]
        best = min(complete, key=lambda t: float(t.value or 0.0), default=None)
        return Best(best.params, float(best.value or 0.0)) if best else Best(None, 0.0)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The next replica."""
        params = self._params(study, trial)
        others = [t for t in study.get_trials(deepcopy=False) if SEED in t.params]
        alike = [t for t in others if all(t.params[k] == v for k, v in params.items())]
        return {**params, SEED: free_seed(others, alike, self.n_seeds, self.field.control)}

    def _params(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        """The controls of the next replica."""
        if self.kind == "grid":
            order = np.random.default_rng(self._seed).permutation(len(grid := self.field.grid))
            return grid[order[trial.number % len(grid)]]
        space = self.field.space
        sampler = _optuna_sampler(self.kind, self._seed, trial.number)
        params = sampler.sample_relative(study, trial, space)
        for name in space:
            if name not in params:
                params[name] = sampler.sample_independent(study, trial, name, space[name])
        return params
