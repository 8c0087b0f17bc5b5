"""A table from the text of a file: columns between separators, or JSON; as programs export them."""

import csv
import json
import re
import warnings
from collections.abc import Callable, Mapping
from io import StringIO
from typing import Any

import pandas as pd

from observatory.core.errors import ConfigError

_SEPARATOR = re.compile(r'"?sep=(.)"?')
_DECIMAL = re.compile(r"[+-]?\d+(,\d+)?([eE][+-]?\d+)?")
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_POINTS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+")
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_TRACKED = "__MIN"
"""Ends the columns of smallest values in charts that trackers export."""


_SAVE = "Save the sheet as CSV UTF-8."
_OTHER_FILES = {
    b"\x1f\x8b": ("packed by gzip", "Unpack it first."),
    b"PK\x03\x04": ("a workbook of a spreadsheet, or a zip", _SAVE),
    b"\xd0\xcf\x11\xe0": ("a workbook of an older spreadsheet", _SAVE),
    b"%PDF": ("a PDF", "Give the file that it was made from."),
    b"\x93NUMPY": ("an array of numpy", "Write it as CSV, with a row of column names."),
}
"""Files that are taken for tables, by their first bytes."""


def text_table(content: bytes, where: str) -> pd.DataFrame:
    """The table in the text of a file; what was done to it is in `attrs["caveats"]`.

    JSON is a list of records or a record per line. Anything else has column names in its first row
    and commas, semicolons, tabs, bars or blanks between the columns; a line `sep=;`, lines that
    start with #, empty rows, decimal commas, UTF-16 and line ends of any kind are read. A chart of
    a tracker, with columns `RUN - METRIC`, becomes a row per run and step.

    Raises:
        ConfigError: If it is no table, with what stands in the way.
    """
    text = _decoded(content, where)
    if text.lstrip()[:1] in ("[", "{"):
        return _json_table(text.strip(), where)
    frame, texts = _separated(text, where)
    return _tracked(_decimal_commas(frame, texts))


def _decoded(content: bytes, where: str) -> str:
    for start, (kind, cure) in _OTHER_FILES.items():
        if content.startswith(start):
            raise ConfigError(f"`{where}` is {kind}, not a table of text. {cure}")
    try:
        if content.startswith(_UTF_16):
            return content.decode("utf-16")
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"`{where}` is not a table as it is: its text is not UTF-8 (byte {error.start + 1} is "
            f"{content[error.start : error.start + 1]!r}). Save it as CSV UTF-8."
        ) from error
    if "\0" in text:
        raise ConfigError(f"`{where}` is not a table: it is not text. Give CSV, JSON or Parquet.")
    return text


def _separated(text: str, where: str) -> tuple[pd.DataFrame, Callable[[], pd.DataFrame]]:
    """The table, and how to have its cells as they are written."""
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    named = _SEPARATOR.fullmatch(lines[0].strip())
    lines = [line for line in lines[1 if named else 0 :] if not line.lstrip().startswith("#")]
    if not lines:
        raise ConfigError(f"`{where}` holds nothing but comments. Give a row of column names.")
    separator = named[1] if named else max(",;\t", key=lines[0].count)
    if separator not in lines[0] and "|" in lines[0]:
        separator = "|"  # as a page of Markdown has them too: at both ends, and a line of dashes
        lines = [line.strip().strip("|") for line in lines if set(line) - set("|:- ")]
    while all(line.rstrip(" ").endswith(separator) for line in lines):
        lines = [line.rstrip(" ")[:-1] for line in lines]  # a spreadsheet's empty last column
    blanks = not named and separator not in lines[0] and len(lines[0].split()) > 1
    if blanks:
        lines, separator = [" ".join(line.split()) for line in lines], " "

    def read(kind: type | None = None) -> pd.DataFrame:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # cells would be left out
            found = pd.read_csv(
                StringIO("\n".join(lines)),
                sep=separator,
                skipinitialspace=not blanks,
                index_col=False,
                dtype=kind,
            )
        found.columns = [str(name).strip() for name in found.columns]
        return found.dropna(how="all").reset_index(drop=True)

    try:
        header = [name.strip() for name in next(csv.reader(lines, delimiter=separator))]
        require_distinct(header, where)
        return read(), lambda: read(str)
    except pd.errors.ParserWarning as error:
        raise ConfigError(
            f"`{where}` has rows with more cells than there are column names. Name every column, "
            "or put cells that hold a separator into quotes."
        ) from error
    except (ValueError, csv.Error, pd.errors.ParserError) as error:
        raise ConfigError(
            f"`{where}` is not a table ({str(error).strip()}). Give a CSV file with a row of "
            "column names, a list of JSON records, or a Parquet file."
        ) from error


