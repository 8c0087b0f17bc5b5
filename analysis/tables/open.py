"""One way to open a table: a frame, a CSV or Parquet file, a study, an MLflow experiment."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from observatory.analysis.tables.files import read_table, require_table, with_texts
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

Table = pd.DataFrame | Study | Path | str
_MLFLOW = "mlflow:"


def open_table(table: Table, tracking_uri: str | None = None) -> pd.DataFrame | Study:
    """Whatever was given, as a frame whose column names are text, or as a study.

    Args:
        table: A frame; a study or its folder; a CSV or Parquet file; "mlflow:EXPERIMENT".
        tracking_uri: Where the MLflow experiment is; None: `MLFLOW_TRACKING_URI`, or the database
            in results/.

    Raises:
        ConfigError: If a file is no table, a table has no row or two columns of one name, or there
            is no such experiment.
        StoreError: If a folder is no study.
    """
    if isinstance(table, Study):
        return table
    name = "the table" if isinstance(table, pd.DataFrame) else str(table)
    if name.startswith(_MLFLOW):
        from observatory.mirror.read_table import experiment_table

        table = experiment_table(name.removeprefix(_MLFLOW), tracking_uri)
    elif tracking_uri is not None:
        raise ConfigError(f"`tracking_uri` is for {_MLFLOW}EXPERIMENT, got {name}: leave it out.")
    if isinstance(table, pd.DataFrame):
        require_table(table, name)
        made = table.rename(columns=str).reset_index(drop=True)
        made.attrs = dict(table.attrs)
        return with_texts(made)
    return Study(table) if Path(table).is_dir() else read_table(Path(table))


def open_studies(
    tables: Sequence[Table], tracking_uri: str | None = None
) -> list[Study] | pd.DataFrame:
    """Several studies, or one table of rows.

    Args:
        tables: As of `open_table`.
        tracking_uri: Likewise.

    Raises:
        ConfigError: If there is nothing, or several tables that are not all studies.
    """
    opened = [open_table(table, tracking_uri) for table in tables]
    studies = [found for found in opened if isinstance(found, Study)]
    if len(studies) == len(opened) and studies:
        return studies
    if len(opened) != 1:
        raise ConfigError("Several tables must all be studies. Join the rows of CSV files first.")
    assert isinstance(opened[0], pd.DataFrame)
    return opened[0]
