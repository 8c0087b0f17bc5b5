"""A series that goes on from an earlier step: what was recorded after it is taken away."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from observatory.core.columns import Column
from observatory.store.files import refused_as_store_error, sync, write_atomically
from observatory.store.parts import PARTS, read_part
from observatory.store.schema import STEP, to_arrow_field


def cut_after(table: Path, step: int) -> None:
    """Remove the rows of a table of a shard that are of later steps than `step`.

    Args:
        table: Its folder, which may be missing.
        step: Last step that is kept; -1 keeps nothing.

    Raises:
        StoreError: If a part is damaged, or cannot be written.
    """
    for part in sorted(table.glob(PARTS)):
        rows = read_part(part)
        kept = rows.filter(pa.array(rows[STEP.name].to_numpy() <= step))
        if len(kept) == len(rows):
            continue
        if len(kept):
            _replace(part, kept)
        else:
            with refused_as_store_error(part):
                part.unlink()
                sync(table)


def add_columns(table: Path, columns: tuple[Column, ...]) -> None:
    """Give every part of a table of a shard the columns that it lacks, null in all its rows.

    Raises:
        StoreError: As `cut_after`.
    """
    for part in sorted(table.glob(PARTS)):
        rows = read_part(part)
        lacking = [c for c in columns if c.name not in rows.column_names]
        for column in lacking:
            field = to_arrow_field(column)
            rows = rows.append_column(field, pa.nulls(len(rows), field.type))
        if lacking:
            _replace(part, rows)


def _replace(part: Path, rows: pa.Table) -> None:
    write_atomically(
        part,
        lambda temporary: pq.write_table(
            rows, temporary, compression="zstd", write_page_checksum=True
        ),
    )
