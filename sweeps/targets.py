"""What a search may be after: a boundary, a curve of them, or whether there is a threshold."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from observatory.sweeps.acquisition import Cost, GridDraws
from observatory.sweeps.curve import CurveDraws, CurveParticles, CurvePrior
from observatory.sweeps.grid_posterior import GridPosterior, Prior
from observatory.sweeps.threshold import ThresholdDraws, ThresholdParticles

Array = NDArray[np.float64]
Allowed = Callable[[Array, int], NDArray[np.bool_]]
Point = tuple[float, int]
"""A control, and the place of a value of the second control among its values; 0 without one."""

CONTROLS_OF_CURVE = 15
"""Controls that may be asked for; fewer than without a second control, as there are so
many at each of its values."""


@final
@dataclass(frozen=True)
class ObservedReplicas:
    """Replicas that were run, `[replica]` each."""

    control: Array  # what was asked for
    place: NDArray[np.intp]  # of the value of the second control; 0 without one
    grokked: Array  # 1 or 0
    time: Array  # when, as a share of the horizon; 1 where it did not


@final
@dataclass(frozen=True)
class AskContext:
    """What a choice depends on, beside what was observed."""

    running: list[Point]  # replicas whose outcome is not known yet
    place: int | None  # of the batch, where its replicas share it and one was asked for; else None
    left: int  # replicas of the batch that are to be asked for, this one included
    cost: Cost  # expected steps from the chance to grok
    allowed: Allowed  # which controls may be asked for at a place
    rng: np.random.Generator  # of the draws
    n_draws: int  # draws of the posterior for what is not observed yet


@runtime_checkable
class Posterior(Protocol):
    """What some replicas say of the boundary, and where to look next."""

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        ...

    def found(self, level: float, width: float) -> bool:
        """Whether the search has found what was asked."""
        ...

    def text(self, level: float) -> str:
        """For the user, half a line."""
        ...

    def ask(self, context: AskContext) -> Point | None:
        """The next replica; None where no control may be asked for."""
        ...


@runtime_checkable
class SearchTarget(Protocol):
    """What a search is after."""

    def learn(self, observed: ObservedReplicas, rng: np.random.Generator) -> Posterior:
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
    draws_of: Callable[[int, np.random.Generator], GridDraws | ThresholdDraws],
    context: AskContext,
) -> Point | None:
    """The next replica where there is no second control.

    Args:
        controls: What may be asked for.
        draws_of: Makes draws of the posterior.
        context: What the choice depends on.
    """
    free = context.allowed(controls, 0)
    if not free.any():
        return None
    draws = draws_of(context.n_draws, context.rng)
    for control, _ in context.running:
        draws.run(control)
    return draws.next(context.cost, free), 0


@final
@dataclass(frozen=True)
class BoundaryTarget:
    """One critical value."""

    prior: Prior

    def learn(self, observed: ObservedReplicas, rng: np.random.Generator) -> Posterior:
        """The posterior of some replicas."""
        source = GridPosterior(self.prior)
        if observed.control.size:
            source.observe(observed.control, np.ones_like(observed.grokked), observed.grokked)
        return _BoundaryPosterior(source)


@final
@dataclass(frozen=True)
class _BoundaryPosterior:
    """What is observed of one critical value."""

    source: GridPosterior

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        return self.source.interval(level)

    def found(self, level: float, width: float) -> bool:
        """Whether the interval is narrow enough."""
        return narrow(self.interval(level), width)

    def text(self, level: float) -> str:
        """For the user, half a line."""
        return f"critical weight decay {span(self.interval(level))}"

    def ask(self, context: AskContext) -> Point | None:
        """The next replica; None where no control may be asked for."""
        return asked(self.source.controls, partial(GridDraws, self.source), context)


@final
@dataclass(frozen=True)
class CurveTarget:
    """A critical value at each value of a second control."""

    prior: Prior  # of the boundary at each value
    values: tuple[float, ...]  # of the second control, rising
    shared: bool  # whether a batch has one value of the second control

    def learn(self, observed: ObservedReplicas, rng: np.random.Generator) -> Posterior:
        """The posterior of some replicas."""
        prior = CurvePrior(replace(self.prior, n_controls=CONTROLS_OF_CURVE), self.values)
        source = CurveParticles(prior, rng)
        if observed.control.size:
            second = np.array(self.values, dtype=np.float64)[observed.place]
            source.observe(
                observed.control, second, np.ones_like(observed.grokked), observed.grokked
            )
        return _CurvePosterior(source, self.shared)


@final
@dataclass(frozen=True)
class _CurvePosterior:
    """What is observed of a curve; its interval is the widest along it."""

    source: CurveParticles
    shared: bool

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        return self.source.interval(level)

    def found(self, level: float, width: float) -> bool:
        """Whether the interval is narrow enough."""
        return narrow(self.interval(level), width)

    def text(self, level: float) -> str:
        """For the user, half a line."""
        middle, low, high = self.source.intervals(level)
        values = self.source.prior.values
        each = (
            f"{span((m, lo, hi))} at {value:g}"
            for value, m, lo, hi in zip(values, middle, low, high, strict=True)
        )
        return "critical weight decay " + ", ".join(each)

    def ask(self, context: AskContext) -> Point | None:
        """The next replica; None where no control may be asked for."""
        draws = CurveDraws(self.source, context.n_draws, context.rng)
        for control, place in context.running:
            draws.run(control, place)
        place = context.place
        if place is None:
            size = context.left if self.shared else 1
            place = draws.place(size, context.cost, context.allowed)
        control = draws.next(place, context.cost, context.allowed)
        return None if control is None else (control, place)


@final
@dataclass(frozen=True)
class ThresholdTarget:
    """Whether there is a critical value above 0."""

    prior: Prior

    def learn(self, observed: ObservedReplicas, rng: np.random.Generator) -> Posterior:
        """The posterior of some replicas."""
        source = ThresholdParticles(self.prior, rng)
        if observed.control.size:
            source.observe(observed.control, observed.time, observed.grokked)
        return _ThresholdPosterior(source)


@final
@dataclass(frozen=True)
class _ThresholdPosterior:
    """What is observed of a threshold; its interval holds if there is one."""

    source: ThresholdParticles

    def interval(self, level: float) -> tuple[float, float, float]:
        """log10 of the median critical value, and of the limits of its central interval."""
        return self.source.interval(level)

    def found(self, level: float, width: float) -> bool:
        """Whether one of the answers is as sure as the level, whatever the width."""
        return not 1.0 - level < self.source.chance < level

    def text(self, level: float) -> str:
        """For the user, half a line."""
        chance = self.source.chance
        return f"chance of a threshold {chance:.2g}; if so, at {span(self.interval(level))}"

    def ask(self, context: AskContext) -> Point | None:
        """The next replica; None where no control may be asked for."""
        return asked(self.source.controls, partial(ThresholdDraws, self.source), context)
