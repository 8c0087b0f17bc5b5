"""Columns of a table as arrays, checked in whole: every complaint names the rows it is about."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.core.errors import ConfigError

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_TRUTHS = {
    **dict.fromkeys(("1", "1.0", "true", "yes", "t", "y"), True),
    **dict.fromkeys(("0", "0.0", "false", "no", "f", "n"), False),
}
_SHOWN = 5
"""Row numbers that a complaint lists."""


def _rows_text(bad: Mask) -> str:
    """Which rows, counted from 1 below the column names."""
    places = (np.flatnonzero(bad) + 1).tolist()
    listed = ", ".join(str(place) for place in places[:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    return f"row{'s' if len(places) > 1 else ''} {listed}{more}"


def plain(value: Any) -> Any:
    """A numpy scalar as the Python value that prints like one."""
    return value.item() if isinstance(value, np.generic) else value


def refuse(bad: Mask, name: str, rule: str, advice: str, column: pd.Series | None = None) -> None:
    """Raise where any row is bad.

    Args:
        bad: Which rows break the rule, `[row]`.
        name: Of the column.
        rule: What holds for it, such as "must be positive".
        advice: What to do.
        column: Its values, to show the first bad one.

    Raises:
        ConfigError: If a row is bad.
    """
    if not bad.any():
        return
    value = "" if column is None else f", got {plain(column.iloc[int(np.argmax(bad))])!r}"
    raise ConfigError(f"`{name}` {rule}{value} in {_rows_text(bad)}. {advice}")


def cells(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; tables have been refused where two have one name."""
    return pd.Series(frame[name])


def missing(column: pd.Series) -> Mask:
    """Which cells are empty: null, NaN, or nothing but blanks, `[row]`."""
    empty = np.asarray(pd.isna(column), dtype=np.bool_)
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return empty
    codes, distinct = pd.factorize(column)
    blank = np.array([isinstance(v, str) and not v.strip() for v in distinct] + [False])
    return empty | blank[codes]


def steps(frame: pd.DataFrame, name: str, advice: str) -> Array:
    """A column of steps as float64, NaN where something never was, `[row]`.

    Never is an empty cell, infinity, and 1.797e308, which MLflow makes of infinity.

    Raises:
        ConfigError: If a cell is text or minus infinity.

    Example:
        >>> steps(pd.DataFrame({"t": [300.0, np.inf, 1.7976931348623157e308, None]}), "t", "")
        array([300.,  nan,  nan,  nan])
    """
    column = cells(frame, name)
    read = pd.Series(pd.to_numeric(column, errors="coerce"))
    never = read.to_numpy(dtype=np.float64, na_value=np.nan) >= 1.797e308
    kept = column.astype(object).where(~never, None) if never.any() else column
    return numbers(pd.DataFrame({name: kept}), name, advice, empty=True)


def numbers(frame: pd.DataFrame, name: str, advice: str, *, empty: bool = False) -> Array:
    """A column of finite numbers as float64, `[row]`.

    Args:
        frame: The table.
        name: Of the column.
        advice: What to do about cells that are none.
        empty: Whether empty cells are allowed; they become NaN.

    Raises:
        ConfigError: If a cell is text, infinite, or empty where that is not allowed.
    """
    column = cells(frame, name)
    absent = missing(column)
    if not empty:
        refuse(absent, name, "must hold a number, got an empty cell or NaN", advice)
    if pd.api.types.is_datetime64_any_dtype(column) or pd.api.types.is_timedelta64_dtype(column):
        refuse(~absent, name, "must be a number", advice, column)
    read = pd.Series(pd.to_numeric(column, errors="coerce"))
    found = read.to_numpy(dtype=np.float64, na_value=np.nan)
    refuse(np.isnan(found) & ~absent, name, "must be a number", advice, column)
    refuse(np.isinf(found), name, "must be finite", advice, column)
    return found


