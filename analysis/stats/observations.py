"""The table that every fit takes: one row per replica, or per number of replicas that are alike."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observatory.core.errors import FitRefusedError

Array = NDArray[np.float64]


def critical_words(control: str) -> str:
    """The critical point of a control as sentences call it.

    Example:
        >>> critical_words("weight decay"), critical_words("group")
        ('critical weight decay', 'critical value of group')
    """
    return f"critical {'' if control == 'weight decay' else 'value of '}{control}"


@dataclass(frozen=True)
class Observations:
    """Which replicas grokked, and when, as arrays of one entry per row.

    Attributes:
        weight_decay: The control of each row, weight decay or what `control` says, `[row]`.
        grokked: Whether it counts as grokked in rates, `[row]`.
        time: Upper end of its event interval, in steps, also where it collapsed or diverged later;
            NaN where there is none, `[row]`.
        event: Name of the event preset.
        horizon_steps: Steps after which a replica is censored; null where nobody knows.
        steps_per_epoch: Optimizer steps per epoch; null where nobody knows.
        critical: A critical weight decay found by another fit, for fits that take one as given.
        time_lo: Lower end of the event interval, in steps; NaN or null where the time is exact.
        watched: Steps watched of a row without an event; null: the horizon, or the latest time.
        seed: What rows share, such as the seed of a replica: the unit of resampling; null where
            every row is its own.
        weight: How many replicas a row stands for; null: one each.
        competing: Whether it collapsed or diverged and can no longer grok; null: none did.
        failed_at: When it did, in steps, NaN where nobody knows or where it did not; null likewise.
        control: What `weight_decay` is called in messages.
        critical_by: The fit that found `critical`; null where it was given.
    """

    weight_decay: Array
    grokked: NDArray[np.bool_]
    time: Array
    event: str
    horizon_steps: int | None
    steps_per_epoch: int | None
    critical: float | None = None
    time_lo: Array | None = None
    watched: Array | None = None
    seed: NDArray[np.int64] | None = None
    weight: Array | None = None
    competing: NDArray[np.bool_] | None = None
    failed_at: Array | None = None
    control: str = "weight decay"
    critical_by: str | None = None

    def __post_init__(self) -> None:
        shapes = {array.shape for array in self._arrays().values()}
        if len(shapes) != 1 or self.weight_decay.ndim != 1:
            raise ValueError(
                f"`weight_decay`, `grokked` and `time` must be equally long, got {shapes}."
            )
        if not np.all(np.isfinite(self.weight_decay) & (self.weight_decay >= 0)):
            raise ValueError(f"`{self.control}` must be finite and at least 0 in every row.")
        if self.weight is not None and not np.all(np.isfinite(self.weight) & (self.weight > 0)):
            raise ValueError("`weight` must be finite and positive in every row.")

    def _arrays(self) -> dict[str, NDArray[Any]]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, np.ndarray)}

    @property
    def n(self) -> int:
        """Replicas, those of weighted rows counted by their weight."""
        return self.count(np.ones(self.weight_decay.size, dtype=np.bool_))

    @property
    def weights(self) -> Array:
        """How many replicas each row stands for, `[row]`."""
        return np.ones(self.weight_decay.size) if self.weight is None else self.weight

    def count(self, rows: NDArray[np.bool_]) -> int:
        """Replicas in some of the rows."""
        return round(float(self.weights[rows].sum()))

    @property
    def failed(self) -> NDArray[np.bool_]:
        """Whether each row collapsed or diverged, `[row]`."""
        none = np.zeros(self.weight_decay.size, dtype=np.bool_)
        return none if self.competing is None else self.competing

    @property
    def horizon_epochs(self) -> float | None:
        """The horizon in epochs, or None where steps or epochs are not known."""
        if self.horizon_steps is None or self.steps_per_epoch is None:
            return None
        return self.horizon_steps / self.steps_per_epoch

    @property
    def about(self) -> dict[str, Any]:
        """What the record of every fit says of its table: event, horizon, n."""
        names = ("event", "horizon_steps", "horizon_epochs", "n")
        return {name: getattr(self, name) for name in names}

    @property
    def horizon_warnings(self) -> list[str]:
        """A warning where the horizon is not known, for fits of a boundary: it depends on it."""
        unknown = f"The table names no horizon: the {critical_words(self.control)} depends on it."
        return [unknown] if self.horizon_steps is None else []

    def take(self, keep: NDArray[np.bool_]) -> "Observations":
        """The rows to keep, in their order."""
        return replace(self, **{name: array[keep] for name, array in self._arrays().items()})

    def within(self, window_max: float | None) -> "Observations":
        """The rows with 0 < weight_decay <= `window_max`, those that a log axis can show."""
        highest = np.inf if window_max is None else window_max
        return self.take((self.weight_decay > 0) & (self.weight_decay <= highest))

    def failed_by(self, horizon: float) -> NDArray[np.bool_]:
        """Whether each row had collapsed or diverged by then, `[row]`."""
        later = np.zeros(self.time.size, dtype=np.bool_)
        return self.failed & ~(later if self.failed_at is None else self.failed_at > horizon)

    def grokked_by(self, horizon: float) -> NDArray[np.bool_]:
        """Whether each row counts as grokked at a shorter horizon, its time known, `[row]`."""
        return (self.time <= horizon) & (self.grokked | self.failed) & ~self.failed_by(horizon)

    def at_horizon(self, horizon: float) -> "Observations":
        """The same records as a shorter horizon would have left them.

        A row that had grokked by then and collapsed or diverged after it counts as grokked.

        Raises:
            FitRefusedError: If a row grokked at an unknown time, or the table names no times.
        """
        if np.any(self.grokked & ~(self.time > 0)):
            raise FitRefusedError(
                f"Event {self.event} has rows without a time: they cannot be censored at "
                f"{horizon:g} steps. Use an event that is located by a threshold."
            )
        past = self.time <= horizon
        return replace(
            self,
            grokked=self.grokked_by(horizon),
            time=np.where(past, self.time, np.nan),
            time_lo=None if self.time_lo is None else np.where(past, self.time_lo, np.nan),
            watched=np.minimum(self.followed, horizon),
            competing=None if self.competing is None else self.failed_by(horizon),
            horizon_steps=round(horizon),
        )

    @property
    def followed(self) -> Array:
        """Steps for which each row was watched, its own time where it grokked, `[row]`.

        A row that collapsed or diverged is followed to the horizon: it would not have grokked.
        """
        known = self.time[self.grokked & (self.time > 0)]
        latest = float(known.max()) if known.size else np.nan
        horizon = float(latest if self.horizon_steps is None else self.horizon_steps)
        ends = np.full(self.time.size, horizon) if self.watched is None else self.watched
        ends = np.where(np.isnan(ends) | self.failed, horizon, ends)
        return np.where(self.grokked & (self.time > 0), self.time, ends)


def from_counts(
    weight_decay: ArrayLike, n: ArrayLike, n_grokked: ArrayLike, event: str, horizon: int | None
) -> Observations:
    """At most two weighted rows per row of a table of counts: who grokked and who did not.

    Raises:
        ValueError: If more replicas grokked than there are.

    Example:
        >>> counted = from_counts([0.1, 1.0], [3, 1], [1, 1], "first99", 2500)
        >>> counted.grokked.tolist(), counted.weights.tolist()
        ([True, False, True], [1.0, 2.0, 1.0])
    """
    cells = np.asarray(weight_decay, dtype=np.float64)
    total, successes = np.asarray(n, dtype=np.float64), np.asarray(n_grokked, dtype=np.float64)
    if np.any(successes > total) or np.any(successes < 0):
        raise ValueError(f"`n_grokked` must lie in [0, n], got {successes} of {total}.")
    weight = np.stack([successes, total - successes], axis=1).ravel()
    rows, grokked = np.repeat(cells, 2), np.tile([True, False], cells.size)
    times = np.full(rows.size, np.nan)
    found = Observations(rows, grokked, times, event, horizon, None)
    return replace(found.take(weight > 0), weight=weight[weight > 0])
