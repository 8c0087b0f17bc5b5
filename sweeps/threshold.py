"""Is there a critical value above 0, or does the time to grok only grow as the control falls?

Letters: t = steps to grok as a share of the horizon, A = t at the largest control, nu = exponent,
s = scatter of log10 t, both given the critical value c: t = A ((x - c) / (high - c))^-nu. A draw is
(log10 A, log nu, log s, root of the lapse) and, with a threshold, log10 c.
"""

from typing import final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from observatory.sweeps.acquisition import Cost
from observatory.sweeps.grid_posterior import GUESS, Prior, spaced
from observatory.sweeps.particles import updated

Array = NDArray[np.float64]

_FASTEST = -3.0
"""log10 of the shortest time that is not rounded up, as a share of the horizon."""
_N_TIMES = 12
"""Classes of times, log-spaced, by which the information of a time is judged."""
LOW = np.array([-2.5, np.log(0.3), np.log(0.03), 0.0])
HIGH = np.array([0.5, np.log(3.0), np.log(0.5), np.sqrt(0.2)])
"""Limits of the uniform prior of a draw."""


def later(control: Array, theta: Array, high: float) -> tuple[Array, Array]:
    """Mean of log10 t, infinite at and below the critical value, and its scatter.

    Args:
        control: `[replica]`.
        theta: Draws, `[particle, parameter]`.
        high: The largest control.

    Returns:
        `[particle, replica]` and `[particle, 1]`.
    """
    critical = 10.0 ** theta[:, 4:5] if theta.shape[1] == 5 else np.zeros((len(theta), 1))
    above = np.maximum(control - critical, 0.0)
    with np.errstate(divide="ignore"):
        far = np.log10(above / np.maximum(high - critical, 1e-12))
    return theta[:, :1] - np.exp(theta[:, 1:2]) * far, np.exp(theta[:, 2:3])


def grokked_by(log_t: Array | float, control: Array, theta: Array, high: float) -> Array:
    """Chance to have grokked by a time, `[particle, replica]`, but for `GUESS`."""
    mean, scatter = later(control, theta, high)
    return (1.0 - GUESS) * (1.0 - np.square(theta[:, 3:4])) * ndtr((log_t - mean) / scatter)


def log_likelihood(theta: Array, observed: Array, high: float) -> Array:
    """Of replicas, `[control, log10 t, grokked][replica]`; those that did not are censored."""
    control, log_t, grokked = observed
    mean, scatter = later(control, theta, high)
    z = (log_t - mean) / scatter
    density = (1.0 - GUESS) * (1.0 - np.square(theta[:, 3:4])) * np.exp(-0.5 * np.square(z))
    density = density / (scatter * np.sqrt(2.0 * np.pi)) + GUESS / -_FASTEST
    censored = 1.0 - GUESS - grokked_by(0.0, control, theta, high)
    return np.where(grokked > 0, np.log(density), np.log(np.maximum(censored, GUESS))).sum(axis=1)


