"""Measurements as Arrow arrays and back, null (not measured) kept apart from NaN (not finite)."""

from collections.abc import Sequence
from dataclasses import dataclass

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
_NULLABLE = {
    pa.float64(): pd.Float64Dtype(),
    pa.float32(): pd.Float32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(na_value=np.nan),
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """The cells of one column for some rows.

    Attributes:
        values: One entry per row that has a value, `[row, *dims]`.
        defined: Which rows have one, or None where all do.
        n_rows: Number of rows, nulls included.
        entries: Which entries of a list column's cells have a value, `[row, *dims]`, or None where all do.
    """

    values: np.ndarray
    defined: np.ndarray | None
    n_rows: int
    entries: np.ndarray | None = None


def to_chunk(
    column: Column, values: np.ndarray | None, defined: np.ndarray | None, n_rows: int
) -> Chunk:
    """A copy of what was measured, checked against what the column declares.

    Args:
        column: The declaration.
        values: Array `[row, *dims]`, or None where no row has a value.
        defined: Boolean array `[row]`, or `[row, *dims]` for single entries, or None where all of
            `values` is defined.
        n_rows: Number of rows.

    Raises:
        StoreError: If the shape does not fit, or the values would lose their kind (3.5 as an integer).
    """
    target = _NUMPY[column.dtype]
    if values is None:
        empty = np.empty((0,) * (1 + len(column.dims)), dtype=target)
        return Chunk(empty, np.zeros(n_rows, dtype=bool), n_rows)
    if values.ndim != 1 + len(column.dims) or len(values) != n_rows:
        raise StoreError(
            f"Column `{column.name}` must have shape [{', '.join((str(n_rows), *column.dims))}], "
            f"got {list(values.shape)}. Give one entry per replica, replicas first."
        )
    if not np.can_cast(values.dtype, target, casting="same_kind"):
        raise StoreError(
            f"Column `{column.name}` is declared {column.dtype}, got {values.dtype}. "
            "Declare the dtype that is measured, or convert the values."
        )
    if defined is None:
        return Chunk(values.astype(target), None, n_rows)
    if defined.shape not in ((n_rows,), values.shape) or defined.dtype != np.bool_:
        raise StoreError(
            f"`defined` of column `{column.name}` must be {n_rows} booleans, one per replica, or one per "
            f"entry, got {defined.dtype} {list(defined.shape)}."
        )
    if defined.ndim > 1:
        return Chunk(values.astype(target), None, n_rows, defined.copy())
    return Chunk(values[defined].astype(target), defined.copy(), n_rows)


def to_arrow(field: pa.Field, chunks: Sequence[Chunk]) -> pa.Array:
    """The rows of all chunks, one after the other, as one array of the field's type.

    Example:
        >>> column = Column(name="x", unit="1", meaning="an example")
        >>> chunk = to_chunk(column, np.array([1.0, np.nan, 9.0]), np.array([True, True, False]), 3)
        >>> to_arrow(pa.field("x", pa.float64()), [chunk]).to_pylist()
        [1.0, nan, None]
    """
    values = [chunk.values for chunk in chunks]
    defined = _defined(chunks)
    if not pa.types.is_list(field.type):
        return _scalars(field.type, values, defined)
    inner = field.type.value_type
    sizes = np.concatenate([np.full(len(v), v.shape[1], dtype=np.int64) for v in values])
    if pa.types.is_list(inner):
        nested = [np.full(v.shape[0] * v.shape[1], v.shape[2], dtype=np.int64) for v in values]
        flat = _entries(inner.value_type, chunks)
        items = pa.ListArray.from_arrays(_offsets(np.concatenate(nested)), flat)
    else:
        items = _entries(inner, chunks)
    if defined is None:
        return pa.ListArray.from_arrays(_offsets(sizes), items)
    spread = np.zeros(len(defined), dtype=np.int64)
    spread[defined] = sizes
    return pa.ListArray.from_arrays(_offsets(spread), items, mask=pa.array(~defined))


def to_pandas(field: pa.Field, cells: pa.ChunkedArray) -> pd.Series:
    """A column for analysis, of a dtype that depends on the field alone.

    Args:
        field: A field that is never null becomes a plain numpy column. One that may be becomes a
            nullable pandas column: `isna` is null, NaN stays a value; `.to_numpy()` makes both NaN.
            Lists become objects: one array of one or two axes per row, None where null.
        cells: The column.
    """
    if pa.types.is_dictionary(field.type):
        return cells.cast(pa.string()).to_pandas()
    if pa.types.is_list(field.type):
        rows = [row for chunk in cells.chunks for row in _rows(chunk)]
        series = pd.Series([None] * len(rows), dtype=object)
        series[:] = rows
        return series
    if field.nullable:
        return cells.to_pandas(types_mapper=_NULLABLE.get)
    return cells.to_pandas()


def _defined(chunks: Sequence[Chunk]) -> np.ndarray | None:
    if all(chunk.defined is None for chunk in chunks):
        return None
    return np.concatenate(
        [np.ones(c.n_rows, dtype=bool) if c.defined is None else c.defined for c in chunks]
    )


def _entries(kind: pa.DataType, chunks: Sequence[Chunk]) -> pa.Array:
    """The entries of the present cells, one after the other, null where an entry is undefined."""
    values = np.concatenate([chunk.values.reshape(-1) for chunk in chunks])
    if all(chunk.entries is None for chunk in chunks):
        return pa.array(values, type=kind, from_pandas=False)
    missing = [
        np.zeros(c.values.size, dtype=bool) if c.entries is None else ~c.entries.reshape(-1) for c in chunks
    ]
    return pa.array(values, type=kind, mask=np.concatenate(missing), from_pandas=False)


def _scalars(kind: pa.DataType, values: list[np.ndarray], defined: np.ndarray | None) -> pa.Array:
    joined = np.concatenate(values)
    if defined is None:
        return pa.array(joined, type=kind, from_pandas=False)
    spread = np.zeros(len(defined), dtype=joined.dtype)
    spread[defined] = joined
    return pa.array(spread, type=kind, mask=~defined, from_pandas=False)


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