def _decimal_commas(frame: pd.DataFrame, written: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Columns of numbers with a decimal comma as numbers.

    A table that has some may write its thousands with points: those that could be are refused.
    """
    changed: list[str] = []
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]):
            continue
        cells = frame[name].dropna()
        texts = cells.map(str).str.strip()
        commas = texts[texts.str.contains(",")]
        if commas.empty or not texts.map(lambda text: bool(_DECIMAL.fullmatch(text))).all():
            continue
        if commas.map(lambda text: bool(_THOUSANDS.fullmatch(text))).all():
            raise _of_two_minds(str(name), commas.iloc[0], "comma")
        points = frame[name].map(str).str.replace(",", ".")
        frame[name] = pd.Series(pd.to_numeric(points, errors="coerce"))
        changed.append(str(name))
    if changed:
        for name, cells in written().drop(columns=changed).items():
            points = [c for c in cells.dropna().map(str) if _POINTS.fullmatch(c.strip())]
            if points:
                raise _of_two_minds(str(name), points[0], "point")
        frame.attrs["caveats"] = [f"Commas in {', '.join(changed)} are read as decimal points."]
    return frame


def _of_two_minds(name: str, cell: str, mark: str) -> ConfigError:
    return ConfigError(
        f"`{name}` holds {cell}: its {mark} may be a decimal point or stand between thousands. "
        "Write the numbers without it."
    )


def _tracked(frame: pd.DataFrame) -> pd.DataFrame:
    """A chart of a tracker as a row per run and step; other tables as they are."""
    names = [str(name) for name in frame.columns]
    drawn = [n for n in names if " - " in n and {n + _TRACKED, f"{n}__MAX"} <= set(names)]
    if not drawn:
        return frame
    step = names[0]
    runs: dict[str, dict[str, pd.Series]] = {}
    for name in drawn:
        run, _, metric = name.rpartition(" - ")
        runs.setdefault(run, {})[metric] = pd.Series(frame[name])
    parts = [pd.DataFrame({"run": r, "step": frame[step], **read}) for r, read in runs.items()]
    made = pd.concat(parts, ignore_index=True)
    made.attrs["caveats"] = [
        f"A column for each of {len(runs)} runs is read as rows with the columns "
        f"{', '.join(made.columns)}."
    ]
    return made


def _json_table(text: str, where: str) -> pd.DataFrame:
    """Records as rows, parts of a record by dotted names.

    A record that holds nothing but settings by name, as trainers write them into the first line,
    is of the whole file: its settings become columns `params.NAME`.
    """
    records = _records(text, where)
    rows = [r for r in records if any(not isinstance(value, Mapping) for value in r.values())]
    nested = [n for r in records for n, v in r.items() if isinstance(v, Mapping | list)]
    if not rows or (len(records) == 1 and nested):
        raise _other_shape(where, _object_words(records[0]))
    shared: dict[str, Any] = {}
    for record in (r for r in records if r not in rows):
        for part in record.values():
            plain = {f"params.{n}": v for n, v in part.items() if not isinstance(v, Mapping | list)}
            shared = {**plain, **shared}
    frame = pd.json_normalize(rows).rename(columns=str)
    more = {name: value for name, value in shared.items() if name not in frame.columns}
    return pd.concat([frame, pd.DataFrame(more, index=frame.index)], axis=1)


def _records(text: str, where: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        try:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError) as error:
            raise ConfigError(
                f"`{where}` starts as JSON and cannot be read ({error}). Write it anew."
            ) from error
    records = [found] if isinstance(found, dict) else found
    if not isinstance(records, list) or not records:
        raise _other_shape(where, "no records")
    if not all(isinstance(record, dict) for record in records):
        raise _other_shape(where, "a list of what are no records")
    return records


def _object_words(record: Mapping[str, Any]) -> str:
    """One object in words, with the list in it that may be the table."""
    inside = [n for n, v in record.items() if isinstance(v, list) and v and isinstance(v[0], dict)]
    words = f"one object with {list(record)[:8]}"
    return f"{words}: write the list {inside[0]!r} alone" if inside else words


def _other_shape(where: str, found: str) -> ConfigError:
    return ConfigError(
        f"`{where}` is JSON of another shape, {found}. Give a list of records, "
        '[{"weight_decay": 0.1, "grokked": 1}, ...], or one such record per line; with '
        'pandas, `to_json(orient="records")`.'
    )


def require_distinct(names: list[str], where: str) -> None:
    """Refuse two columns of one name; raises `ConfigError`."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(f"`{where}` has more than one column {twice}. Rename or remove one.")
