"""Which points of a cell's curves are to be written next."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from observatory.core.columns import Column
from observatory.mirror.cells import QUARTILES, Cell, legal, metric_key
from observatory.mirror.curves import NEVER, Looks, final_step, held, quantiles, thinned
from observatory.mirror.experiment import Point

SKIPPED = ("outcomes", "events", "weights", "states")
"""Tables that hold no curves."""


@dataclass(frozen=True)
class Lines:
    """How curves are drawn.

    Attributes:
        prefixes: Section of the charts for each probe.
        points: Log-spaced steps that a curve keeps.
        per_layer: Whether the layers of a quantity that also has an aggregate are drawn.
        horizon: Steps after which a replica is censored.
        groups: Names of the parameter groups.
        quartiles: Whether the quartiles are drawn beside the median.
    """

    prefixes: Mapping[str, str]
    points: int
    per_layer: bool
    horizon: int
    groups: tuple[str, ...]
    quartiles: bool


def measured(columns: tuple[Column, ...], lines: Lines) -> list[Column]:
    """The columns that have curves: numbers, no indices, no layers beside their aggregate."""
    names = {column.name for column in columns}
    return [
        column
        for column in columns
        if column.dtype in ("float64", "float32")
        and len(column.dims) < 2
        and (lines.per_layer or column.name.removesuffix("_layer") not in names - {column.name})
    ]


def spread(
    frame: pd.DataFrame, table: str, columns: list[Column], lines: Lines
) -> tuple[list[str], list[bool], np.ndarray]:
    """One array column per curve.

    Returns:
        Metric of each, whether it is a headline (a scalar, or a list of one) that deserves
        quartiles, and the values, `[row, quantity]`.
    """
    keys: list[str] = []
    headline: list[bool] = []
    values: list[np.ndarray] = []
    for column in columns:
        key = metric_key(table, column.name, lines.prefixes)
        if not column.dims:
            keys, headline = [*keys, key], [*headline, True]
            values.append(frame[column.name].to_numpy(dtype=float, na_value=np.nan)[:, None])
            continue
        entries = frame[column.name].to_numpy()
        present = frame[column.name].notna().to_numpy()
        size = len(entries[present][0]) if present.any() else 0
        if size:
            spread_out = np.full((len(frame), size), np.nan)
            spread_out[present] = np.concatenate(entries[present]).reshape(-1, size)
            values.append(spread_out)
        kind = "transform" if column.dims == ("transform",) else "layer"
        names = lines.groups if column.dims == ("group",) else [f"{kind}{i}" for i in range(size)]
        keys += [key] if size == 1 else [legal(f"{key}.{name}") for name in names[:size]]
        headline += [size == 1] * size
    return keys, headline, np.concatenate(values, axis=1) if values else np.empty((len(frame), 0))


def fresh_points(
    cell: Cell, frame: pd.DataFrame, table: str, columns: list[Column], lines: Lines, after: int
) -> tuple[list[Point], int]:
    """Points of one table that are final and lie behind `after`.

    Args:
        cell: Whose curves.
        frame: Rows of its replicas, sorted by replica and step.
        table: Name of the table.
        columns: What `measured` chose.
        lines: How curves are drawn.
        after: Step up to which the points were written earlier; -1 for none.

    Returns:
        The points, by step; and the new value of `after`.
    """
    keys, headline, values = spread(frame, table, columns, lines)
    looks = Looks(frame["replica"].to_numpy(), frame["step"].to_numpy(), values)
    steps = np.unique(looks.step)
    last = final_step(looks, cell.left)
    keep = thinned(steps, lines.horizon, lines.points)
    if len(steps):
        keep[-1] |= last == NEVER
    steps = steps[keep & (steps > after) & (steps <= last)]
    if not len(steps):
        return [], after
    found = quantiles(held(looks, steps), tuple(QUARTILES.values()))
    return list(_points(keys, headline, steps, found, lines)), int(steps[-1])


def _points(
    keys: list[str], headline: list[bool], steps: np.ndarray, found: np.ndarray, lines: Lines
) -> Iterator[Point]:
    for row, step in enumerate(steps.tolist()):
        for level, suffix in enumerate(QUARTILES):
            for column, key in enumerate(keys):
                value = float(found[level, row, column])
                drawn = suffix == "" or (headline[column] and lines.quartiles)
                if drawn and np.isfinite(value):
                    yield f"{key}{suffix}", step, value
