"""Which replica to run next: the one that tells most about the critical value, per step it costs.

What replicas that still run will show is not known, so worlds are drawn from the belief: in each
they have outcomes, and the belief moves on. The next replica is the one whose outcome tells most on
average over these worlds. Replicas chosen so one after the other are a batch whose joint
information is maximised greedily.
"""

from collections.abc import Callable
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.sweeps.belief import Belief, Floats

Array = NDArray[np.float64]
Cost = Callable[[Array], Array]


def entropy(p: Floats) -> Floats:
    """Entropy of a yes or no, in nats; 0 where it is sure."""
    least = np.finfo(p.dtype).tiny
    q = 1.0 - p
    return -(p * np.log(np.maximum(p, least)) + q * np.log(np.maximum(q, least)))


def information(chance: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """What one replica at each control is expected to tell about the critical value.

    Args:
        chance: P(grok), `[critical, nuisance, control]`.
        weight: Posteriors, `[world, critical, nuisance]`, of the same precision.

    Returns:
        Mutual information of the outcome and the critical value, in nats, and the chance to grok,
        `[world, control]` each.
    """
    mass = weight.sum(axis=-1).T[:, :, None]
    joint = np.matmul(weight.transpose(1, 0, 2), chance)
    p = joint.sum(axis=0)
    given = joint / np.maximum(mass, np.finfo(mass.dtype).tiny)
    return entropy(p) - (mass * entropy(given)).sum(axis=0), p


@final
class Worlds:
    """Draws of the truth from a belief, each with outcomes of the replicas that still run.

    Args:
        belief: What is known.
        n: Worlds drawn.
        rng: Where they come from.
    """

    def __init__(self, belief: Belief, n: int, rng: np.random.Generator) -> None:
        posterior = belief.weight
        self._belief, self._rng = belief, rng
        self._truth = rng.choice(posterior.size, n, p=posterior)
        self._weight = np.tile(posterior.astype(np.float32), (n, 1))
        self._chance = belief.chance_by_critical.astype(np.float32)

    def run(self, control: float) -> None:
        """Let a replica show what it shows, in each world its own."""
        chance = self._belief.chance_at(np.array([control]))[0]
        grokked = self._rng.random(self._truth.size) < chance[self._truth]
        shown = np.where(grokked[:, None], chance, 1.0 - chance).astype(np.float32)
        self._weight *= shown
        self._weight /= self._weight.sum(axis=1, keepdims=True)

    def next(self, cost: Cost | None = None, allowed: NDArray[np.bool_] | None = None) -> float:
        """The control that tells most per step.

        Args:
            cost: Expected steps of a replica as a share of the horizon, from its chance to grok;
                None: all alike.
            allowed: Which controls may be asked for, `[control]`; None: all.
        """
        both = information(self._chance, self._belief.by_critical(self._weight))
        told, p = (values.mean(axis=0, dtype=np.float64) for values in both)
        worth = told if cost is None else told / cost(p)
        if allowed is not None:
            worth = np.where(allowed, worth, -np.inf)
        return float(self._belief.controls[int(np.argmax(worth))])