def truths(frame: pd.DataFrame, name: str) -> Mask:
    """A column of yes or no: 0 and 1, true and false, yes and no, `[row]`.

    Raises:
        ConfigError: If a cell is anything else, or empty.
    """
    column = cells(frame, name)
    refuse(missing(column), name, "must be 0 or 1, got an empty cell", "Fill or remove the row.")
    codes, distinct = pd.factorize(column)
    known = [_TRUTHS.get(str(value).strip().lower()) for value in distinct]
    refuse(
        np.array([value is None for value in known])[codes],
        name,
        "must be 0 or 1 (or true/false, yes/no)",
        "Name a column that says of each run whether it grokked.",
        column,
    )
    return np.array([bool(value) for value in known])[codes]


def with_value(frame: pd.DataFrame, name: str) -> tuple[pd.DataFrame, Array, list[str]]:
    """The rows that have a value, their values, and what is to be said of the others.

    Raises:
        ConfigError: If a cell is no number, or all are empty.
    """
    value = numbers(frame, name, "Fill or remove the row.", empty=True)
    lost = np.isnan(value)
    if lost.all():
        raise ConfigError(f"`{name}` is empty in every row. Name another by `--value`.")
    warnings = [f"Rows without a value are left out ({int(lost.sum())})."] if lost.any() else []
    return pd.DataFrame(frame.loc[~lost]).reset_index(drop=True), value[~lost], warnings


def codes_of(frame: pd.DataFrame, name: str) -> tuple[NDArray[np.int64], list[str]]:
    """A column of names as indices, and the names: numbers in rising order, else by text.

    Raises:
        ConfigError: If a cell is empty.
    """
    column = cells(frame, name)
    refuse(missing(column), name, "must be filled, got an empty cell", "Fill or remove the row.")
    if not pd.api.types.is_numeric_dtype(column):
        column = column.map(str)
    codes, distinct = pd.factorize(column, sort=True)
    shown = [plain(value) for value in distinct]
    return codes.astype(np.int64), [f"{v:g}" if isinstance(v, float) else str(v) for v in shown]


def labels(frame: pd.DataFrame, name: str) -> NDArray[np.int64]:
    """A column of names or numbers as integers that are the same in every table, `[row]`.

    Integers stay what they are; of anything else, a digest of its text.

    Raises:
        ConfigError: If a cell is empty.
    """
    column = cells(frame, name)
    refuse(missing(column), name, "must say what rows share, got an empty cell", "Fill it.")
    if pd.api.types.is_numeric_dtype(column):
        values = column.to_numpy(dtype=np.float64)
        if np.all(np.isfinite(values) & (values == np.round(values)) & (np.abs(values) < 2**53)):
            return values.astype(np.int64)
    codes, distinct = pd.factorize(column)
    return np.array([digest(str(plain(value))) for value in distinct], dtype=np.int64)[codes]


def digest(text: str) -> int:
    """A whole number that stands for a text, the same everywhere.

    Example:
        >>> digest("a") == digest("a"), digest("a") == digest("b")
        (True, False)
    """
    start = hashlib.sha256(text.encode()).digest()[:8]
    return int.from_bytes(start, "big", signed=True)


def control_of(frame: pd.DataFrame, name: str) -> Array:
    """The control of each row, `[row]`; raises where it is no number or negative."""
    held = list(cells(frame, name).dropna())
    words = [cell for cell in held if isinstance(cell, str)]
    read = pd.Series(pd.to_numeric(pd.Series(words, dtype=object), errors="coerce"))
    if words and len(words) == len(held) and read.isna().all():
        raise ConfigError(
            f"`{name}` must be a number, got words such as {words[0]!r}. Name a column of numbers "
            "as the control; `by` makes a fit for each of such words."
        )
    control = numbers(frame, name, "Fill or remove the row.")
    refuse(
        control < 0, name, "must be at least 0", "A log axis has no such place.", cells(frame, name)
    )
    return control


def weights_of(frame: pd.DataFrame, name: str | None) -> Array | None:
    """How many runs each row stands for, `[row]`; raises where one is not positive."""
    if name is None:
        return None
    weight = numbers(frame, name, "Fill or remove the row.")
    refuse(weight <= 0, name, "must be positive", "Remove rows that stand for nothing.")
    return weight
