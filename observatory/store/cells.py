"""Measurements as Arrow arrays and back, null (not measured) kept apart from NaN (not finite)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from observatory.core.columns import Column
from observatory.core.errors import StoreError

_NUMPY: dict[str, np.dtype] = {
    "float64": np.dtype(np.float64),
    "float32": np.dtype(np.float32),
    "int64": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
    "string": np.dtype(object),
}
_STRING = pd.StringDtype(na_value=np.nan)


class Chunk(NamedTuple):
    """The cells of one column for some rows.

    Attributes:
        values: One entry per row that has a cell, `[row, *dims]`.
        known: Which numbers of `values` are not null, same shape, or None where all are.
        has_cell: Which rows have a cell, the others are null as a whole; None where all have.
        n_rows: Number of rows, nulls included.
    """

    values: np.ndarray
    known: np.ndarray | None
    has_cell: np.ndarray | None
    n_rows: int


def to_chunk(
    column: Column, values: np.ndarray | None, defined: np.ndarray | None, n_rows: int
) -> Chunk:
    """A copy of what was measured, checked against what the column declares.

    Args:
        column: The declaration.
        values: Array `[row, *dims]`, or None where no row has a value.
        defined: Booleans over the first axes of `values`: `[row]` makes whole cells null, more
            axes make numbers within a list null. None where everything is defined.
        n_rows: Number of rows.

    Raises:
        StoreError: If a shape does not fit, or the values would lose their kind (3.5 as an
            integer).
    """
    target = _NUMPY[column.dtype]
    if values is None:
        empty = np.empty((0,) * (1 + len(column.dims)), dtype=target)
        return Chunk(empty, None, np.zeros(n_rows, dtype=bool), n_rows)
    if values.ndim != 1 + len(column.dims) or len(values) != n_rows:
        raise StoreError(
            f"Column `{column.name}` must have shape [{', '.join((str(n_rows), *column.dims))}], "
            f"got {list(values.shape)}. Give one entry per replica, replicas first."
        )
    if values.dtype != target and not np.can_cast(values.dtype, target, casting="same_kind"):
        raise StoreError(
            f"Column `{column.name}` is declared {column.dtype}, got {values.dtype}. "
            "Declare the dtype that is measured, or convert the values."
        )
    if column.dtype == "string" and not all(v is None or isinstance(v, str) for v in values.flat):
        raise StoreError(f"Column `{column.name}` must hold strings or None, got {values[:3]}.")
    if defined is None:
        return Chunk(values.astype(target), None, None, n_rows)
    if (
        defined.dtype != np.bool_
        or defined.ndim < 1
        or defined.shape != values.shape[: defined.ndim]
    ):
        raise StoreError(
            f"`defined` of column `{column.name}` must be booleans over the first axes of "
            f"{list(values.shape)}, got {defined.dtype} {list(defined.shape)}."
        )
    if defined.ndim == 1:
        return Chunk(values[defined].astype(target), None, defined.copy(), n_rows)
    axes = defined.reshape(defined.shape + (1,) * (values.ndim - defined.ndim))
    return Chunk(values.astype(target), np.broadcast_to(axes, values.shape).copy(), None, n_rows)


def to_arrow(field: pa.Field, chunks: Sequence[Chunk]) -> pa.Array:
    """The rows of all chunks, one after the other, as one array of the field's type.

    Example:
        >>> column = Column(name="x", unit="1", meaning="an example")
        >>> chunk = to_chunk(column, np.array([1.0, np.nan, 9.0]), np.array([True, True, False]), 3)
        >>> to_arrow(pa.field("x", pa.float64()), [chunk]).to_pylist()
        [1.0, nan, None]
    """
    values = [chunk.values for chunk in chunks]
    has_cell = _joined([c.has_cell for c in chunks], [(c.n_rows,) for c in chunks])
    if not pa.types.is_list(field.type):
        return _scalars(field.type, np.concatenate(values), has_cell)
    known = _joined([c.known for c in chunks], [v.shape for v in values])
    inner = field.type.value_type
    nested = pa.types.is_list(inner)
    items = np.concatenate([v.reshape(-1) for v in values])
    if known is not None:
        items = items[known]
    array = _scalars(inner.value_type if nested else inner, items, known)
    if nested:
        sizes = [np.full(v.shape[0] * v.shape[1], v.shape[2], dtype=np.int64) for v in values]
        array = pa.ListArray.from_arrays(_offsets(np.concatenate(sizes)), array)
    sizes = np.concatenate([np.full(len(v), v.shape[1], dtype=np.int64) for v in values])
    if has_cell is None:
        return pa.ListArray.from_arrays(_offsets(sizes), array)
    spread = np.zeros(len(has_cell), dtype=np.int64)
    spread[has_cell] = sizes
    return pa.ListArray.from_arrays(_offsets(spread), array, mask=pa.array(~has_cell))


def to_pandas(field: pa.Field, cells: pa.ChunkedArray) -> pd.Series:
    """A column for analysis, of a dtype that depends on the field alone.

    Args:
        field: A field that is never null becomes a plain numpy column. One that may be becomes a
            nullable pandas column: `isna` is null, NaN stays a value; `.to_numpy()` makes both NaN.
            Lists become objects: one array of one or two axes per row, None where null. A number
            that is null within a list reads as NaN there; `Run.arrow` keeps the difference.
        cells: The column.
    """
    if pa.types.is_dictionary(field.type) or pa.types.is_string(field.type):
        return cells.cast(pa.string()).to_pandas(types_mapper={pa.string(): _STRING}.get)
    if pa.types.is_list(field.type):
        rows = [row for chunk in cells.chunks for row in _rows(chunk)]
        series = pd.Series([None] * len(rows), dtype=object)
        series[:] = rows
        return series
    if not field.nullable:
        return cells.to_pandas()
    return pd.Series(_nullable(cells))


def _nullable(
    cells: pa.ChunkedArray,
) -> pd.arrays.BooleanArray | pd.arrays.IntegerArray | pd.arrays.FloatingArray:
    """Values and mask side by side: pandas' own conversion would make every NaN a null."""
    mask = cells.is_null().to_numpy()
    if pa.types.is_boolean(cells.type):
        return pd.arrays.BooleanArray(cells.fill_null(False).to_numpy(), mask)
    values = cells.fill_null(0).to_numpy()
    if pa.types.is_integer(cells.type):
        return pd.arrays.IntegerArray(values, mask)
    return pd.arrays.FloatingArray(values, mask)


