"""What is believed of a boundary: a posterior on a grid.

Letters: x = log10 of the control, x0 = log10 of its critical value, k = slope per decade, p =
chance to grok, theta = one point of the grid (x0, k, lapse).
"""

from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

GUESS = 1e-3
"""Chance to grok far below the boundary, and least lapse far above it: one odd replica shall not
rule a belief out."""


@dataclass(frozen=True)
class Prior:
    """Boundaries that are thought possible before any replica is run.

    Attributes:
        low: Smallest critical value.
        high: Largest critical value.
        slopes: Slopes per decade, the first and the last, between them log-uniform.
        lapses: Shares of replicas that do not grok far above the boundary, alike in chance.
        n_critical: Points of the grid over the critical value, log-spaced.
        n_slopes: Points over the slope.
        n_controls: Values of the control that may be asked for, log-spaced from `low` to `high`.
    """

    low: float
    high: float
    slopes: tuple[float, float] = (1.5, 80.0)
    lapses: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2)
    n_critical: int = 181
    n_slopes: int = 10
    n_controls: int = 91


@final
class Belief:
    """The posterior of a logistic boundary with lapses, on the grid of a prior.

    P(grok) = guess + (1 - guess - lapse) / (1 + exp(-k (x - x0))), with `GUESS` held. Replicas are
    independent.

    Attributes:
        prior: The grid.
        x0: log10 of the critical values, `[critical]`.
        controls: What may be asked for, `[control]`.
        chance: P(grok) of every control at every point of the grid, `[control, theta]`.
        log_weight: Log posterior, up to a constant, `[theta]`.

    Source:
        Watson (2017), J. Vis. 17(3), 10 (QUEST+). Deviation: batches, and information about the
        critical value alone.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self.x0 = np.linspace(np.log10(prior.low), np.log10(prior.high), prior.n_critical)
        k = np.geomspace(*prior.slopes, prior.n_slopes)
        lapse = np.array(prior.lapses)
        grid = np.meshgrid(self.x0, k, lapse, indexing="ij")
        self._theta = np.stack([axis.ravel() for axis in grid])
        self.controls = np.geomspace(prior.low, prior.high, prior.n_controls)
        self.chance = self.chance_at(self.controls)
        self.log_weight = np.zeros(self._theta.shape[1])

    def chance_at(self, control: Array) -> Array:
        """P(grok) at every point of the grid, `[control, theta]`."""
        x0, k, lapse = self._theta
        z = np.clip(k * (np.log10(control)[:, None] - x0), -700.0, 700.0)
        return GUESS + (1.0 - GUESS - np.maximum(lapse, GUESS)) / (1.0 + np.exp(-z))

    def told(self, control: Array, n: Array, grokked: Array) -> None:
        """Replicas that were run.

        Args:
            control: `[control]`.
            n: Replicas at each, `[control]`.
            grokked: Of these, the grokked ones, `[control]`.
        """
        chance = self.chance_at(control)
        self.log_weight += grokked @ np.log(chance) + (n - grokked) @ np.log1p(-chance)

    @property
    def weight(self) -> Array:
        """The posterior, `[theta]`."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return weight / weight.sum()

    def by_critical(self, weight: Array) -> Array:
        """Posteriors with the critical value as an axis, `[..., critical, nuisance]`."""
        return weight.reshape(*weight.shape[:-1], self.x0.size, -1)

    @property
    def critical(self) -> Array:
        """Posterior of the critical value, `[critical]`."""
        return self.by_critical(self.weight).sum(axis=-1)

    def quantile(self, share: float) -> float:
        """log10 of the critical value below which lies this share of the posterior."""
        mass = np.cumsum(self.critical)
        after = int(np.argmax(mass >= share))
        before = float(mass[after - 1]) if after > 0 else 0.0
        step = float(self.x0[1] - self.x0[0])
        part = (share - before) / max(float(mass[after]) - before, 1e-300)
        return float(np.clip(self.x0[after] + step * (part - 0.5), self.x0[0], self.x0[-1]))

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        tail = 0.5 - 0.5 * level
        return self.quantile(0.5), self.quantile(tail), self.quantile(1.0 - tail)
