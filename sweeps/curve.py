"""The posterior of a boundary curve: a critical value at each value of a second control.

Letters as in `grid_posterior`; v = one value of the second control; f = log10 of the critical value
there.
A draw is one curve with its slope and its lapse: (level, weights of the shapes, log k, root of the
lapse).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from observatory.sweeps.acquisition import Cost
from observatory.sweeps.grid_posterior import Floats, Prior, chance, spaced
from observatory.sweeps.particles import updated

Array = NDArray[np.float64]
Allowed = Callable[[Array, int], NDArray[np.bool_]]
"""Which controls may be asked for at a value of the second control, by its place."""

TREND, BEND, LENGTH = 1.5, 0.3, 0.4
"""Prior of a curve, in decades: standard deviation of its rise from the first value to the last and
of what is left of a straight line, and the share of the range over which the latter is alike."""
_THIN = 2
"""Of the draws, every so many are used to choose what to ask for."""
KEPT = 1e-4
"""Shapes that hold less of the prior variance than this share are left out."""


def shapes(values: tuple[float, ...]) -> Array:
    """Shapes of which curves are made, each worth one standard normal weight, `[shape, value]`.

    A Gaussian process over the logarithm of the second control, a straight line and a smooth
    deviation, less its mean (a level of its own is added), in its principal components.
    """
    t = np.log(np.array(values))
    t = (t - t.mean()) / np.ptp(t)
    gap = t[:, None] - t[None]
    cov = TREND**2 * t[:, None] * t[None] + BEND**2 * np.exp(-0.5 * (gap / LENGTH) ** 2)
    less_mean = np.eye(t.size) - 1.0 / t.size
    variance, shape = np.linalg.eigh(less_mean @ cov @ less_mean)
    kept = variance > KEPT * variance.sum()
    return (shape[:, kept] * np.sqrt(variance[kept])).T[::-1]


@final
@dataclass(frozen=True)
class CurvePrior:
    """Boundary curves that are thought possible before any replica is run."""

    # critical values, slopes and lapses; all of a curve lies from its `low` to its `high`
    along: Prior
    values: tuple[float, ...]  # of the second control, rising, positive


@final
class CurveParticles:
    """The posterior of a boundary curve as draws; slope and lapse are those of all its values.

    Args:
        prior: Of curves.
        rng: Of the draws.
        n: Draws.
    """

    def __init__(self, prior: CurvePrior, rng: np.random.Generator, n: int = 2000) -> None:
        self.prior, self._rng = prior, rng
        self._shapes = shapes(prior.values)
        along = prior.along
        self._low = np.array([np.log10(along.low), np.log(along.slopes[0]), 0.0])
        self._high = np.array(
            [np.log10(along.high), np.log(along.slopes[1]), np.sqrt(along.lapses[-1])]
        )
        self._observed = np.empty((4, 0))
        made = np.empty((0, 3 + len(self._shapes)))
        while len(made) < n:
            ends = rng.uniform(self._low, self._high, (n, 3))
            weights = rng.standard_normal((n, len(self._shapes)))
            more = np.concatenate([ends[:, :1], weights, ends[:, 1:]], axis=1)
            made = np.concatenate([made, more[np.isfinite(self._log_prior(more))]])
        self._theta = made[:n]

    def _curve(self, theta: Array) -> Array:
        """Curves of draws, `[particle, value]`."""
        return theta[:, :1] + theta[:, 1:-2] @ self._shapes

    def _log_prior(self, theta: Array) -> Array:
        ends = theta[:, [0, -2, -1]]
        curve = self._curve(theta)
        inside = ((ends >= self._low) & (ends <= self._high)).all(axis=1)
        inside &= (curve.min(axis=1) >= self._low[0]) & (curve.max(axis=1) <= self._high[0])
        return np.where(inside, -0.5 * np.square(theta[:, 1:-2]).sum(axis=1), -np.inf)

    def _chance(self, theta: Array, control: Array, place: NDArray[np.intp]) -> Array:
        k, lapse = np.exp(theta[:, -2:-1]), np.square(theta[:, -1:])
        f = self._curve(theta)[:, place]
        return chance(np.log10(control), f, k, lapse, self.prior.along.edge)

    def _log_likelihood(self, theta: Array, observed: Array) -> Array:
        control, place, n, grokked = observed
        p = self._chance(theta, control, place.astype(np.intp))
        return np.log(p) @ grokked + np.log1p(-p) @ (n - grokked)

    def observe(self, control: Array, second: Array, n: Array, grokked: Array) -> None:
        """Replicas that were run.

        Args:
            control: `[cell]`.
            second: Values of the second control, `[cell]`.
            n: Replicas at each, `[cell]`.
            grokked: Of these, the grokked ones, `[cell]`.
        """
        place = np.array([self.prior.values.index(v) for v in second.tolist()], dtype=np.float64)
        before, new = self._observed, np.stack([control, place, n, grokked])

        def log_before(theta: Array) -> Array:
            return self._log_prior(theta) + self._log_likelihood(theta, before)

        def log_new(theta: Array) -> Array:
            return self._log_likelihood(theta, new)

        self._theta, _ = updated(self._theta, log_before, log_new, self._rng)
        self._observed = np.concatenate([before, new], axis=1)

    @property
    def curve(self) -> Array:
        """log10 of critical values, `[particle, value]`."""
        return self._curve(self._theta)

    def chance_at(self, control: Array, place: int) -> Array:
        """P(grok) of draws at one value of the second control, `[control, particle]`."""
        return self._chance(self._theta, control, np.full(control.size, place)).T

    def controls(self, place: int) -> Array:
        """What may be asked for at one value of the second control."""
        f = self.curve[:, place]
        low, high = np.clip(np.quantile(f, [0.002, 0.998]), self._low[0], self._high[0] - 1e-3)
        return spaced(self.prior.along, 10.0**low, 10.0 ** max(high, low + 1e-3))

    def intervals(self, level: float) -> Array:
        """log10 of the median curve, and of the limits of its central intervals, `[3, value]`."""
        tail = 0.5 - 0.5 * level
        return np.quantile(self.curve, [0.5, tail, 1.0 - tail], axis=0)

    def interval(self, level: float) -> tuple[float, float, float]:
        """Those of the value of which the interval is widest."""
        each = self.intervals(level)
        middle, low, high = each[:, int(np.argmax(each[2] - each[1]))].tolist()
        return middle, low, high


@final
class CurveDraws:
    """Draws of true curves, as `GridDraws` has them: information is averaged over the values.

    The information of a replica about the critical value at v is that of the best linear guess,
    -log(1 - r^2) / 2 with r the correlation of its outcome and f(v): so for a step and a
    log-uniform critical value exactly, and cheap for any number of values.

    Args:
        particles: The posterior.
        n: GridDraws drawn.
        rng: Where they come from.
    """

    def __init__(self, particles: CurveParticles, n: int, rng: np.random.Generator) -> None:
        self._particles, self._rng = particles, rng
        curve = particles.curve[::_THIN]
        self._truth = rng.integers(len(curve), size=n)
        self._weight = np.full((n, len(curve)), 1.0 / len(curve), np.float32)
        self._f = np.ascontiguousarray((curve - curve.mean(axis=0)).T, np.float32)
        self._at: dict[int, tuple[Array, Floats, Floats]] = {}

    def _table(self, place: int) -> tuple[Array, Floats, Floats]:
        """Controls at a value, P(grok) there, and its products with the curve."""
        if place not in self._at:
            controls = self._particles.controls(place)
            p = self._particles.chance_at(controls, place)[:, ::_THIN].astype(np.float32)
            both = (p[:, None] * self._f).reshape(-1, p.shape[1])
            self._at[place] = controls, p, both
        return self._at[place]

    def _information(self, weight: Floats, place: int) -> tuple[Array, Array]:
        """Expected information of a replica at each control, in nats, and its chance to grok."""
        _, p, both = self._table(place)
        mean, chance = weight @ self._f.T, weight @ p.T
        variance = np.maximum(weight @ np.square(self._f).T - mean**2, 1e-9)
        shared = (weight @ both.T).reshape(*chance.shape, -1) - chance[..., None] * mean[:, None]
        spread = (chance * (1.0 - chance))[..., None] * variance[:, None]
        nats = -0.5 * np.log1p(-np.minimum(shared**2 / spread, 0.999))
        return (
            nats.mean(axis=(0, 2), dtype=np.float64),
            chance.mean(axis=0, dtype=np.float64),
        )

    def _shown(self, weight: Floats, control: float, place: int) -> Floats:
        """Weights after a replica has shown what it shows, in each draw its own."""
        p = self._particles.chance_at(np.array([control]), place)[0, ::_THIN].astype(np.float32)
        grokked = self._rng.random(self._truth.size) < p[self._truth]
        weight = weight * np.where(grokked[:, None], p, 1.0 - p)
        return weight / weight.sum(axis=1, keepdims=True)

    def _best(
        self, weight: Floats, place: int, cost: Cost, allowed: Allowed
    ) -> tuple[float, float, float] | None:
        """The most informative control per step, its nats, and its steps; None: none left."""
        controls = self._table(place)[0]
        free = allowed(controls, place)
        if not free.any():
            return None
        nats, p = self._information(weight, place)
        steps = cost(p)
        best = int(np.argmax(np.where(free, nats / steps, -np.inf)))
        return float(controls[best]), float(nats[best]), float(steps[best])

    def run(self, control: float, place: int) -> None:
        """Let a replica show what it shows."""
        self._weight = self._shown(self._weight, control, place)

    def next(self, place: int, cost: Cost, allowed: Allowed) -> float | None:
        """The most informative control per step at one value of the second control."""
        best = self._best(self._weight, place, cost, allowed)
        return best[0] if best else None

    def worth(self, place: int, size: int, cost: Cost, allowed: Allowed) -> float:
        """Expected information of a batch at one value of the second control, per step."""
        weight, all_nats, all_steps = self._weight, 0.0, 0.0
        for _ in range(size):
            best = self._best(weight, place, cost, allowed)
            if best is None:
                break
            control, nats, steps = best
            weight = self._shown(weight, control, place)
            all_nats, all_steps = all_nats + nats, all_steps + steps
        return all_nats / all_steps if all_steps > 0.0 else -np.inf

    def place(self, size: int, cost: Cost, allowed: Allowed) -> int:
        """Place of the second control's value at which a batch is most informative per step."""
        worths = [self.worth(place, size, cost, allowed) for place in range(len(self._f))]
        return int(np.argmax(worths))
