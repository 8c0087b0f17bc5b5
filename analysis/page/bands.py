"""Median and quartiles over the seeds of each weight decay, by step or by each replica's clock."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.frames import alike, column, select

_COLUMNS = ["quantity", "weight_decay", "step", "median", "q25", "q75", "n", "n_cell"]
RULE = (
    "over the replicas of a weight decay; one whose training has ended keeps its last reading, and "
    "a curve ends with the longest record."
)


def log_grid(steps: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """At most `size` of the positive steps of some records, evenly on a log axis."""
    seen = np.unique(steps[steps > 0])
    if seen.size <= size:
        return seen
    wanted = np.geomspace(seen[0], seen[-1], size)
    return np.unique(seen[np.minimum(np.searchsorted(seen, wanted), seen.size - 1)])


def _spans(frame: pd.DataFrame) -> tuple[pd.MultiIndex, NDArray[np.int64], NDArray[np.int64]]:
    """The (run_id, replica) of each record in a sorted table, its first row and the row after."""
    keys = pd.MultiIndex.from_frame(select(frame, ["run_id", "replica"]))
    starts = np.flatnonzero(~keys.duplicated())
    return keys.take(starts), starts, np.append(starts[1:], len(frame))


def on_grid(
    frame: pd.DataFrame, value: str, grid: NDArray[np.int64]
) -> tuple[NDArray[np.float64], pd.MultiIndex, NDArray[np.int64]]:
    """Each replica's last reading at or before each step of the grid.

    Args:
        frame: Columns run_id, replica, step and `value`; sorted by them.
        value: A numeric column.
        grid: Steps, rising, `[step]`.

    Returns:
        Readings, `[replica, step]`, NaN before a replica's first look, its last one held after it;
        the (run_id, replica) of each row, and the step of its last look.
    """
    replicas, starts, ends = _spans(frame)
    steps, values = column(frame, "step"), column(frame, value)
    out = np.full((starts.size, grid.size), np.nan)
    for row, rows in enumerate(map(slice, starts, ends)):
        last = np.searchsorted(steps[rows], grid, side="right") - 1
        known = last >= 0
        out[row, known] = values[rows][last[known]]
    return out, replicas, steps[ends - 1].astype(np.int64)


def quartiles(readings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quartiles over the rows of each column, of what is finite in it, `[quartile, column]`."""
    rising = np.sort(np.where(np.isfinite(readings), readings, np.nan), axis=0)  # NaN last
    counts = np.isfinite(rising).sum(axis=0)
    found = np.empty((3, rising.shape[1]))
    for count in np.unique(counts):
        alike = counts == count
        found[:, alike] = np.quantile(rising[:count, alike], [0.25, 0.5, 0.75], axis=0)
    return found


def _summaries(
    quantity: str,
    readings: NDArray[np.float64],
    decays: NDArray[np.float64],
    everyone: NDArray[np.float64],
    grid: NDArray[Any],
    until: NDArray[Any],
) -> Iterator[pd.DataFrame]:
    """A table per weight decay, of the points at which half of its replicas have a reading."""
    readings = np.where(np.isfinite(readings), readings, np.nan)
    for decay in np.unique(decays):
        own = alike(decays, decay)
        rows = readings[own]
        n = np.isfinite(rows).sum(axis=0)
        n_cell = int(alike(everyone, decay).sum())
        enough = (n > 0) & (2 * n >= n_cell) & (grid <= until[own].max())
        if enough.any():
            q25, median, q75 = quartiles(rows[:, enough])
            columns = (quantity, decay, grid[enough], median, q25, q75, n[enough], n_cell)
            yield pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))


def _stacked(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=_COLUMNS)


def bands(
    frame: pd.DataFrame, replicas: pd.DataFrame, values: Sequence[str], size: int
) -> pd.DataFrame:
    """Median and quartiles against steps, per weight decay.

    Readings that are not finite are left out. A step is given where at least half of the replicas
    of the weight decay have a reading; those of which no weight decay is known are one of their
    own, NaN.

    Args:
        frame: Columns run_id, replica, step and `values`, sorted by replica and step.
        replicas: Columns run_id, replica, weight_decay; those that are to be pooled.
        values: Numeric columns.
        size: Largest number of steps; the others are skipped.

    Returns:
        Columns quantity, weight_decay, step, median, q25, q75, n (replicas with a reading) and
        n_cell (all replicas of that weight decay).
    """
    grid = log_grid(column(frame, "step").astype(np.int64), size)
    everyone = column(replicas, "weight_decay")
    place_of = pd.MultiIndex.from_frame(select(replicas, ["run_id", "replica"]))
    made: list[pd.DataFrame] = []
    for value in values:
        readings, index, ends = on_grid(frame, value, grid)
        place = place_of.get_indexer(index)
        pooled = place >= 0
        decays = everyone[place[pooled]]
        made += _summaries(value, readings[pooled], decays, everyone, grid, ends[pooled])
    return _stacked(made)


def aligned(
    frame: pd.DataFrame,
    anchors: pd.DataFrame,
    values: Sequence[str],
    span: tuple[float, float],
    size: int,
) -> pd.DataFrame:
    """Readings against steps in units of each replica's own time, per weight decay.

    A replica is read at its last look before the step, from its first look to its last; a point is
    given where at least half of the replicas with an event have a finite reading.

    Args:
        frame: Columns run_id, replica, step and `values`, sorted by replica and step.
        anchors: Columns run_id, replica, weight_decay and time (steps); replicas without the event
            are not in it.
        values: Numeric columns.
        span: Smallest and largest step over time.
        size: Points on the log axis between them.

    Returns:
        Columns as of `bands`; step is over the replica's time, n_cell counts the replicas of that
        weight decay with the event.
    """
    grid = np.geomspace(*span, size)
    replicas, starts, ends = _spans(frame)
    rows = dict(zip(replicas, zip(starts, ends, strict=True), strict=True))
    steps, decays = column(frame, "step"), column(anchors, "weight_decay")
    readings = np.full((len(values), len(anchors), grid.size), np.nan)
    data = np.stack([column(frame, value) for value in values])
    identities = zip(anchors["run_id"], anchors["replica"], column(anchors, "time"), strict=True)
    for index, (run_id, replica, time) in enumerate(identities):
        if (run_id, replica) not in rows:
            continue
        first, end = rows[run_id, replica]
        at = grid * time
        last = np.searchsorted(steps[first:end], at, side="right") - 1
        known = (last >= 0) & (at <= steps[end - 1])
        readings[:, index, known] = data[:, first:end][:, last[known]]
    no_end = np.full(len(anchors), np.inf)
    return _stacked(
        [
            table
            for value, of_value in zip(values, readings, strict=True)
            for table in _summaries(value, of_value, decays, decays, grid, no_end)
        ]
    )
