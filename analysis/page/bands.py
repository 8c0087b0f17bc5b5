"""Median and quartiles over the seeds of each weight decay, for records of different length."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.page.frames import column, select

RULE = (
    "over the replicas of a weight decay; one that has left the fleet keeps its last reading, and "
    "a curve ends with the last replica's record."
)


def log_grid(steps: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """At most `size` of the positive steps of some records, evenly on a log axis."""
    seen = np.unique(steps[steps > 0])
    if seen.size <= size:
        return seen
    wanted = np.geomspace(seen[0], seen[-1], size)
    return np.unique(seen[np.minimum(np.searchsorted(seen, wanted), seen.size - 1)])


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
    keys = pd.MultiIndex.from_frame(select(frame, ["run_id", "replica"]))
    starts = np.flatnonzero(~keys.duplicated())
    steps, values = column(frame, "step"), column(frame, value)
    ends = np.append(starts[1:], len(frame))
    out = np.full((starts.size, grid.size), np.nan)
    for row, rows in enumerate(map(slice, starts, ends)):
        last = np.searchsorted(steps[rows], grid, side="right") - 1
        known = last >= 0
        out[row, known] = values[rows][last[known]]
    return out, keys.take(starts), steps[ends - 1].astype(np.int64)


def quartiles(readings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quartiles over the rows of each column, of what is finite in it, `[quartile, column]`.

    Args:
        readings: `[row, column]`, a finite number in every column.
    """
    rising = np.sort(np.where(np.isfinite(readings), readings, np.nan), axis=0)  # NaN last
    counts = np.isfinite(rising).sum(axis=0)
    found = np.empty((3, rising.shape[1]))
    for count in np.unique(counts):
        alike = counts == count
        found[:, alike] = np.quantile(rising[:count, alike], [0.25, 0.5, 0.75], axis=0)
    return found


def bands(
    frame: pd.DataFrame, replicas: pd.DataFrame, values: Sequence[str], size: int
) -> pd.DataFrame:
    """Median and quartiles against steps, per weight decay.

    Readings that are not finite are left out. A step is given where at least half of the replicas
    of the weight decay have a reading.

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
    decay_of = pd.Series(
        everyone, pd.MultiIndex.from_frame(select(replicas, ["run_id", "replica"]))
    )
    pieces: list[pd.DataFrame] = []
    for value in values:
        readings, index, ends = on_grid(frame, value, grid)
        readings[~np.isfinite(readings)] = np.nan
        decays = decay_of.reindex(index).to_numpy()
        for decay in np.unique(decays[~np.isnan(decays)]):
            rows = readings[decays == decay]
            n = np.isfinite(rows).sum(axis=0)
            n_cell = int((everyone == decay).sum())
            enough = (n > 0) & (2 * n >= n_cell) & (grid <= ends[decays == decay].max())
            if not enough.any():
                continue
            q25, median, q75 = quartiles(rows[:, enough])
            pieces.append(
                pd.DataFrame(
                    {
                        "quantity": value,
                        "weight_decay": decay,
                        "step": grid[enough],
                        "median": median,
                        "q25": q25,
                        "q75": q75,
                        "n": n[enough],
                        "n_cell": n_cell,
                    }
                )
            )
    columns = ["quantity", "weight_decay", "step", "median", "q25", "q75", "n", "n_cell"]
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
