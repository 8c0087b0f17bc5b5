"""What the run's time went into."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


class CostClock:
    """Wall and CPU seconds by purpose: "train", "evaluate", "store", "probe:<name>".

    Charges do not nest: an inner one is subtracted from the outer.
    """

    def __init__(self, wall: Mapping[str, float] | None = None, cpu_s: float = 0.0) -> None:
        self.wall: dict[str, float] = dict(wall or {})
        self._earlier_cpu = cpu_s - time.process_time()
        self._inner = 0.0

    @property
    def cpu_s(self) -> float:
        """CPU seconds of this process, those of earlier attempts included."""
        return self._earlier_cpu + time.process_time()

    @property
    def wall_s(self) -> float:
        """Seconds charged so far."""
        return sum(self.wall.values())

    @contextmanager
    def charged(self, purpose: str) -> Iterator[None]:
        """Charge the time inside to `purpose`."""
        before, outer = time.perf_counter(), self._inner
        self._inner = 0.0
        try:
            yield
        finally:
            elapsed = time.perf_counter() - before
            self.wall[purpose] = self.wall.get(purpose, 0.0) + elapsed - self._inner
            self._inner = outer + elapsed
