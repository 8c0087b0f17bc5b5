"""The table that every fit takes: one row per replica, at one horizon."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class Observations:
    """Which replicas grokked, and when, as arrays of one entry per replica.

    Attributes:
        weight_decay: Weight decay of each replica, `[replica]`.
        grokked: Whether it counts as grokked in rates, `[replica]`.
        time: Upper end of its event interval, in steps; NaN where there is none, `[replica]`.
        event: Name of the event preset.
        horizon_steps: Steps after which a replica is censored; null where nobody knows.
        steps_per_epoch: Optimizer steps per epoch; null where nobody knows.
        critical: A critical weight decay found by another fit, for fits that take one as given.
    """

    weight_decay: NDArray[np.float64]
    grokked: NDArray[np.bool_]
    time: NDArray[np.float64]
    event: str
    horizon_steps: int | None
    steps_per_epoch: int | None
    critical: float | None = None

    def __post_init__(self) -> None:
        shapes = {self.weight_decay.shape, self.grokked.shape, self.time.shape}
        if len(shapes) != 1 or self.weight_decay.ndim != 1:
            raise ValueError(
                f"`weight_decay`, `grokked` and `time` must be equally long, got {shapes}."
            )
        if not np.all(np.isfinite(self.weight_decay) & (self.weight_decay >= 0)):
            raise ValueError("`weight_decay` must be finite and at least 0 for every replica.")

    @property
    def horizon_epochs(self) -> float | None:
        """The horizon in epochs, or None where steps or epochs are not known."""
        if self.horizon_steps is None or self.steps_per_epoch is None:
            return None
        return self.horizon_steps / self.steps_per_epoch

    @property
    def horizon_warnings(self) -> list[str]:
        """A warning where the horizon is not known: a boundary means little without it."""
        if self.horizon_steps is not None:
            return []
        return ["The table names no horizon: the critical weight decay depends on it."]

    def within(self, window_max: float) -> "Observations":
        """The replicas with 0 < weight_decay <= `window_max`, those that a log axis can show."""
        keep = (self.weight_decay > 0) & (self.weight_decay <= window_max)
        return Observations(
            self.weight_decay[keep],
            self.grokked[keep],
            self.time[keep],
            self.event,
            self.horizon_steps,
            self.steps_per_epoch,
            self.critical,
        )


def from_counts(
    weight_decay: ArrayLike,
    n: ArrayLike,
    n_grokked: ArrayLike,
    event: str,
    horizon_steps: int | None,
) -> Observations:
    """One row per replica from a table of counts per weight decay; no times, no epochs.

    Args:
        weight_decay: One per row of the table, `[cell]`.
        n: Replicas, `[cell]`.
        n_grokked: Of these, the grokked ones, `[cell]`.
        event: What grokked means in the table.
        horizon_steps: Its horizon, if known.

    Raises:
        ValueError: If more replicas grokked than there are.

    Example:
        >>> from_counts([0.1, 1.0], [2, 1], [1, 1], "first99", 2500).grokked.tolist()
        [True, False, True]
    """
    cells = np.asarray(weight_decay, dtype=np.float64)
    total, successes = np.asarray(n, dtype=np.int64), np.asarray(n_grokked, dtype=np.int64)
    if np.any(successes > total) or np.any(successes < 0):
        raise ValueError(f"`n_grokked` must lie in [0, n], got {successes} of {total}.")
    outcomes = np.tile([1.0, 0.0], cells.size)
    grokked = np.repeat(outcomes, np.stack([successes, total - successes], axis=1).ravel()) > 0
    rows = np.repeat(cells, total)
    return Observations(rows, grokked, np.full(rows.size, np.nan), event, horizon_steps, None)
