"""Rows of a table by a condition on its columns; nothing of it is run as code."""

import ast
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.tables.columns import column_of, known_columns
from observatory.core.errors import ConfigError

_COMPARED: Mapping[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda column, values: column.isin(values),
    ast.NotIn: lambda column, values: ~column.isin(values),
}
_QUOTED = re.compile(r"`([^`]+)`")


def rows_where(frame: pd.DataFrame, condition: str) -> pd.DataFrame:
    """The rows for which a condition holds.

    Args:
        frame: The table.
        condition: Comparisons of columns with values, joined by `and`, `or`, `not`, as in
            "optimizer == 'adamw' and lr in [0.1, 0.3]". A name with blanks stands in backticks.

    Raises:
        ConfigError: If it is no such condition, a column is missing, or no row is left.

    Example:
        >>> table = pd.DataFrame({"optimizer": ["sgd", "adamw"], "lr": [0.1, 0.3]})
        >>> rows_where(table, "optimizer == 'adamw' or lr < 0.1")["lr"].tolist()
        [0.3]
    """
    quoted = _QUOTED.findall(condition)
    plain = _QUOTED.sub(lambda found: f"_quoted{quoted.index(found[1])}", condition)
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _no_condition(condition) from error
    names = {f"_quoted{i}": name for i, name in enumerate(quoted)}
    kept = _mask(tree, frame, names, condition)
    if not kept.any():
        columns = {_name(n, names) for n in ast.walk(tree) if isinstance(n, ast.Name)}
        held = {n: frame[n].unique()[:8].tolist() for n in sorted(columns & set(frame.columns))}
        raise ConfigError(f"`where` leaves no row: {condition!r}. The columns hold {held}.")
    found = pd.DataFrame(frame.loc[kept]).reset_index(drop=True)
    found.attrs = dict(frame.attrs)
    return found


def _mask(
    node: ast.expr, frame: pd.DataFrame, names: Mapping[str, str], condition: str
) -> NDArray[np.bool_]:
    def inner(part: ast.expr) -> NDArray[np.bool_]:
        return _mask(part, frame, names, condition)

    match node:
        case ast.BoolOp(op=op, values=values):
            joined = np.logical_and if isinstance(op, ast.And) else np.logical_or
            return joined.reduce([inner(value) for value in values])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return ~inner(operand)
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARED:
            sides = [_side(side, frame, names, condition) for side in (left, right)]
            try:
                found = _COMPARED[type(op)](*sides)
            except (TypeError, AttributeError) as error:
                raise _no_condition(condition) from error
            if isinstance(found, pd.Series):
                return found.to_numpy(dtype=np.bool_)
    raise _no_condition(condition)


def _side(node: ast.expr, frame: pd.DataFrame, names: Mapping[str, str], condition: str) -> Any:
    """A column, or a value."""
    if isinstance(node, ast.Name | ast.Attribute):
        name = _name(node, names)
        column = column_of(name, list(frame.columns))
        if column is None:
            raise ConfigError(
                f"`where` names the column {name!r}, which is not in the table. "
                f"{known_columns(list(frame.columns), name)} Texts stand in quotes."
            )
        return frame[column]
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError) as error:
        raise _no_condition(condition) from error


def _name(node: ast.expr, names: Mapping[str, str]) -> str:
    """A name as the table has it, one with dots among them."""
    text = ast.unparse(node)
    return names.get(text, text)


def _no_condition(condition: str) -> ConfigError:
    return ConfigError(
        f"`where` must compare columns with values, such as \"optimizer == 'adamw' and lr < 0.1\", "
        f"got {condition!r}. Join comparisons by and, or, not."
    )
