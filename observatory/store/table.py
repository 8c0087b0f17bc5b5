"""The writer of one table: rows are collected cheaply and written as whole Parquet parts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.core.errors import StoreError
from observatory.store.cells import Chunk, to_arrow, to_chunk
from observatory.store.files import refused_as_store_error, sync, write_atomically
from observatory.store.parts import PARTS, start_of
from observatory.store.rows import n_rows
from observatory.store.schema import REPLICA, RUN_ID, STEP, to_arrow_schema

Integers = Tensor | np.ndarray | Sequence[int]
Values = Tensor | np.ndarray | Sequence[str | None] | Masked | None
"""One column of a measurement, first axis = replicas; None = null for all of them."""


def to_numpy(values: Tensor | np.ndarray | Sequence[str | None] | Sequence[int]) -> np.ndarray:
    """The values on the host; shares memory where it can.

    Args:
        values: A tensor of any device and dtype, an array, or a sequence of numbers or strings.
    """
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        return (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind in "UT" else array


def part_path(folder: Path, tick: int) -> Path:
    """Where the part that starts at `tick` lies in the folder of its table."""
    return folder / f"part-{tick:012d}.parquet"


@final
class TableWriter:
    """Writes one table of one shard, part by part.

    A part holds the rows of the ticks from its name up to the next `flush`. A shard that resumes at
    an earlier tick (that of its last checkpoint) makes the same rows again: its parts replace the
    old ones that cover the same ticks, so that no row is ever found twice.

    Args:
        folder: Of the table, `shards/<k>/<table>`.
        run_id: Of every row.
        columns: What `append` is given, without the keys.
        tick: The shard's clock at the start or at the resume.
    """

    def __init__(self, folder: Path, run_id: str, columns: tuple[Column, ...], tick: int) -> None:
        self._folder = folder
        self._run_id = run_id
        self._columns = columns
        self._schema = to_arrow_schema(columns)
        self._names = frozenset(column.name for column in columns)
        self._start = tick
        self._rows_before = n_rows(folder, tick)
        self._stale = sorted(p for p in folder.glob(PARTS) if start_of(p) >= tick)
        self._chunks: dict[str, list[Chunk]] = {}
        self._clear()

    @property
    def rows(self) -> int:
        """Rows of the table so far, those that wait for a flush included."""
        return self._rows_before + self._waiting

    @property
    def _waiting(self) -> int:
        return sum(chunk.n_rows for chunk in self._chunks["replica"])

    def append(
        self,
        replica: Integers,
        step: Integers,
        measurement: Mapping[str, Values],
    ) -> None:
        """Collect one row per replica; the values are copied, nothing is written yet.

        Args:
            replica: Identity of each replica in its run, `[replica]`.
            step: Updates each of them has made, `[replica]`.
            measurement: One entry per column, `[replica, *dims]`; null where None or not `defined`.

        Raises:
            StoreError: If names, shapes or dtypes are not those of the columns; no row is kept.
        """
        if measurement.keys() != self._names:
            raise StoreError(
                f"A row of `{self._folder.name}` must have the columns {sorted(self._names)}, "
                f"got {sorted(measurement)}. Give None where nothing was measured."
            )
        replicas = to_numpy(replica)
        n = len(replicas)
        if not n:
            return
        row = [to_chunk(REPLICA, replicas, None, n), to_chunk(STEP, to_numpy(step), None, n)]
        row += [_measured(column, measurement[column.name], n) for column in self._columns]
        for chunks, chunk in zip(self._chunks.values(), row, strict=True):
            chunks.append(chunk)

    def flush(self, tick: int) -> None:
        """Write the rows since the last flush as one part; the next part starts at `tick`.

        A checkpoint at `tick` must come after this, and after at least one tick was made.

        Args:
            tick: The shard's clock. Where it is still that of the last flush, the rows are written
                and stay collected: the next flush writes the same part with more of them.

        Raises:
            StoreError: If the part cannot be written; the rows are kept, a later flush tries again.
            ValueError: If `tick` lies before the start of the part.
        """
        if tick < self._start:
            raise ValueError(
                f"`tick` must be at least {self._start}, where the part starts, got {tick}."
            )
        part = part_path(self._folder, self._start)
        covered = [stale for stale in self._stale if stale != part and start_of(stale) < tick]
        if self._chunks["replica"]:
            table = self._table()

            def write(temporary: Path) -> None:
                pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
                _remove(covered)  # before the rename: no reader ever sees a row twice

            write_atomically(part, write)
        elif tick > self._start:
            with refused_as_store_error(self._folder):
                _remove([*covered, *(stale for stale in self._stale if stale == part)])
        if tick > self._start:
            self._stale = [stale for stale in self._stale if start_of(stale) >= tick]
            self._start = tick
            self._rows_before = self.rows
            self._clear()

    def _table(self) -> pa.Table:
        keys = np.zeros(self._waiting, dtype=np.int32)
        run_id = pa.DictionaryArray.from_arrays(keys, [self._run_id])
        data = [to_arrow(self._schema.field(name), chunks) for name, chunks in self._chunks.items()]
        return pa.Table.from_arrays([run_id, *data], schema=self._schema)

    def _clear(self) -> None:
        self._chunks = {name: [] for name in self._schema.names if name != RUN_ID.name}


def _measured(column: Column, values: Values, n_rows: int) -> Chunk:
    if isinstance(values, Masked):
        return to_chunk(column, to_numpy(values.values), to_numpy(values.defined), n_rows)
    return to_chunk(column, None if values is None else to_numpy(values), None, n_rows)


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        part.unlink(missing_ok=True)
    if parts:
        sync(parts[0].parent)
