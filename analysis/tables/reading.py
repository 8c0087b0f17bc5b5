"""What was read of a table, before any fit: the observations, and what the reader should know."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.columns import PREFIXES, Role, columns_text

Mask = NDArray[np.bool_]

ENDED = ("collapsed", "diverged")
"""Outcomes after which a run can no longer grok."""
_NO_CATEGORY = ("outcome", "retire_reason", "run_id", "status", "instant")
_OF_LOGS = ("tags.", "metrics.")
_MOST_VALUES = 10
"""Columns of texts that tell no kinds of runs apart: they say how one ended, or name it."""


ROLES = {
    "control": Role(usual=("weight_decay",), required=True),
    "success": Role(usual=("grokked", "event_observed")),
    "time": Role(usual=("time", "t_hi", "t_grok")),
    "t_lo": Role(usual=("t_lo",)),
    "watched": Role(usual=("watched", "duration", "steps_watched")),
    "group": Role(usual=("seed",)),
    "weights": Role(usual=("weight",)),
    "outcome": Role(usual=("outcome",)),
    "n": Role(usual=("n",)),
    "n_grokked": Role(usual=("n_grokked",)),
}


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Names of columns by what they are for; None: the table has none."""

    control: str | None = None  # what is varied, such as weight decay
    success: str | None = None  # whether a run grokked
    time: str | None = None  # when, in steps; empty where it did not
    t_lo: str | None = None  # last look before that
    watched: str | None = None  # steps for which the run was watched
    group: str | None = None  # what rows share, such as a seed: the unit of resampling
    weights: str | None = None  # how many runs a row stands for
    outcome: str | None = None  # how a run ended; "collapsed" and "diverged" can no longer grok
    n: str | None = None  # runs, in a table of counts
    n_grokked: str | None = None  # of these, the ones that grokked

    def text(self, roles: Sequence[str]) -> str:
        """Which column is what, in words, for the roles that have one."""
        found = {role: getattr(self, role) for role in roles}
        return columns_text({role: name for role, name in found.items() if name is not None})


@dataclass(frozen=True)
class Reading:
    """A table as fits take it."""

    observations: Observations  # in an order that does not depend on the table's
    warnings: Sequence[str]  # what a reader of any fit of it could take wrongly
    columns: str  # which column was read as what, in words


def control_words(column: str) -> str:
    """The control as sentences call it.

    Example:
        >>> control_words("params.weight_decay"), control_words("train_fraction")
        ('weight decay', 'train_fraction')
    """
    name = next(column.removeprefix(p) for p in PREFIXES[::-1] if column.startswith(p))
    return "weight decay" if name == "weight_decay" else name


def in_order(data: Observations) -> Observations:
    """The rows sorted: results that draw rows do not depend on how a file happens to be sorted."""
    keys: list[NDArray[Any]] = [data.time, data.grokked, data.weights]
    more = (data.watched, data.failed_at, data.time_lo, data.seed)
    keys += [key for key in more if key is not None]
    order = np.lexsort([*keys, data.weight_decay])
    values = {field.name: getattr(data, field.name) for field in fields(data)}
    arrays = {name: v[order] for name, v in values.items() if isinstance(v, np.ndarray)}
    return replace(data, **arrays)


def cut(
    data: Observations, horizon: int | None, run: int | None = None
) -> tuple[Observations, list[str]]:
    """The records at a horizon, and a warning where some of them end before it.

    Args:
        data: Records of any length.
        horizon: In steps; None leaves them as they are, with the horizon unknown.
        run: The horizon that was run; None where nobody knows.

    Raises:
        FitRefusedError: If rows that grokked at an unknown time were watched for longer.
    """
    if horizon is None:
        return data, []
    known = replace(data, horizon_steps=horizon)
    ends = np.where(np.isnan(data.time), -np.inf, data.time)
    ends = ends if data.watched is None else np.fmax(ends, data.watched)
    if np.any(ends > horizon) or (run is not None and horizon < run):
        known = data.at_horizon(horizon)
    if data.watched is None:
        return known, []
    early = ~known.grokked & ~known.failed & (data.watched < horizon)
    if not early.any():
        return known, []
    return known, [
        f"Rows without the event that were watched for less than {horizon} steps "
        f"({int(early.sum())}) count as without it in rates."
    ]


def mixed(frame: pd.DataFrame, read: Iterable[str | None]) -> list[str]:
    """A warning where rows differ in a category that no option names, and are pooled."""
    found: list[str] = []
    for name in frame.columns:
        if name in {*read, *_NO_CATEGORY} or name.startswith(_OF_LOGS):
            continue
        cells = list(frame[name].dropna())
        if not all(isinstance(cell, str) for cell in cells):
            continue
        values = list(dict.fromkeys(cells))
        if 1 < len(values) <= _MOST_VALUES and len(cells) >= 2 * len(values):
            found.append(f"{name} ({', '.join(values[:4])}{', ...' * (len(values) > 4)})")
    if not found:
        return []
    return [f"Rows that differ in {'; '.join(found)} are pooled: `by` fits each, `where` one."]


def twins(frame: pd.DataFrame, names: Sequence[str], what: str) -> list[str]:
    """A warning where rows agree in all the columns named."""
    again = int(np.asarray(frame.duplicated(list(names))).sum())
    if not again:
        return []
    return [f"{again} of {len(frame)} rows repeat {what} of another: was something pasted twice?"]
