"""The share of the time that looks may take, and which looks it left out."""

import time
from typing import Any, final


@final
class Budget:
    """Counts the seconds of looks against those of the whole training.

    Args:
        share: Of the time, in (0, 1]; None: no bound.
    """

    def __init__(self, share: float | None) -> None:
        self.share = share
        self.spent_s = 0.0
        self._last = 0.0
        self._began = time.perf_counter()
        self._skipped: list[int] = []

    def affordable(self) -> bool:
        """Whether a look that takes as long as the last one fits into the share; the first does."""
        if self.share is None or not self._last:
            return True
        return self.spent_s + self._last <= self.share * self._elapsed()

    def charge(self, seconds: float, *, once_s: float) -> None:
        """Add the cost of a look, `once_s` of which no other look will have."""
        self._last = seconds - once_s
        self.spent_s += seconds

    def skip(self, step: int) -> None:
        """Note that the look at `step` was left out."""
        self._skipped.append(step)

    def left_out(self) -> tuple[int, dict[str, Any]] | None:
        """The last step of the looks left out since this was asked, and the particulars."""
        if not self._skipped:
            return None
        first, last, n = self._skipped[0], self._skipped[-1], len(self._skipped)
        self._skipped = []
        return last, {
            "looks_left_out": n,
            "first_step": first,
            "budget": self.share,
            "seconds_of_looks": round(self.spent_s, 3),
            "seconds_in_all": round(self._elapsed(), 3),
        }

    def _elapsed(self) -> float:
        return time.perf_counter() - self._began
