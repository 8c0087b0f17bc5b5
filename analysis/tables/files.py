"""A table from a file: CSV, JSON or Parquet, refused where it is none of them."""

from pathlib import Path

import numpy as np
import pandas as pd

from observatory.analysis.tables.text_files import require_distinct, text_table
from observatory.core.errors import ConfigError

_PARQUET = (".parquet", ".pq")
_PARQUET_MAGIC = b"PAR1"


def read_table(path: Path) -> pd.DataFrame:
    """The table in a file; what a reader should know of how it was read is in its `attrs`.

    Raises:
        ConfigError: If there is no such file, or it holds no table, two columns of one name, or no
            row.
    """
    if path.is_dir():
        raise ConfigError(f"`{path}` must be a file, got a folder. Give a CSV or Parquet file.")
    if not path.is_file():
        raise ConfigError(f"`{path}` does not exist. Give a CSV or Parquet file.")
    with path.open("rb") as file:
        start = file.read(len(_PARQUET_MAGIC))
    parquet = start == _PARQUET_MAGIC
    if path.suffix in _PARQUET and not parquet:
        raise ConfigError(f"`{path}` is named like a Parquet file and is none. Write it anew.")
    if parquet:
        frame = _parquet(path)
    else:
        content = path.read_bytes()
        if not content.strip():
            raise ConfigError(f"`{path}` is empty. Give a table with a row of column names.")
        frame = text_table(content, str(path))
    require_table(frame, str(path))
    return with_texts(frame)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ConfigError(f"`{path}` cannot be read as Parquet: {error}. Write it anew.") from error


def with_texts(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with cells that hold several values as texts: they are no numbers or names."""
    several = {
        name: frame[name].map(str, na_action="ignore")
        for name, kind in frame.dtypes.items()
        if kind.kind == "O"
        and any(isinstance(c, list | dict | set | np.ndarray) for c in frame[name])
    }
    return frame.assign(**several) if several else frame


def require_table(frame: pd.DataFrame, where: str) -> None:
    """Refuse a table without rows, or with two columns of one name.

    Raises:
        ConfigError: As said.
    """
    require_distinct([str(name) for name in frame.columns], where)
    if frame.empty:
        raise ConfigError(
            f"`{where}` has no row below its column names {list(map(str, frame.columns))[:10]}. "
            "Give at least one."
        )
