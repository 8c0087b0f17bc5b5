"""How a table of outcomes holds events: the ends of the interval, and whether it was observed."""

from collections.abc import Mapping

from observatory.core.columns import Column
from observatory.events.interval import Interval


def interval_columns(events: Mapping[str, str]) -> tuple[Column, ...]:
    """Three columns per event.

    Args:
        events: What an event looks at, by its name.

    Example:
        >>> [column.name for column in interval_columns({"mem": "train_acc"})]
        ['mem_lo', 'mem_hi', 'mem_observed']
    """
    columns: list[Column] = []
    for name, series in events.items():
        columns += [
            Column(
                name=f"{name}_lo",
                unit="steps",
                meaning=f"last look before event {name} ({series})",
            ),
            Column(
                name=f"{name}_hi",
                unit="steps",
                meaning=f"first look that shows event {name}; null where censored",
            ),
            Column(
                name=f"{name}_observed",
                unit="-",
                dtype="bool",
                meaning=f"whether event {name} was seen",
            ),
        ]
    return tuple(columns)


def interval_entries(located: Mapping[str, Interval]) -> dict[str, object]:
    """The entries of those columns, by name, from the interval of every event."""
    row: dict[str, object] = {}
    for name, interval in located.items():
        row |= {
            f"{name}_lo": interval.t_lo,
            f"{name}_hi": interval.t_hi,
            f"{name}_observed": interval.observed,
        }
    return row
