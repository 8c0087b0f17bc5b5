"""What a run writes: its folder, once and whole; its manifest; the tables of every shard."""

import errno
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import pyarrow as pa
import pyarrow.parquet as pq

from observatory.core.columns import Column
from observatory.core.errors import StoreError
from observatory.store.files import (
    make_folder,
    read_json,
    refused_as_store_error,
    remove_if_older,
    rename_durably,
    sweep,
    temporary_beside,
    write_atomically,
    write_json,
    write_text,
)
from observatory.store.reader import MANIFEST, REPLICAS, Run
from observatory.store.schema import (
    REPLICA_COLUMNS,
    RUN_ID,
    check_version,
    to_arrow_field,
)
from observatory.store.table import Integers, TableWriter, Values

_ABANDONED_S = 3600.0  # making a run takes well under a second


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

    @property
    def rows(self) -> dict[str, int]:
        """Rows of every table so far, those that wait for a flush included."""
        return {name: writer.rows for name, writer in self._writers.items()}

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
        make_folder(folder.parent)
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
            rename_durably(temporary, folder)
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return _same_run(folder, manifest)  # another process was quicker
            raise
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
    table: pa.Table = replicas if isinstance(replicas, pa.Table) else pa.table(dict(replicas))
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
