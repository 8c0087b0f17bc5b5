"""The posterior of a boundary, on a grid.

Letters: x = log10 of the control, x0 = log10 of its critical value, k = slope per decade, p =
chance to grok, theta = one point of the grid (x0, k, lapse).
"""

from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Floats = NDArray[np.floating[Any]]
Edge = Literal["lower", "upper"]

GUESS = 1e-3
"""Chance to grok on the wrong side of the boundary, and least lapse on the other: one irregular
replica shall not rule a boundary out."""
OUTSIDE = 1e-6
"""Share of the posterior that may be left on either side of the grid when it is laid closer."""


def chance(x: Array, x0: Array, k: Array, lapse: Array, edge: Edge) -> Array:
    """P(grok) = guess + (1 - guess - lapse) / (1 + exp(-+k (x - x0))), with `GUESS` held.

    Args:
        x: log10 of the control.
        x0: log10 of the critical value.
        k: Slope per decade.
        lapse: Share that does not grok inside the window, at least `GUESS`.
        edge: "lower": replicas grok above the critical value; "upper": below it.
    """
    rise = k if edge == "lower" else -k
    z = np.clip(rise * (x - x0), -700.0, 700.0)
    return GUESS + (1.0 - GUESS - np.maximum(lapse, GUESS)) / (1.0 + np.exp(-z))


@dataclass(frozen=True)
class Prior:
    """Boundaries that are thought possible before any replica is run.

    Attributes:
        low: Smallest critical value.
        high: Largest critical value.
        edge: "lower": replicas grok above the critical value; "upper": below it.
        slopes: Slopes per decade, the first and the last, between them log-uniform.
        lapses: Shares of replicas that do not grok inside the window, alike in chance.
        n_critical: Points of the grid over the critical value, log-spaced.
        n_slopes: Points over the slope.
        n_controls: Values of the control that may be asked for: so many log-spaced from `low` to
            `high`, and so many again where the critical value probably is.
    """

    low: float
    high: float
    edge: Edge = "lower"
    slopes: tuple[float, float] = (1.5, 80.0)
    lapses: tuple[float, ...] = (0.0, 0.02, 0.05, 0.1, 0.2)
    n_critical: int = 61
    n_slopes: int = 10
    n_controls: int = 37


def spaced(prior: Prior, low: float, high: float) -> Array:
    """Values that may be asked for: over the prior and from `low` to `high`, four digits each."""
    whole = np.geomspace(prior.low, prior.high, prior.n_controls)
    near = np.geomspace(low, high, prior.n_controls)
    short = [float(f"{value:.4g}") for value in np.concatenate([whole, near]).tolist()]
    return np.unique(np.clip(short, prior.low, prior.high))


@final
class GridPosterior:
    """The posterior of a logistic boundary with lapses, on a grid that follows it.

    Replicas are independent. The grid lies closer around the critical value the more is observed.

    Attributes:
        prior: Boundaries that were thought possible.
        x0: log10 of the critical values, `[critical]`.
        controls: What may be asked for, `[control]`.
        chance: P(grok) of every control at every point of the grid, `[control, theta]`.
        log_weight: Log posterior, up to a constant, `[theta]`.

    Source:
        Watson (2017), J. Vis. 17(3), 10 (QUEST+). Deviation: batches, information about the
        critical value alone, and a grid that follows the posterior.
    """

    def __init__(self, prior: Prior) -> None:
        self.prior = prior
        self._observed = np.empty((3, 0))
        self._lay(np.log10(prior.low), np.log10(prior.high))
        self._ask_for()

    def _lay(self, low: float, high: float) -> None:
        """Lay the grid from `low` to `high`, log10 of the critical value."""
        prior = self.prior
        self.x0 = np.linspace(low, high, prior.n_critical)
        k = np.geomspace(*prior.slopes, prior.n_slopes)
        grid = np.meshgrid(self.x0, k, np.array(prior.lapses), indexing="ij")
        self._theta = np.stack([axis.ravel() for axis in grid])
        control, n, grokked = self._observed
        p = self.chance_at(control)
        self.log_weight = grokked @ np.log(p) + (n - grokked) @ np.log1p(-p)

    def _ask_for(self) -> None:
        self.controls = spaced(self.prior, 10.0 ** self.x0[0], 10.0 ** self.x0[-1])
        self.chance = self.chance_at(self.controls)

    def chance_at(self, control: Array) -> Array:
        """P(grok) at every point of the grid, `[control, theta]`."""
        x0, k, lapse = self._theta
        return chance(np.log10(control)[:, None], x0, k, lapse, self.prior.edge)

    def observe(self, control: Array, n: Array, grokked: Array) -> None:
        """Replicas that were run.

        Args:
            control: `[control]`.
            n: Replicas at each, `[control]`.
            grokked: Of these, the grokked ones, `[control]`.
        """
        self._observed = np.concatenate([self._observed, np.stack([control, n, grokked])], axis=1)
        self._lay(np.log10(self.prior.low), np.log10(self.prior.high))
        while True:
            below = np.cumsum(self.critical)
            inside = np.flatnonzero((below > OUTSIDE) & (below - self.critical < 1.0 - OUTSIDE))
            first, last = max(inside[0] - 2, 0), min(inside[-1] + 2, self.x0.size - 1)
            if last - first > 0.8 * (self.x0.size - 1):
                break
            self._lay(float(self.x0[first]), float(self.x0[last]))
        self._ask_for()

    @property
    def weight(self) -> Array:
        """The posterior, `[theta]`."""
        weight = np.exp(self.log_weight - self.log_weight.max())
        return weight / weight.sum()

    def by_critical(self, weight: Floats) -> Floats:
        """Posteriors with the critical value as an axis, `[..., critical, nuisance]`."""
        return weight.reshape(*weight.shape[:-1], self.x0.size, -1)

    @property
    def chance_by_critical(self) -> Array:
        """P(grok), `[critical, nuisance, control]`."""
        chance = self.chance.reshape(self.controls.size, self.x0.size, -1)
        return np.ascontiguousarray(chance.transpose(1, 2, 0))

    @property
    def critical(self) -> Array:
        """Posterior of the critical value, `[critical]`."""
        return self.weight.reshape(self.x0.size, -1).sum(axis=-1)

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
