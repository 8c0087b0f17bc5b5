"""Which replica to run next: the most informative about the critical value, per step it costs.

What replicas that still run will show is not observed yet, so truths are drawn from the posterior:
in each draw they have outcomes, and the posterior moves on. The next replica is the one whose
outcome is most informative on average over the draws. Replicas chosen so one after the other are a
batch whose joint information is maximised greedily.
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.sweeps.grid_posterior import Floats, GridPosterior

Array = NDArray[np.float64]
Cost = Callable[[Array], Array]


def entropy(p: Floats) -> Floats:
    """Entropy of a yes or no, in nats; 0 where it is sure."""
    least = np.finfo(p.dtype).tiny
    q = 1.0 - p
    return -(p * np.log(np.maximum(p, least)) + q * np.log(np.maximum(q, least)))


def information(chance: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Expected information of one replica at each control about the critical value.

    Args:
        chance: P(grok), `[critical, nuisance, control]`.
        weight: Posteriors, `[draw, critical, nuisance]`, of the same precision.

    Returns:
        Mutual information of the outcome and the critical value, in nats, and the chance to grok,
        `[draw, control]` each.
    """
    mass = weight.sum(axis=-1).T[:, :, None]
    joint = np.matmul(weight.transpose(1, 0, 2), chance)
    p = joint.sum(axis=0)
    given = joint / np.maximum(mass, np.finfo(mass.dtype).tiny)
    return entropy(p) - (mass * entropy(given)).sum(axis=0), p


@final
class GridDraws:
    """Draws of the truth from a posterior, each with outcomes of the replicas that still run.

    Args:
        posterior: What is observed.
        n: Draws.
        rng: Where they come from.
    """

    def __init__(self, posterior: GridPosterior, n: int, rng: np.random.Generator) -> None:
        self._posterior, self._rng = posterior, rng
        weight = posterior.weight
        self._truth = rng.choice(weight.size, n, p=weight)
        self._weight = np.tile(weight.astype(np.float32), (n, 1))
        self._chance = posterior.chance_by_critical.astype(np.float32)

    def run(self, control: float) -> None:
        """Let a replica show what it shows, in each draw its own."""
        chance = self._posterior.chance_at(np.array([control]))[0]
        grokked = self._rng.random(self._truth.size) < chance[self._truth]
        shown = np.where(grokked[:, None], chance, 1.0 - chance).astype(np.float32)
        self._weight *= shown
        self._weight /= self._weight.sum(axis=1, keepdims=True)

    def next(self, cost: Cost | None = None, allowed: NDArray[np.bool_] | None = None) -> float:
        """The most informative control per step.

        Args:
            cost: Expected steps of a replica as a share of the horizon, from its chance to grok;
                None: all alike.
            allowed: Which controls may be asked for, `[control]`; None: all.
        """
        both = information(self._chance, self._posterior.by_critical(self._weight))
        nats, p = (values.mean(axis=0, dtype=np.float64) for values in both)
        worth = nats if cost is None else nats / cost(p)
        if allowed is not None:
            worth = np.where(allowed, worth, -np.inf)
        return float(self._posterior.controls[int(np.argmax(worth))])
