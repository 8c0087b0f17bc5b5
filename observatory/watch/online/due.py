"""Which step of a training looks next, and at what."""

import math
from collections.abc import Collection
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
    """

    def __init__(
        self, every: Schedule | int, spectra: Schedule | int | None, probes: Collection[str]
    ) -> None:
        self.every = Every(every) if isinstance(every, int) else every
        self.spectra = Every(spectra) if isinstance(spectra, int) else spectra
        self.probes = tuple(probes)
        self.begin(0)

    def begin(self, made: int) -> None:
        """Begin after `made` updates; the first look measures everything."""
        self._next, self._next_costly, self._looked = _following(self.every, made), 0.0, -1

    def about(self) -> dict[str, Any]:
        """What the manifest says of it."""
        spectra = None if self.spectra is None else repr(self.spectra)
        return {"every": repr(self.every), "spectra": spectra, "probes": list(self.probes)}

    def due(self, n: int) -> bool:
        """Whether step `n` looks."""
        return n >= self._next and n > self._looked

    def passed(self, n: int) -> None:
        """Step `n` was due, whether it then looked or not."""
        self._next = _following(self.every, n)

    def at(self, n: int) -> tuple[str, ...]:
        """What the look at step `n` measures; it is the last one from now on."""
        self._looked = n
        if self.spectra is None:
            return self.probes
        if n < self._next_costly:
            return tuple(name for name in self.probes if name not in COSTLY)
        self._next_costly = _following(self.spectra, n)
        return self.probes


def _following(schedule: Schedule, step: int) -> float:
    following = schedule.following(step)
    return math.inf if following is None else following
