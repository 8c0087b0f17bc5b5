"""A table of counts: runs and grokked runs per value of the control."""

import numpy as np
import pandas as pd

from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.reading import Columns, Reading, control_words, in_order, twins
from observatory.analysis.tables.values import (
    MOST_RUNS,
    Array,
    cells,
    labels,
    numbers,
    refuse,
    weights_of,
)
from observatory.core.errors import ConfigError


def read_counts(
    frame: pd.DataFrame, columns: Columns, control: Array, event: str, horizon: int | None
) -> Reading:
    """A row per value of the control: how many runs, how many of them grokked.

    Rows of one value are summed, within what they share where a column says that; a row without
    runs says nothing.

    Raises:
        ConfigError: If a count is negative or fractional, more grokked than ran, or nothing ran.
    """
    assert columns.n is not None
    assert columns.n_grokked is not None
    weight = weights_of(frame, columns.weights)
    counts = [numbers(frame, name, "Give counts.") for name in (columns.n, columns.n_grokked)]
    for name, count in zip((columns.n, columns.n_grokked), counts, strict=True):
        refuse(
            count < 0, name, "must be at least 0", "Counts are not negative.", cells(frame, name)
        )
        rule = f"must be at most {MOST_RUNS:g}"
        refuse(count > MOST_RUNS, name, rule, "Give counts of runs.", cells(frame, name))
        if weight is None:
            broken = count != np.floor(count)
            advice = "Give whole runs, or their weights in a column of their own (`weights`)."
            refuse(broken, name, "must be a whole number", advice, cells(frame, name))
    n, k = counts
    rule = f"must be at most `{columns.n}`"
    refuse(
        k > n,
        columns.n_grokked,
        rule,
        "More cannot have the event than run.",
        cells(frame, columns.n_grokked),
    )
    warnings = twins(frame, list(frame.columns), "every cell")
    if np.all(n == 0):
        raise ConfigError(f"`{columns.n}` is 0 in every row. Give a table with runs.")
    factor = np.ones_like(n) if weight is None else weight
    share = np.stack([k * factor, (n - k) * factor], axis=1).ravel()
    there = share > 0
    seed = None if columns.group is None else np.repeat(labels(frame, columns.group), 2)[there]
    data = Observations(
        np.repeat(control, 2)[there],
        np.tile([True, False], control.size)[there],
        np.full(int(there.sum()), np.nan),
        event,
        horizon,
        None,
        seed=seed,
        weight=share[there],
        control=control_words(str(columns.control)),
    )
    return Reading(
        in_order(data), warnings, columns.text(("control", "n", "n_grokked", "group", "weights"))
    )
