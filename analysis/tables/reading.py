"""What was read of a table, before any fit: the observations, and what the reader should know."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from observatory.analysis.stats.observations import Observations

Mask = NDArray[np.bool_]

ENDED = ("collapsed", "diverged")
"""Outcomes after which a run can no longer grok."""


@dataclass(frozen=True)
class Reading:
    """A table as fits take it.

    Attributes:
        observations: In an order that does not depend on the table's.
        warnings: What a reader of any fit of it could take wrongly.
        columns: Which column was read as what, in words.
    """

    observations: Observations
    warnings: Sequence[str]
    columns: str


def control_words(column: str) -> str:
    """The control as sentences call it.

    Example:
        >>> control_words("params.weight_decay"), control_words("train_fraction")
        ('weight decay', 'train_fraction')
    """
    name = column.removeprefix("params.").removeprefix("metrics.").removeprefix("tags.")
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
        f"Rows that did not grok and were watched for less than {horizon} steps "
        f"({int(early.sum())}) count as not grokked in rates."
    ]


def twins(frame: pd.DataFrame, names: Sequence[str], what: str) -> list[str]:
    """A warning where rows agree in all the columns named."""
    again = int(np.asarray(frame.duplicated(list(names))).sum())
    if not again:
        return []
    return [f"{again} of {len(frame)} rows repeat {what} of another: was something pasted twice?"]
