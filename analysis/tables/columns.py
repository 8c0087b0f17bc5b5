"""Which column of a table is what."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, fields

from observatory.core.errors import ConfigError

USUAL = {
    "x": ("weight_decay",),
    "success": ("grokked", "event_observed"),
    "time": ("time", "t_hi", "t_grok"),
    "t_lo": ("t_lo",),
    "watched": ("watched", "duration", "steps_watched"),
    "group": ("seed",),
    "weights": ("weight",),
    "outcome": ("outcome",),
    "n": ("n",),
    "n_grokked": ("n_grokked",),
}
"""Names that are looked for where none is given."""
PREFIXES = ("", "params.", "metrics.", "tags.")
"""What may stand before a name: the columns of an MLflow experiment have such prefixes."""


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns; None: the usual name, where the table has it.

    Attributes:
        x: The control, such as weight decay.
        success: Whether a run grokked.
        time: When, in steps; empty where it did not.
        t_lo: Last look before that.
        watched: Steps for which the run was watched.
        group: What rows share, such as a seed: the unit of resampling.
        weights: How many runs a row stands for.
        outcome: How a run ended; "collapsed" and "diverged" can no longer grok.
        n: Runs, in a table of counts.
        n_grokked: Of these, the ones that grokked.
    """

    x: str | None = None
    success: str | None = None
    time: str | None = None
    t_lo: str | None = None
    watched: str | None = None
    group: str | None = None
    weights: str | None = None
    outcome: str | None = None
    n: str | None = None
    n_grokked: str | None = None

    def told(self, roles: Sequence[str]) -> str:
        """Which column is what, in words, for the roles that have one."""
        found = {role: getattr(self, role) for role in roles}
        return ", ".join(f"{role} {name}" for role, name in found.items() if name is not None)


def resolve(asked: Columns, present: Sequence[str]) -> Columns:
    """The columns that the table has: those that were asked for, and those of the usual names.

    Raises:
        ConfigError: If a column that was asked for is missing, or one is asked for twice.

    Example:
        >>> found = resolve(Columns(time="t"), ["params.weight_decay", "t", "seed"])
        >>> found.x, found.time, found.group, found.success
        ('params.weight_decay', 't', 'seed', None)
    """
    given = {field.name: getattr(asked, field.name) for field in fields(Columns)}
    found: dict[str, str | None] = {
        role: None if name is None else _required(role, name, present)
        for role, name in given.items()
    }
    taken = [name for name in found.values() if name is not None]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ConfigError(f"A column can be one thing only, got {twice} for several.")
    for role, usual in USUAL.items():
        if found[role] is None:
            free = (column_of(name, present) for name in usual)
            found[role] = next((name for name in free if name and name not in taken), None)
    return Columns(**found)


def column_of(name: str, present: Sequence[str]) -> str | None:
    """The column of a name, with or without a prefix; None where there is none."""
    return next((prefix + name for prefix in PREFIXES if prefix + name in present), None)


def _required(role: str, name: str, present: Sequence[str]) -> str:
    found = column_of(name, present)
    if found is None:
        option = role.replace("_", "-")
        raise ConfigError(
            f"`{option}` names the column {name!r}, which is not in the table. "
            f"{known_columns(present, name)}"
        )
    return found


def known_columns(present: Sequence[str], near: str = "") -> str:
    """The columns of the table, those like a name first where there are many."""
    if len(present) > 30:
        alike = difflib.get_close_matches(near, present, n=10, cutoff=0.4)
        rest = [name for name in present if name not in alike]
        return f"It has {len(present)} columns, such as {[*alike, *rest][:20]}."
    return f"It has {list(present)}."