def _joined(
    masks: Sequence[np.ndarray | None], shapes: Sequence[tuple[int, ...]]
) -> np.ndarray | None:
    """The masks, flat, one after the other; None where every one is None, that is all true."""
    if all(mask is None for mask in masks):
        return None
    return np.concatenate(
        [
            np.ones(shape, dtype=bool).reshape(-1) if mask is None else mask.reshape(-1)
            for mask, shape in zip(masks, shapes, strict=True)
        ]
    )


def _scalars(kind: pa.DataType, values: np.ndarray, present: np.ndarray | None) -> pa.Array:
    """`values` at the places that are `present`, null at the others."""
    if present is None:
        return pa.array(values, type=kind, from_pandas=False)
    spread = np.full(len(present), None if values.dtype == object else 0, dtype=values.dtype)
    spread[present] = values
    return pa.array(spread, type=kind, mask=~present, from_pandas=False)


def _offsets(sizes: np.ndarray) -> pa.Array:
    bounds = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return pa.array(bounds.astype(np.int32))


def _rows(lists: pa.ListArray) -> list[np.ndarray | None]:
    """The cells of a list array: one array per row, rectangular where the lists are nested."""
    starts = lists.offsets.to_numpy()
    items = lists.values
    present = lists.is_valid().to_numpy(zero_copy_only=False)
    if not pa.types.is_list(items.type):
        flat = np.array(items.to_numpy(zero_copy_only=False))
        return [
            flat[start:stop] if has else None
            for start, stop, has in zip(starts[:-1], starts[1:], present, strict=True)
        ]
    inner = items.offsets.to_numpy()
    flat = np.array(items.values.to_numpy(zero_copy_only=False))
    return [
        flat[inner[start] : inner[stop]].reshape(stop - start, -1 if stop > start else 0)
        if has
        else None
        for start, stop, has in zip(starts[:-1], starts[1:], present, strict=True)
    ]