@final
class ThresholdParticles:
    """Posteriors of both answers as draws, and the chance that there is a threshold.

    Both are as likely before any replica is run; a threshold is log-uniform from `low` to `high`.

    Args:
        prior: Its `low`, `high` and controls are used.
        rng: Of the draws.
        n: Draws of each answer.
    """

    def __init__(self, prior: Prior, rng: np.random.Generator, n: int = 1000) -> None:
        self.prior, self._rng = prior, rng
        place = np.log10([prior.low, prior.high])
        self._ends = (
            (LOW, HIGH),
            (np.append(LOW, place[0]), np.append(HIGH, place[1])),
        )
        self._theta = [rng.uniform(low, high, (n, low.size)) for low, high in self._ends]
        self._evidence = np.zeros(2)
        self._observed = np.empty((3, 0))

    def observe(self, control: Array, share: Array, grokked: Array) -> None:
        """Replicas that were run.

        Args:
            control: `[replica]`.
            share: Steps to grok as a share of the horizon, of those that did, `[replica]`.
            grokked: 1 or 0, `[replica]`.
        """
        log_t = np.log10(np.clip(share, 10.0**_FASTEST, 1.0))
        before, new = self._observed, np.stack([control, log_t, grokked])
        for answer, (low, high) in enumerate(self._ends):

            def log_before(theta: Array, low: Array = low, high: Array = high) -> Array:
                inside = ((theta >= low) & (theta <= high)).all(axis=1)
                density = np.full(len(theta), -np.inf)
                density[inside] = log_likelihood(theta[inside], before, self.prior.high)
                return density

            def log_new(theta: Array) -> Array:
                return log_likelihood(theta, new, self.prior.high)

            self._theta[answer], more = updated(self._theta[answer], log_before, log_new, self._rng)
            self._evidence[answer] += more
        self._observed = np.concatenate([before, new], axis=1)

    @property
    def chance(self) -> float:
        """That there is a threshold."""
        return float(1.0 / (1.0 + np.exp(np.clip(np.diff(-self._evidence)[0], -700.0, 700.0))))

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value if there is one, and of its limits."""
        tail = 0.5 - 0.5 * level
        middle, low, high = np.quantile(self._theta[1][:, 4], [0.5, tail, 1.0 - tail]).tolist()
        return middle, low, high

    @property
    def draws(self) -> list[Array]:
        """Without a threshold, and with one."""
        return self._theta

    @property
    def controls(self) -> Array:
        """What may be asked for."""
        return spaced(self.prior, self.prior.low, self.prior.high)

    def classes(self, control: Array, answer: int) -> Array:
        """Chance of each class of times, the last not to grok, `[control, class, particle]`."""
        edges = np.linspace(_FASTEST, 0.0, _N_TIMES + 1)[1:]
        theta, high = self._theta[answer], self.prior.high
        by = np.stack([grokked_by(float(edge), control, theta, high).T for edge in edges])
        times = np.diff(by, axis=0, prepend=0.0) + GUESS / _N_TIMES
        rest = np.maximum(1.0 - times.sum(axis=0, keepdims=True), 0.0)
        return np.concatenate([times, rest]).transpose(1, 0, 2)


@final
class ThresholdDraws:
    """Draws of the truth, as `GridDraws` has them: the information is of whether there is one.

    Args:
        particles: The posterior.
        n: GridDraws drawn.
        rng: Where they come from.
    """

    def __init__(self, particles: ThresholdParticles, n: int, rng: np.random.Generator) -> None:
        self._particles, self._rng = particles, rng
        self.controls = particles.controls
        size = len(particles.draws[0])
        self._classes = [particles.classes(self.controls, answer) for answer in (0, 1)]
        self._answer = (rng.random(n) < particles.chance).astype(int)
        self._truth = rng.integers(size, size=n)
        chance = (1.0 - particles.chance, particles.chance)
        self._weight = [np.full((n, size), share / size) for share in chance]

    def run(self, control: float) -> None:
        """Let a replica show what it shows, in each draw its own."""
        classes = [self._particles.classes(np.array([control]), answer)[0] for answer in (0, 1)]
        shown = np.array(
            [
                self._rng.choice(len(p := classes[answer][:, truth]), p=p / p.sum())
                for answer, truth in zip(self._answer, self._truth, strict=True)
            ]
        )
        weight = [w * p[shown] for w, p in zip(self._weight, classes, strict=True)]
        total = sum(w.sum(axis=1, keepdims=True) for w in weight)
        self._weight = [w / total for w in weight]

    def information(self) -> tuple[Array, Array]:
        """Expected information of a replica at each control, in nats, and its chance to grok."""
        joint = np.stack(
            [
                np.einsum("wp,ckp->wck", w, p, optimize=True)
                for w, p in zip(self._weight, self._classes, strict=True)
            ]
        )
        both, mass = joint.sum(axis=0), joint.sum(axis=-1, keepdims=True)
        least = np.finfo(float).tiny
        ratio = np.log(np.maximum(joint, least)) - np.log(np.maximum(mass * both, least))
        return (joint * ratio).sum(axis=(0, 3)).mean(axis=0), 1.0 - both[:, :, -1].mean(axis=0)

    def next(self, cost: Cost, free: NDArray[np.bool_]) -> float:
        """The most informative control per step."""
        nats, p = self.information()
        return float(self.controls[int(np.argmax(np.where(free, nats / cost(p), -np.inf)))])
