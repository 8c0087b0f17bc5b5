"""When an event happened, as far as the looks show."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """An event between two looks, or not observed within the steps watched.

    Attributes:
        t_lo: Last look before the event, in steps; null where not observed or not timed.
        t_hi: First look that shows the event, in steps: the event lies in (t_lo, t_hi].
        observed: Whether the event was seen.
        watched: Step of the last look; a replica without the event is censored here.
    """

    t_lo: float | None
    t_hi: float | None
    observed: bool
    watched: int

    def __post_init__(self) -> None:
        if (self.t_lo is None) != (self.t_hi is None):
            raise ValueError(f"`t_lo` and `t_hi` must be given together, got {self}.")
        if self.t_lo is not None and self.t_hi is not None:
            if not self.observed:
                raise ValueError(f"`t_lo` must be None where nothing was observed, got {self}.")
            if self.t_lo > self.t_hi:
                raise ValueError(f"`t_lo` must not exceed `t_hi`, got {self}.")
