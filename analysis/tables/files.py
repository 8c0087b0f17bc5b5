"""A table from a file: CSV or Parquet, refused where it is neither."""

import csv
from pathlib import Path

import pandas as pd

from observatory.core.errors import ConfigError

_PARQUET = (".parquet", ".pq")
_PARQUET_MAGIC = b"PAR1"


def read_table(path: Path) -> pd.DataFrame:
    """The table in a file, with the column names of its first row.

    Args:
        path: A Parquet file, known by its first bytes, or text with commas, semicolons or tabs
            between its columns, known by its first row.

    Raises:
        ConfigError: If there is no such file, or it holds no table, two columns of one name, or no
            row.
    """
    if path.is_dir():
        raise ConfigError(f"`{path}` must be a file, got a folder. Give a CSV or Parquet file.")
    if not path.is_file():
        raise ConfigError(f"`{path}` does not exist. Give a CSV or Parquet file.")
    with path.open("rb") as file:
        start = file.read(4096)
    if not start.strip():
        raise ConfigError(f"`{path}` is empty. Give a table with a row of column names.")
    parquet = start.startswith(_PARQUET_MAGIC)
    if path.suffix in _PARQUET and not parquet:
        raise ConfigError(f"`{path}` is named like a Parquet file and is none. Write it anew.")
    frame = _parquet(path) if parquet else _text(path, start)
    require_table(frame, str(path))
    return frame


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"`{path}` cannot be read as Parquet: {error}. Write it anew.") from error


def _text(path: Path, start: bytes) -> pd.DataFrame:
    separator = _separator(path, start)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file, delimiter=separator))
        _require_distinct([name.strip() for name in header], str(path))
        frame = pd.read_csv(
            path, sep=separator, skipinitialspace=True, encoding="utf-8-sig", index_col=False
        )
    except (ValueError, pd.errors.ParserError) as error:  # bytes that are no text among them
        reason = str(error).strip()
        raise ConfigError(
            f"`{path}` is not a table ({reason}). Give a CSV file with a row of column names, or "
            "a Parquet file."
        ) from error
    frame.columns = [str(name).strip() for name in frame.columns]
    return frame


def _separator(path: Path, start: bytes) -> str:
    """The separator that the first row holds most often."""
    if b"\0" in start:
        raise ConfigError(f"`{path}` is not a table: it is not text. Give CSV or Parquet.")
    header = start.split(b"\n", 1)[0].decode("utf-8", errors="replace")
    return max(",;\t", key=header.count)


def _require_distinct(names: list[str], where: str) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"`{where}` has more than one column {twice}. Rename or remove one.")


def require_table(frame: pd.DataFrame, where: str) -> None:
    """Refuse a table without rows, or with two columns of one name.

    Raises:
        ConfigError: As said.
    """
    _require_distinct([str(name) for name in frame.columns], where)
    if frame.empty:
        raise ConfigError(
            f"`{where}` has no row below its column names {list(map(str, frame.columns))[:10]}. "
            "Give at least one."
        )
