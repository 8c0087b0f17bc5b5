"""One way to open a table: a frame, a CSV or Parquet file, a study, an MLflow experiment."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import pandas as pd

from observatory.analysis.tables.files import read_table, require_table, with_texts
from observatory.analysis.tables.finished import finished_rows
from observatory.core.errors import ConfigError
from observatory.store.reader import Study

Table = pd.DataFrame | Study | Path | str
_MLFLOW = "mlflow:"


def open_table(
    table: Table, tracking_uri: str | None = None, named: Iterable[object] = ()
) -> pd.DataFrame | Study:
    """Whatever was given, as a frame whose column names are text, or as a study.

    What was done to a frame, such as rows that were left out, is in its `attrs["caveats"]`.

    Args:
        table: A frame; a study or its folder; a CSV or Parquet file; "mlflow:EXPERIMENT".
        tracking_uri: Where the MLflow experiment is; None: `MLFLOW_TRACKING_URI`, or the database
            in results/.
        named: Options of the user, as of `finished_rows`.

    Raises:
        ConfigError: If it is nothing of the kind, a file is no table, a table has no row or two
            columns of one name, no run finished, or there is no such experiment.
        StoreError: If a folder is no study.
    """
    if isinstance(table, Study):
        return table
    _check_kind(table)
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
        return finished_rows(with_texts(made), named)
    if Path(table).is_dir():
        return Study(table)
    return finished_rows(read_table(Path(table)), named)


def _check_kind(table: object) -> None:
    if not isinstance(table, pd.DataFrame | PathLike | str):
        raise ConfigError(
            f'`table` must be a DataFrame, a Study, a path or "{_MLFLOW}EXPERIMENT", got a '
            f"{type(table).__name__}. Give several studies one after another, where a question "
            "takes several: forecast(first, second)."
        )


def caveats_of(opened: pd.DataFrame | Study) -> list[str]:
    """What was done to a table when it was opened, for the reader of any fit of it."""
    return [] if isinstance(opened, Study) else [str(c) for c in opened.attrs.get("caveats", ())]


def open_studies(
    tables: Sequence[Table], tracking_uri: str | None = None, named: Iterable[object] = ()
) -> list[Study] | pd.DataFrame:
    """Several studies, or one table of rows.

    Args:
        tables: As of `open_table`.
        tracking_uri: Likewise.
        named: Likewise.

    Raises:
        ConfigError: If there is nothing, or several tables that are not all studies.
    """
    opened = [open_table(table, tracking_uri, named) for table in tables]
    studies = [found for found in opened if isinstance(found, Study)]
    if len(studies) == len(opened) and studies:
        return studies
    if len(opened) != 1:
        raise ConfigError("Several tables must all be studies. Join the rows of CSV files first.")
    assert isinstance(opened[0], pd.DataFrame)
    return opened[0]
