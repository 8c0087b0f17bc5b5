"""What a search may be after: a boundary, a curve of them, or whether there is a threshold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from observatory.sweeps.acquisition import Cost, Worlds
from observatory.sweeps.belief import Belief, Prior
from observatory.sweeps.curve import CurveBelief, CurvePrior, CurveWorlds
from observatory.sweeps.threshold import ThresholdBelief, ThresholdWorlds

Array = NDArray[np.float64]
Allowed = Callable[[Array, int], NDArray[np.bool_]]
Point = tuple[float, int]
"""A control, and the place of a value of the second control among its values; 0 without one."""

CONTROLS_OF_CURVE = 15
"""See `Prior.n_controls`; fewer, as there are so many at each value of the second control."""


@final
@dataclass(frozen=True)
class Told:
    """Replicas that were run, `[replica]` each.

    Attributes:
        control: What was asked for.
        place: See `Point`.
        grokked: 1 or 0.
        time: When, as a share of the horizon; 1 where it did not.
    """

    control: Array
    place: NDArray[np.intp]
    grokked: Array
    time: Array


@final
@dataclass(frozen=True)
class Ahead:
    """What a choice depends on, beside what was told.

    Attributes:
        running: Replicas whose outcome is not known yet.
        place: Of the batch, where its replicas share it and one was asked for; else None.
        left: Replicas of the batch that are to be asked for, this one included.
        cost: Expected steps from the chance to grok.
        allowed: Which controls may be asked for at a place.
        rng: Of the draws.
        n_worlds: Worlds drawn for what is not known yet.
    """

    running: list[Point]
    place: int | None
    left: int
    cost: Cost
    allowed: Allowed
    rng: np.random.Generator
    n_worlds: int


@runtime_checkable
class Known(Protocol):
    """What is believed after some replicas."""

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        ...

    def found(self, level: float, width: float) -> bool:
        """Whether it is known as well as asked."""
        ...

    def text(self, level: float) -> str:
        """For the user, half a line."""
        ...

    def ask(self, ahead: Ahead) -> Point | None:
        """The next replica; None where no control may be asked for."""
        ...


@runtime_checkable
class Way(Protocol):
    """What a search is after."""

    def learn(self, told: Told, rng: np.random.Generator) -> Known:
        """What replicas say."""
        ...


def narrow(interval: tuple[float, float, float], width: float) -> bool:
    """Whether an interval in decades is no wider."""
    return interval[2] - interval[1] <= width


def span(interval: tuple[float, float, float]) -> str:
    """An interval as numbers of the control."""
    middle, low, high = (10.0**end for end in interval)
    return f"{middle:.3g} [{low:.3g}, {high:.3g}]"


def asked(
    controls: Array,
    worlds_of: Callable[[int, np.random.Generator], Worlds | ThresholdWorlds],
    ahead: Ahead,
) -> Point | None:
    """The next replica where there is no second control.

    Args:
        controls: What may be asked for.
        worlds_of: Draws worlds of what is believed.
        ahead: See `Ahead`.
    """
    free = ahead.allowed(controls, 0)
    if not free.any():
        return None
    worlds = worlds_of(ahead.n_worlds, ahead.rng)
    for control, _ in ahead.running:
        worlds.run(control)
    return worlds.next(ahead.cost, free), 0


@final
@dataclass(frozen=True)
class Boundary:
    """One critical value. See `Belief`."""

    prior: Prior

    def learn(self, told: Told, rng: np.random.Generator) -> Known:
        """See `Way`."""
        belief = Belief(self.prior)
        if told.control.size:
            belief.told(told.control, np.ones_like(told.grokked), told.grokked)
        return KnownBoundary(belief)


@final
@dataclass(frozen=True)
class KnownBoundary:
    """See `Known`."""

    belief: Belief

    def interval(self, level: float) -> tuple[float, float, float]:
        """See `Known`."""
        return self.belief.interval(level)

    def found(self, level: float, width: float) -> bool:
        """See `Known`."""
        return narrow(self.interval(level), width)

    def text(self, level: float) -> str:
        """See `Known`."""
        return f"critical weight decay {span(self.interval(level))}"

    def ask(self, ahead: Ahead) -> Point | None:
        """See `Known`."""
        return asked(self.belief.controls, partial(Worlds, self.belief), ahead)


@final
@dataclass(frozen=True)
class Curve:
    """A critical value at each value of a second control. See `CurveBelief`.

    Attributes:
        prior: Of the boundary at each value.
        values: Of the second control, rising.
        shared: Whether a batch has one value of the second control.
    """

    prior: Prior
    values: tuple[float, ...]
    shared: bool

    def learn(self, told: Told, rng: np.random.Generator) -> Known:
        """See `Way`."""
        prior = CurvePrior(replace(self.prior, n_controls=CONTROLS_OF_CURVE), self.values)
        belief = CurveBelief(prior, rng)
        if told.control.size:
            second = np.array(self.values, dtype=np.float64)[told.place]
            belief.told(told.control, second, np.ones_like(told.grokked), told.grokked)
        return KnownCurve(belief, self.shared)


@final
@dataclass(frozen=True)
class KnownCurve:
    """See `Known`; its interval is the widest along the curve."""

    belief: CurveBelief
    shared: bool

    def interval(self, level: float) -> tuple[float, float, float]:
        """See `Known`."""
        return self.belief.interval(level)

    def found(self, level: float, width: float) -> bool:
        """See `Known`."""
        return narrow(self.interval(level), width)

    def text(self, level: float) -> str:
        """See `Known`."""
        middle, low, high = self.belief.intervals(level)
        values = self.belief.prior.values
        each = (
            f"{span((m, lo, hi))} at {value:g}"
            for value, m, lo, hi in zip(values, middle, low, high, strict=True)
        )
        return "critical weight decay " + ", ".join(each)

    def ask(self, ahead: Ahead) -> Point | None:
        """See `Known`."""
        worlds = CurveWorlds(self.belief, ahead.n_worlds, ahead.rng)
        for control, place in ahead.running:
            worlds.run(control, place)
        place = ahead.place
        if place is None:
            size = ahead.left if self.shared else 1
            place = worlds.place(size, ahead.cost, ahead.allowed)
        control = worlds.next(place, ahead.cost, ahead.allowed)
        return None if control is None else (control, place)


@final
@dataclass(frozen=True)
class Threshold:
    """Whether there is a critical value above 0. See `ThresholdBelief`."""

    prior: Prior

    def learn(self, told: Told, rng: np.random.Generator) -> Known:
        """See `Way`."""
        belief = ThresholdBelief(self.prior, rng)
        if told.control.size:
            belief.told(told.control, told.time, told.grokked)
        return KnownThreshold(belief)


@final
@dataclass(frozen=True)
class KnownThreshold:
    """See `Known`; its interval is that of the threshold if there is one."""

    belief: ThresholdBelief

    def interval(self, level: float) -> tuple[float, float, float]:
        """See `Known`."""
        return self.belief.interval(level)

    def found(self, level: float, width: float) -> bool:
        """Whether one of the answers is as sure as the level, whatever the width."""
        return not 1.0 - level < self.belief.chance < level

    def text(self, level: float) -> str:
        """See `Known`."""
        chance = self.belief.chance
        return f"chance of a threshold {chance:.2g}; if so, at {span(self.interval(level))}"

    def ask(self, ahead: Ahead) -> Point | None:
        """See `Known`."""
        return asked(self.belief.controls, partial(ThresholdWorlds, self.belief), ahead)
