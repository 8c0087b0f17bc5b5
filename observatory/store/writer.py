"""Runs and the tables of their shards: rows are collected cheaply, written as whole Parquet parts."""

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from observatory.core.columns import Column
from observatory.core.contracts import Masked
from observatory.core.errors import StoreError
from observatory.store.cells import Chunk, to_arrow, to_chunk
from observatory.store.files import (
    read_json,
    refused_as_store_error,
    remove_if_older,
    sweep,
    sync,
    temporary_beside,
    write_atomically,
    write_json,
    write_text,
)
from observatory.store.reader import MANIFEST, PARTS, REPLICAS, Run, start_of
from observatory.store.schema import (
    REPLICA,
    REPLICA_COLUMNS,
    RUN_ID,
    STEP,
    check_version,
    to_arrow_field,
    to_arrow_schema,
)

_ABANDONED_S = 3600.0  # making a run takes well under a second

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
        self._stale = sorted(p for p in folder.glob(PARTS) if start_of(p) >= tick)
        self._chunks: dict[str, list[Chunk]] = {}
        self._clear()

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
        n_rows = len(replicas)
        row = [
            to_chunk(REPLICA, replicas, None, n_rows),
            to_chunk(STEP, to_numpy(step), None, n_rows),
        ]
        row += [_measured(column, measurement[column.name], n_rows) for column in self._columns]
        if n_rows:
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
                pq.write_table(table, temporary, compression="zstd")
                _remove(covered)  # before the rename: no reader ever sees a row twice

            write_atomically(part, write)
        elif tick > self._start:
            with refused_as_store_error(self._folder):
                _remove([*covered, *(stale for stale in self._stale if stale == part)])
        if tick > self._start:
            self._stale = [stale for stale in self._stale if start_of(stale) >= tick]
            self._start = tick
            self._clear()

    def _table(self) -> pa.Table:
        n_rows = sum(chunk.n_rows for chunk in self._chunks["replica"])
        run_id = pa.DictionaryArray.from_arrays(np.zeros(n_rows, dtype=np.int32), [self._run_id])
        data = [to_arrow(self._schema.field(name), chunks) for name, chunks in self._chunks.items()]
        return pa.Table.from_arrays([run_id, *data], schema=self._schema)

    def _clear(self) -> None:
        self._chunks = {name: [] for name in self._schema.names if name != RUN_ID.name}


@final
class ShardWriter:
    """Writes every table of one shard; the only writer of the shard's folder.

    Unfinished files that a dead writer left there are removed.

    Args:
        folder: Of the shard, `shards/<k>`.
        run_id: Of every row.
        tables: Columns by name of the table, such as "evaluation" or "probes/attention".
        tick: The shard's clock at the start or at the resume.
    """

    def __init__(
        self, folder: Path, run_id: str, tables: Mapping[str, tuple[Column, ...]], tick: int
    ) -> None:
        sweep(folder, recursive=True)
        self._writers = {
            name: TableWriter(folder / name, run_id, columns, tick)
            for name, columns in tables.items()
        }

    def append(
        self, table: str, replica: Integers, step: Integers, measurement: Mapping[str, Values]
    ) -> None:
        """Collect one row per replica in `table`; see `TableWriter.append`.

        Raises:
            StoreError: If the shard has no such table, or the rows do not fit it.
        """
        if table not in self._writers:
            raise StoreError(f"The shard has no table `{table}`, only {sorted(self._writers)}.")
        self._writers[table].append(replica, step, measurement)

    def flush(self, tick: int) -> None:
        """Write a part of every table that has rows; see `TableWriter.flush`."""
        for writer in self._writers.values():
            writer.flush(tick)


def create_run(
    folder: Path,
    manifest: Mapping[str, Any],
    replicas: pa.Table | Mapping[str, Any],
    config_yaml: str,
    code_diff: str | None = None,
) -> Run:
    """Make the folder of a run, whole or not at all, or return the run that is there already.

    Args:
        folder: `results/<study>/runs/<run_id>`.
        manifest: Plain values; `schema_version`, `run_id`, `identity`, `status` and `tables` are
            read by the store.
        replicas: The static table, one row per replica: arrays by name, `replica`, `shard`, `seed`,
            `weight_decay`, `lr` and other swept settings. `run_id` is added where it is missing.
        config_yaml: The resolved config, for people.
        code_diff: What differs from the commit of the manifest, or None.

    Raises:
        StoreError: If it cannot be written, is there in another version, or with another identity.
    """
    check_version(manifest)
    if (folder / MANIFEST).exists():
        return _same_run(folder, manifest)
    table = _replica_table(replicas, manifest["run_id"])
    temporary = temporary_beside(folder)
    with refused_as_store_error(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.*.tmp"):
            remove_if_older(left, _ABANDONED_S)
        try:
            write_json(temporary / MANIFEST, manifest)
            write_text(temporary / "config.yaml", config_yaml)
            if code_diff is not None:
                write_text(temporary / "code.diff", code_diff)
            write_atomically(
                temporary / REPLICAS, lambda path: pq.write_table(table, path, compression="zstd")
            )
            os.rename(temporary, folder)
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return _same_run(folder, manifest)  # another process was quicker
            raise
        sync(folder.parent)
    return Run(folder)


def update_manifest(folder: Path, **changes: Any) -> None:
    """Replace entries of a run's manifest, atomically; for the owner of the run.

    Raises:
        StoreError: If the manifest cannot be read or written.
    """
    write_json(folder / MANIFEST, {**read_json(folder / MANIFEST), **changes})


def _same_run(folder: Path, manifest: Mapping[str, Any]) -> Run:
    run = Run(folder)
    if run.manifest.get("identity") != manifest.get("identity"):
        raise StoreError(
            f"`{folder}` holds a run of another identity ({run.manifest.get('identity')}, not "
            f"{manifest.get('identity')}). Nothing was changed. Give another results folder."
        )
    return run


def _replica_table(replicas: pa.Table | Mapping[str, Any], run_id: str) -> pa.Table:
    table = replicas if isinstance(replicas, pa.Table) else pa.table(dict(replicas))
    declared = {column.name: column for column in REPLICA_COLUMNS}
    if missing := sorted(declared.keys() - {RUN_ID.name} - set(table.column_names)):
        raise StoreError(f"`replicas` must have the columns {sorted(declared)}, lacks {missing}.")
    if RUN_ID.name not in table.column_names:
        table = table.add_column(0, RUN_ID.name, pa.array([run_id] * len(table), pa.string()))
    fields = [
        to_arrow_field(declared[field.name], nullable=False) if field.name in declared else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def _measured(column: Column, values: Values, n_rows: int) -> Chunk:
    if isinstance(values, Masked):
        return to_chunk(column, to_numpy(values.values), to_numpy(values.defined), n_rows)
    return to_chunk(column, None if values is None else to_numpy(values), None, n_rows)


def _remove(parts: Sequence[Path]) -> None:
    for part in parts:
        part.unlink(missing_ok=True)
    if parts:
        sync(parts[0].parent)
