"""What was measured of the kept states of a finished study, beside its runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

from observatory.core.columns import Column
from observatory.store.files import read_json
from observatory.store.parts import PARTS, read_part, sort_rows, to_frame
from observatory.store.reader import Run
from observatory.store.schema import KEYS, to_arrow_schema

REPROBED = "reprobed"
"""Folder of a study with what was measured of kept states, beside `runs`, which stays as it is."""


@dataclass(frozen=True)
class ReprobedTable:
    """The table of one probe, of the kept states of one run."""

    folder: Path  # of its parts
    columns: tuple[Column, ...]  # what it holds beside the keys
    since: int | None  # the step that the probe compared with; None: the start

    def table(self, names: Sequence[str]) -> pd.DataFrame:
        """Some columns and the keys, sorted by replica, then step; the dtypes are those of runs.

        Args:
            names: Of columns, beside the keys.

        Raises:
            StoreError: If a part is damaged or lacks a column.
        """
        schema = to_arrow_schema([column for column in self.columns if column.name in names])
        ordered = pa.schema([schema.field(name) for name in (*(k.name for k in KEYS), *names)])
        parts = [read_part(path, ordered) for path in sorted(self.folder.glob(PARTS))]
        every = pa.concat_tables([ordered.empty_table(), *parts]).unify_dictionaries()
        return to_frame(sort_rows(every))


def reprobed_tables(run: Run) -> dict[str, ReprobedTable]:
    """The tables that `observatory probe STUDY` left of a run, by probe; empty where it left none.

    Raises:
        StoreError: If a description of a table is damaged.
    """
    folder = run.folder.parents[1] / REPROBED / run.run_id
    found: dict[str, ReprobedTable] = {}
    for described in sorted(folder.glob("[!.]*.json")):
        if (parts := described.with_suffix("")).is_dir():
            about = read_json(described)
            columns = tuple(map(Column.from_json, about["columns"]))
            found[parts.name] = ReprobedTable(parts, columns, about["since"])
    return found
