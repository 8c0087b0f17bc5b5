"""Which step of a training looks next, and at what."""

import math
from collections.abc import Collection, Mapping
from typing import Any, final

from observatory.core.schedule import Every, Schedule
from observatory.watch.tables import COSTLY


@final
class DueLooks:
    """The looks of one training.

    Args:
        every: When to look, in optimizer updates: a schedule, or a number of steps.
        spectra: When the costly probes look too: at the first look from each of these steps on;
            None: at every look.
        probes: What is measured.
        low_precision: When it is asked what low precision would do, likewise; None: never.
    """

    def __init__(
        self,
        every: Schedule | int,
        spectra: Schedule | int | None,
        probes: Collection[str],
        low_precision: Schedule | None = None,
    ) -> None:
        self.every = Every(every) if isinstance(every, int) else every
        self.spectra = Every(spectra) if isinstance(spectra, int) else spectra
        self.probes = tuple(probes)
        self._costly, self._low = (
            None if schedule is None else FromStepsOn(schedule, self.every)
            for schedule in (self.spectra, low_precision)
        )
        of_states = {"costly_from": self._costly, "low_precision_from": self._low}
        self._seldom = {name: steps for name, steps in of_states.items() if steps is not None}
        self.begin(0, {})

    def begin(self, made: int, kept: Mapping[str, Any]) -> None:
        """Begin, or go on after `made` updates: a stop neither adds a measurement nor drops one.

        Args:
            made: Optimizer updates.
            kept: `state()` as it was then; what it lacks is as the schedules say.
        """
        self._next, self._looked = _following(self.every, made), -1
        for name, steps in self._seldom.items():
            start = math.inf if name in kept and kept[name] is None else kept.get(name)
            steps.begin(made, start)

    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        spectra = None if self.spectra is None else repr(self.spectra)
        return {"every": repr(self.every), "spectra": spectra, "probes": list(self.probes)}

    def state(self) -> dict[str, float | None]:
        """What `begin` needs to go on: steps from which on more is measured; None: never again."""
        starts = {name: steps.start for name, steps in self._seldom.items()}
        return {name: start if math.isfinite(start) else None for name, start in starts.items()}

    def low_precision(self, n: int) -> bool:
        """Whether the look at step `n` asks what low precision would do."""
        return self._low is not None and self._low.now(n)

    def due(self, n: int) -> bool:
        """Whether step `n` looks."""
        return n >= self._next and n > self._looked

    def passed(self, n: int) -> None:
        """Step `n` was due, whether it then looked or not."""
        self._next = _following(self.every, n)

    def at(self, n: int) -> tuple[str, ...]:
        """What the look at step `n` measures; it is the last one from now on."""
        self._looked = n
        if self._costly is None or self._costly.now(n):
            return self.probes
        return tuple(name for name in self.probes if name not in COSTLY)


@final
class FromStepsOn:
    """What is measured at the first look from each step of a schedule on, and at the first of all.

    Args:
        schedule: The steps.
        every: When a training looks.

    Attributes:
        start: The step from which on it is measured next, 0 at the beginning.
    """

    def __init__(self, schedule: Schedule, every: Schedule) -> None:
        self._schedule, self._every = schedule, every
        self.begin(0)

    def begin(self, made: int, start: float | None = None) -> None:
        """Begin, or go on after `made` updates: a stop neither adds a measurement nor drops one.

        Args:
            made: Optimizer updates.
            start: As it was then; None: what the schedules say.
        """
        if start is None:
            last = _last_due(self._every, made) if made else None
            start = 0.0 if last is None else _following(self._schedule, last)
        self.start = start

    def now(self, n: int) -> bool:
        """Whether the look at step `n` measures it; if so, the next one is that much later."""
        if n < self.start:
            return False
        self.start = _following(self._schedule, n)
        return True


def _following(schedule: Schedule, step: int) -> float:
    following = schedule.following(step)
    return math.inf if following is None else following


def _last_due(schedule: Schedule, step: int) -> int | None:
    """The last due step up to `step`, None where there is none."""
    if _following(schedule, 0) > step:
        return 0 if schedule.due(0) else None
    low, high = 0, step  # one is due after `low`, none after `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _following(schedule, middle) <= step else (low, middle)
    return high
