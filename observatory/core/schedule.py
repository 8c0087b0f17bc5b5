"""When to look: `due(step)` says whether a step is one, `following(step)` names the next one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, cast, final, runtime_checkable

from observatory.core.errors import ConfigError


@runtime_checkable
class Schedule(Protocol):
    """The steps at which something is due."""

    def due(self, step: int) -> bool:
        """Whether `step` (optimizer updates done) is one of the steps."""
        ...

    def following(self, step: int) -> int | None:
        """The first due step after `step`, or None where there is none."""
        ...


@final
@dataclass(frozen=True)
class Every:
    """Steps 0, k, 2k, ..."""

    k: int

    def __post_init__(self) -> None:
        if self.k < 1:
            raise ConfigError(
                f"`k` must be at least 1 step, got {self.k}. Give the steps between two looks."
            )

    def due(self, step: int) -> bool:
        """Whether `step` is a multiple of `k`."""
        return step % self.k == 0

    def following(self, step: int) -> int:
        """The next multiple of `k`."""
        return (step // self.k + 1) * self.k


@final
@dataclass(frozen=True)
class LogSpaced:
    """Step 0 and the distinct integers nearest to 10^(i / per_decade), i = 0, 1, 2, ..."""

    per_decade: int

    def __post_init__(self) -> None:
        if self.per_decade < 1:
            raise ConfigError(f"`per_decade` must be at least 1, got {self.per_decade}.")

    def due(self, step: int) -> bool:
        """Whether `step` is 0 or one of the rounded powers."""
        return step == 0 or self.following(step - 1) == step

    def following(self, step: int) -> int:
        """The smallest rounded power above `step`."""
        if step < 1:
            return 1
        index = math.floor(math.log10(step) * self.per_decade)
        while (candidate := round(10 ** (index / self.per_decade))) <= step:
            index += 1
        return candidate


@final
@dataclass(frozen=True)
class At:
    """Exactly the steps given."""

    steps: Sequence[int]

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(sorted({int(step) for step in self.steps})))

    def due(self, step: int) -> bool:
        """Whether `step` was given."""
        return step in self.steps

    def following(self, step: int) -> int | None:
        """The smallest given step above `step`."""
        return next((given for given in self.steps if given > step), None)


@final
@dataclass(frozen=True)
class AnyOf:
    """The union of several schedules, such as every k steps and log-spaced."""

    schedules: Sequence[Schedule]

    def __post_init__(self) -> None:
        given = cast("Sequence[object]", self.schedules)  # a YAML may hold anything
        if not given or not all(isinstance(each, Schedule) for each in given):
            raise ConfigError(f"`schedules` must hold one schedule or more, got {self.schedules}.")
        object.__setattr__(self, "schedules", tuple(self.schedules))

    def due(self, step: int) -> bool:
        """Whether any of them is due."""
        return any(schedule.due(step) for schedule in self.schedules)

    def following(self, step: int) -> int | None:
        """The earliest of their next steps."""
        nexts = [following for s in self.schedules if (following := s.following(step)) is not None]
        return min(nexts, default=None)
