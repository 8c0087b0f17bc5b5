"""The tables of an observed run: each is opened by its first row, and may get more columns."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch

from observatory.core.columns import Column
from observatory.core.contracts import Masked, Measurement
from observatory.core.errors import StoreError
from observatory.store.cut import add_columns
from observatory.store.parts import PARTS, start_of
from observatory.store.table import TableWriter

Tables = Mapping[str, tuple[Column, ...]]


@final
class SeriesWriter:
    """Writes the tables of the one replica of an observed run.

    Args:
        shard: Its folder, `shards/0`.
        run_id: Of every row.
        tables: Columns by name of the table, of those that are there.
        declare: Given the columns of all tables whenever they change, before a row is written.
    """

    def __init__(
        self,
        shard: Path,
        run_id: str,
        tables: Tables,
        declare: Callable[[Tables], None],
    ) -> None:
        self._shard, self._run_id, self._declare = shard, run_id, declare
        self._columns = dict(tables)
        self._writers: dict[str, TableWriter] = {}
        parts = shard.rglob(PARTS)
        self._tick = max((start_of(part) + 1 for part in parts), default=0)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of every table so far."""
        return {name: self._writer(name).rows for name in self._columns}

    def row(self, table: str, columns: Sequence[Column], step: int, values: Measurement) -> None:
        """Collect the row of a look.

        Raises:
            StoreError: If the table is there with other columns.
        """
        known = self._columns.get(table)
        if known is None:
            self._columns[table] = tuple(columns)
            self._declare(self._columns)
        elif known != tuple(columns):
            raise StoreError(
                f"`{table}` of run `{self._run_id}` has other columns than this look gives: it was "
                "begun with another model, other probes or another version. Observe into another "
                "folder."
            )
        self._writer(table).append([0], [step], values)

    def numbers(
        self, table: str, about: Callable[[str], Column], rows: Mapping[int, Mapping[str, float]]
    ) -> None:
        """Collect rows of numbers by name; a name that is new becomes a column.

        Args:
            table: Its name.
            about: The column of a name.
            rows: Numbers by name, by step in rising order; null where one is not given.
        """
        rows = {step: row for step, row in rows.items() if row}
        if not rows:
            return
        known = {column.name for column in self._columns.get(table, ())}
        names = dict.fromkeys(name for row in rows.values() for name in row)
        if new := [about(name) for name in names if name not in known]:
            if table in self._writers:
                self._writers.pop(table).flush(self._tick + 1)
                self._tick += 1
            self._columns[table] = (*self._columns.get(table, ()), *new)
            add_columns(self._shard / table, tuple(new))
            self._declare(self._columns)
        steps = np.array(list(rows), dtype=np.int64)
        values = {column.name: _masked(column.name, rows) for column in self._columns[table]}
        self._writer(table).append(np.zeros_like(steps), steps, values)

    def flush(self) -> None:
        """Write what was collected, a part per table that has rows."""
        self._tick += 1
        for writer in self._writers.values():
            writer.flush(self._tick)

    def _writer(self, table: str) -> TableWriter:
        if table not in self._writers:
            self._writers[table] = TableWriter(
                self._shard / table, self._run_id, self._columns[table], self._tick
            )
        return self._writers[table]


def _masked(name: str, rows: Mapping[int, Mapping[str, float]]) -> Masked:
    return Masked.of([row.get(name) for row in rows.values()], torch.float64)
