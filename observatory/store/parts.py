"""Parquet files of the store: one part of a table, read and checked."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from observatory.core.errors import StoreError
from observatory.store.cells import to_pandas

PARTS = "part-[0-9]*.parquet"


def start_of(part: Path) -> int:
    """The tick at which a part starts, as its name says."""
    return int(part.stem.removeprefix("part-"))


def shards_of(run: Path) -> list[Path]:
    """The folders of a run's shards by their numbers; whatever else lies beside them is passed by.

    A copy such as `shards/0 (copy)` holds the rows of a shard twice.
    """
    found = [path for path in run.glob("shards/*") if re.fullmatch("[0-9]{1,9}", path.name)]
    return sorted(found, key=lambda path: int(path.name))


def parts_of(run: Path, table: str) -> list[Path]:
    """The files of a table of a run, by shard and then by tick."""
    return [part for shard in shards_of(run) for part in sorted(shard.glob(f"{table}/{PARTS}"))]


def read_part(path: Path, schema: pa.Schema | None = None) -> pa.Table:
    """One Parquet file of the store.

    Args:
        path: Of the file.
        schema: Which columns to read, and their types; None for all.

    Raises:
        StoreError: If it is damaged, unreadable, or of another schema.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read(columns=schema and schema.names, use_threads=False)
        return table if schema is None else table.select(schema.names).cast(schema)
    except KeyError as error:
        raise StoreError(
            f"`{path}` lacks columns that the manifest declares: {error}. Another version "
            "wrote it, or a hand put it there; move it away. Every other file is intact."
        ) from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise StoreError(
            f"`{path}` is damaged or unreadable ({error}). Every other file of the run is intact. "
            "Restore it from a copy; or remove it, and its rows are missing from the tables."
        ) from error


def read_table(run: Path, table: str, schema: pa.Schema) -> list[pa.Table]:
    """All parts of a table of a run; raises as `read_part`."""
    while True:
        paths = parts_of(run, table)
        try:
            return [read_part(path, schema) for path in paths]
        except StoreError:
            # a shard that resumed a moment ago replaces its parts: look again
            if parts_of(run, table) == paths:
                raise


def to_frame(table: pa.Table) -> pd.DataFrame:
    """A table for analysis, see `cells.to_pandas` for the dtypes."""
    return pd.DataFrame({field.name: to_pandas(field, table[field.name]) for field in table.schema})


def frame_of(table: pa.Table, replicas: Sequence[int]) -> pd.DataFrame:
    """The rows of some replicas, in the order given, of a table that is sorted by replica."""
    every = table["replica"].to_numpy()
    begins, ends = (np.searchsorted(every, replicas, side=side) for side in ("left", "right"))
    rows = [np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)]
    return to_frame(table.take(pa.array(np.concatenate([np.empty(0, dtype=np.int64), *rows]))))


def sort_rows(table: pa.Table) -> pa.Table:
    """Rows by replica, then step; rows of one replica and step stay in their order."""
    step, replica = table["step"].to_numpy(), table["replica"].to_numpy()
    return table.take(pa.array(np.lexsort((step, replica))))
