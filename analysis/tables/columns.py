"""Which column of a table is what: one way to find them, for every question."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from observatory.analysis.tables.wide import how_to_turn
from observatory.core.errors import ConfigError
from observatory.core.settings import did_you_mean, nearest_first

PREFIXES = ("", "params.", "metrics.", "tags.", "config.", "summary.", "parameters/", "metrics/")
"""What may stand before a name in the tables of trackers: MLflow, W&B, Neptune."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """What a column is for."""

    usual: Sequence[str] = ()  # names that are looked for where none is given, the likeliest first
    required: bool = False  # whether the table must have it


def resolve(
    asked: Mapping[str, str | None], roles: Mapping[str, Role], present: Sequence[str]
) -> dict[str, str]:
    """The columns that a table has: those that were asked for, and those of the usual names.

    Args:
        asked: Names by role; None: the usual one.
        roles: Every role, the ones that choose first among usual names first.
        present: Columns of the table.

    Returns:
        Names as the table has them, with their prefix, by role; roles without a column are absent.

    Raises:
        ConfigError: If a column that was asked for or is required is missing, or one column is
            asked for twice.

    Example:
        >>> roles = {"control": Role(usual=["weight_decay"]), "time": Role(usual=["time"])}
        >>> resolve({"time": "t"}, roles, ["params.weight_decay", "t", "seed"])
        {'control': 'params.weight_decay', 'time': 't'}
    """
    found = {role: _named(role, name, present) for role, name in asked.items() if name is not None}
    taken = list(found.values())
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ConfigError(f"A column can be one thing only, got {twice} for several.")
    for role, rule in roles.items():
        if role in found:
            continue
        usual = [name for n in rule.usual if (name := column_of(n, present)) is not None]
        column = next((name for name in usual if name not in found.values()), None)
        if column is not None:
            found[role] = column
        elif rule.required and usual:
            raise ConfigError(
                f"A column can be one thing only: {usual[0]} is asked for as another. Name the "
                f"column of `{role}` too."
            )
        elif rule.required:
            usual = f": there is no {' or '.join(rule.usual)}" if rule.usual else ""
            raise ConfigError(
                f"`{role}` must name a column of the table{usual}. "
                f"{known_columns(present, rule.usual[0] if rule.usual else '')}"
            )
    return {role: found[role] for role in roles if role in found}


def column_of(name: str, present: Sequence[str]) -> str | None:
    """The column of a name, with or without a prefix; None where there is none."""
    return next((prefix + name for prefix in PREFIXES if prefix + name in present), None)


def columns_text(columns: Mapping[str, str]) -> str:
    """Which column is what, in words.

    Example:
        >>> columns_text({"control": "weight_decay", "group": "seed"})
        'control weight_decay, group seed'
    """
    return ", ".join(f"{role} {name}" for role, name in columns.items())


def known_columns(present: Sequence[str], near: str = "") -> str:
    """The columns of the table, those like a name first where there are many; how to turn it."""
    turned = how_to_turn(present, near)
    if len(present) > 30:
        alike = nearest_first(near, present)[:20]
        return f"It has {len(present)} columns, such as {alike}.{turned}"
    return f"It has {list(present)}.{turned}"


def _named(role: str, name: str, present: Sequence[str]) -> str:
    found = column_of(name, present)
    if found is None:
        option = role.replace("_", "-")
        raise ConfigError(
            f"`{option}` names the column {name!r}, which is not in the table."
            f"{did_you_mean(name, present)} {known_columns(present, name)}"
        )
    return found
