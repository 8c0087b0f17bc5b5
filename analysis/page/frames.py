"""Columns and rows of a table with the types that the rest of the code relies on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def column(frame: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """A numeric column as float64, null as NaN, `[row]`."""
    return pd.Series(frame[name]).to_numpy(dtype=np.float64, na_value=np.nan)


def words(frame: pd.DataFrame, name: str) -> NDArray[np.object_]:
    """A column of strings, null as "", `[row]`."""
    return np.array(["" if pd.isna(value) else str(value) for value in frame[name]], dtype=object)


def where(frame: pd.DataFrame, keep: NDArray[np.bool_]) -> pd.DataFrame:
    """The rows to keep, in their order."""
    return pd.DataFrame(frame.loc[keep])


def alike(values: NDArray[np.float64], value: float) -> NDArray[np.bool_]:
    """Which values are this one; a value that is missing, NaN, is like any other that is missing.

    Example:
        >>> alike(np.array([1.0, np.nan]), np.nan).tolist()
        [False, True]
    """
    return np.isnan(values) if np.isnan(value) else values == value


def select(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Some columns, in the order given."""
    return pd.DataFrame(frame[list(names)])


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as mappings by column name."""
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def evenly(values: Sequence[float], most: int) -> list[float]:
    """At most so many of some values, evenly by rank, the ends included; of one, the last.

    Example:
        >>> evenly([1.0, 2.0, 3.0, 4.0, 5.0], 3), evenly([1.0, 2.0], 1)
        ([1.0, 3.0, 5.0], [2.0])
    """
    return [values[index] for index in evenly_placed(np.arange(len(values)), most)]


def spread_rows(groups: NDArray[Any], values: NDArray[np.float64], most: int) -> NDArray[np.bool_]:
    """Which rows stand for all where there are more than `most`: an even share of each group.

    Within a group they are chosen evenly by the rank of their value, its ends included; a group
    keeps one row at least.

    Example:
        >>> spread_rows(np.zeros(5), np.array([5.0, 1.0, 2.0, 4.0, 3.0]), 3).tolist()
        [True, True, False, False, True]
    """
    if groups.size <= most:
        return np.ones(groups.size, dtype=np.bool_)
    kept = np.zeros(groups.size, dtype=np.bool_)
    order = np.lexsort((values, groups))
    for rows in np.split(order, np.flatnonzero(np.diff(groups[order])) + 1):
        kept[evenly_placed(rows, max(1, round(rows.size * most / groups.size)))] = True
    return kept


def evenly_placed(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many rows, evenly by their place, the ends included; of one, the last."""
    if rows.size <= most:
        return rows
    return rows[-1:] if most == 1 else rows[np.linspace(0, rows.size - 1, most).round().astype(int)]


def layered(lists: Sequence[Any]) -> NDArray[np.float64]:
    """A list column as `[row, layer]`; NaN where a row or an entry is null.

    Example:
        >>> layered([[1.0, 2.0], None, [3.0, None]]).tolist()
        [[1.0, 2.0], [nan, nan], [3.0, nan]]
    """
    width = max((len(row) for row in lists if row is not None), default=1)
    empty = np.full(width, np.nan)
    rows = [empty if row is None else np.asarray(row, dtype=np.float64) for row in lists]
    return np.concatenate([*rows, empty]).reshape(-1, width)[:-1]


def middle(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The median over layers, of those that are finite; NaN where none is, `[row]`.

    Example:
        >>> middle(np.array([[1.0, np.nan, 3.0], [np.nan, np.nan, np.nan]])).tolist()
        [2.0, nan]
    """
    rising = np.sort(np.where(np.isfinite(values), values, np.nan), axis=1)  # NaN last
    n = np.isfinite(rising).sum(axis=1)
    each = np.arange(len(rising))
    low, high = (
        rising[each, np.maximum(n - 1, 0) // 2],
        rising[each, np.minimum(n // 2, values.shape[1] - 1)],
    )
    return np.where(n > 0, (low + high) / 2.0, np.nan)
