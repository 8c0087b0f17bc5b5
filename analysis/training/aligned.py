"""Median and quartiles over the seeds of a weight decay, aligned at an event of each replica."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from observatory.analysis.page.bands import quartiles
from observatory.analysis.page.frames import column, select


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
        Columns quantity, weight_decay, step (over the replica's time), median, q25, q75, n and
        n_cell (replicas of that weight decay with the event).
    """
    grid = np.geomspace(*span, size)
    keys = pd.MultiIndex.from_frame(select(frame, ["run_id", "replica"]))
    starts = np.flatnonzero(~keys.duplicated())
    ends = np.append(starts[1:], len(frame))
    rows = dict(zip(keys.take(starts), zip(starts, ends, strict=True), strict=True))
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
    readings[~np.isfinite(readings)] = np.nan
    pieces: list[pd.DataFrame] = []
    for decay in np.unique(decays):
        at_decay = decays == decay
        for value, of_value in zip(values, readings[:, at_decay], strict=True):
            n = np.isfinite(of_value).sum(axis=0)
            enough = (n > 0) & (2 * n >= at_decay.sum())
            if enough.any():
                q = quartiles(of_value[:, enough])
                piece = {"quantity": value, "weight_decay": decay, "step": grid[enough]}
                piece |= {"median": q[1], "q25": q[0], "q75": q[2], "n": n[enough]}
                pieces.append(pd.DataFrame(piece | {"n_cell": int(at_decay.sum())}))
    columns = ["quantity", "weight_decay", "step", "median", "q25", "q75", "n", "n_cell"]
    return pd.concat(pieces, ignore_index=True) if pieces else pd.DataFrame(columns=columns)
