"""What the same record would have said, had it ended earlier."""

from observatory.events.interval import Interval


def at_horizon(interval: Interval, horizon: int) -> Interval:
    """The event as a shorter horizon would have recorded it.

    An event whose `t_hi` lies beyond `horizon` is not observed there; the steps watched are cut to
    `horizon`. A horizon beyond the record changes nothing: it cannot show more. An event that had
    to hold for several looks keeps its date, even where the looks that confirmed it are cut.

    Args:
        interval: The event in the full record.
        horizon: Steps after which the record is cut.

    Raises:
        ValueError: If the event was observed without a time and the record is cut: whether the
            shorter record would show it cannot be known.

    Example:
        >>> at_horizon(Interval(75.0, 100.0, observed=True, watched=200), 90)
        Interval(t_lo=None, t_hi=None, observed=False, watched=90)
    """
    if horizon >= interval.watched:
        return interval
    if interval.observed and interval.t_hi is None:
        raise ValueError(
            f"`interval` must have times to be cut at {horizon} steps, got an event without. "
            "Re-censor an event that is located by a threshold."
        )
    if interval.t_hi is None or interval.t_hi > horizon:
        return Interval(None, None, observed=False, watched=horizon)
    return Interval(interval.t_lo, interval.t_hi, observed=True, watched=horizon)
