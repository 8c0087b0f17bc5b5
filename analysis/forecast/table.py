"""Signals, events and negatives for an audit, from studies of the run store or a long table."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from observatory.analysis.tables.sources import Table

from observatory.analysis.forecast.from_studies import from_studies
from observatory.analysis.forecast.from_table import from_frame
from observatory.analysis.forecast.replicas import AuditColumns, AuditTable
from observatory.analysis.tables.files import read_table
from observatory.core.errors import ConfigError
from observatory.store.reader import Study


def read_audit(tables: Sequence[Table], columns: AuditColumns, *, memorised: bool) -> AuditTable:
    """Read and check what an audit needs.

    Args:
        tables: One or several studies or their folders; or one frame, CSV or Parquet file.
        columns: See `AuditColumns`.
        memorised: Whether windows open when a replica has memorised; else at its first look.

    Raises:
        ConfigError: If a column or an event is missing or breaks its rule.
        StoreError: If a folder is no study.
    """
    if not tables:
        raise ConfigError("`table` must be given: a study, several, or a CSV or Parquet file.")
    studies = [_study(table) for table in tables]
    known = [study for study in studies if study is not None]
    if len(known) == len(studies):
        return from_studies(known, columns, memorised=memorised)
    if len(tables) > 1:
        raise ConfigError("Several tables must all be studies. Join the rows of CSV files first.")
    table = tables[0]
    frame = table if isinstance(table, pd.DataFrame) else read_table(Path(str(table)))
    return from_frame(frame, columns, memorised=memorised)


def _study(table: Table) -> Study | None:
    if isinstance(table, Study):
        return table
    if isinstance(table, pd.DataFrame) or not Path(str(table)).is_dir():
        return None
    return Study(str(table))
