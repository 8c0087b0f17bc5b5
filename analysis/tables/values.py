"""Columns of a table as arrays, checked in whole: every complaint names the rows it is about."""

import hashlib
import re
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
_NEVER = {"never", "none", "no", "-", "--", "\N{EN DASH}", "\N{EM DASH}", "n/a", "\N{INFINITY}"}
"""Words for the time of what did not happen, beside those that every reader of files knows."""
MOST_RUNS = 1e12
"""That a row may stand for: beyond, likelihoods lose their digits."""
_ENDLESS, _MOST_STEPS, _FARTHEST = 1e300, 2.0**53, 1e100
_CURES = (
    (r"[+-]?[\d.,]+\s*%", "Write shares without the sign: 0.85 for 85%."),
    (r"\d+\s*/\s*\d+", "Write counts into two columns, `n` and `n_grokked`."),
    (
        r"[+-]?\d{1,3}([ .,'_\N{RIGHT SINGLE QUOTATION MARK}\xa0\u2009\u202f]\d{3})+([.,]\d+)?",
        "Write numbers without anything between their thousands.",
    ),
)
"""Numbers as people write them, and how they must be written."""
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


def _cure(column: pd.Series, bad: Mask) -> str | None:
    """How to write the first bad cell, where it is a number as people write it."""
    text = str(column.iloc[int(np.argmax(bad))]).strip() if bad.any() else ""
    return next((advice for shape, advice in _CURES if re.fullmatch(shape, text)), None)


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


def _floats(column: pd.Series) -> Array:
    """Cells as float64, NaN where one is no number, `[row]`."""
    try:
        read = pd.Series(pd.to_numeric(column, errors="coerce"))
        return read.to_numpy(dtype=np.float64, na_value=np.nan)
    except OverflowError:  # whole numbers beyond every float are infinite
        return _floats(column.map(lambda cell: float(str(cell)) if type(cell) is int else cell))


def steps(frame: pd.DataFrame, name: str, advice: str) -> Array:
    """A column of steps as float64, NaN where something never was, `[row]`.

    Never is an empty cell, infinity, 1.797e308, which MLflow makes of infinity, and a word or dash
    that says so.

    Raises:
        ConfigError: If a cell is other text, minus infinity, or no count of steps by its size.

    Example:
        >>> steps(pd.DataFrame({"t": [300.0, np.inf, 1.7976931348623157e308, None, "-"]}), "t", "")
        array([300.,  nan,  nan,  nan,  nan])
    """
    column = cells(frame, name)
    never = _floats(column) >= _ENDLESS
    if not pd.api.types.is_numeric_dtype(column):
        never |= np.array([isinstance(c, str) and c.strip().lower() in _NEVER for c in column])
    kept = column.astype(object).where(~never, None) if never.any() else column
    found = numbers(pd.DataFrame({name: kept}), name, advice, empty=True)
    refuse(found > _MOST_STEPS, name, "must be a count of steps", advice, column)
    return found


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
    found = _floats(column)
    text = np.isnan(found) & ~absent
    refuse(text, name, "must be a number", _cure(column, text) or advice, column)
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
    other = np.array([value is None for value in known])[codes]
    refuse(
        other,
        name,
        "must be 0 or 1 (or true/false, yes/no)",
        "Name a column that says of each run whether it had the event; of rates give counts, `n` "
        "and `n_grokked`.",
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
    read = pd.Series(_floats(pd.Series(words, dtype=object)))
    written = any(re.fullmatch(shape, word.strip()) for shape, _ in _CURES for word in words[:1])
    if words and len(words) == len(held) and read.isna().all() and not written:
        raise ConfigError(
            f"`{name}` must be a number, got words such as {words[0]!r}. Name a column of numbers "
            "as the control; `by` makes a fit for each of such words."
        )
    control = numbers(frame, name, "Fill or remove the row.")
    column, advice = cells(frame, name), "A log axis has no such place."
    refuse(control < 0, name, "must be at least 0", advice, column)
    far = (control > _FARTHEST) | ((control > 0) & (control < 1.0 / _FARTHEST))
    refuse(far, name, f"must be 0 or between {1.0 / _FARTHEST:g} and {_FARTHEST:g}", advice, column)
    return control


def weights_of(frame: pd.DataFrame, name: str | None) -> Array | None:
    """How many runs each row stands for, `[row]`; raises where one is not positive."""
    if name is None:
        return None
    weight = numbers(frame, name, "Fill or remove the row.")
    refuse(weight <= 0, name, "must be positive", "Remove rows that stand for nothing.")
    rule, column = f"must be between {1.0 / MOST_RUNS:g} and {MOST_RUNS:g}", cells(frame, name)
    far = (weight > MOST_RUNS) | (weight < 1.0 / MOST_RUNS)
    refuse(far, name, rule, "Give numbers of runs.", column)
    return weight
