"""p-values of all signals adjusted together, and what they say of each."""

from collections.abc import Sequence

import numpy as np

from observatory.analysis.forecast.estimators.alarm_rules import EARLY
from observatory.analysis.forecast.estimators.rows import Numbers
from observatory.analysis.stats.paired_tests import holm

FAMILIES = ("clock", "every", "within")
"""Tests that are adjusted, each over all signals."""
UNSURE = "cannot distinguish"
NOWCAST_SHARE = 0.5
"""Share of alarms with the event under way that makes a forecast a nowcast."""


def adjust(rows: Sequence[Numbers], m: int) -> None:
    """Write p-values adjusted by Holm into the rows of signals that are tested.

    Args:
        rows: Of the signals.
        m: Size of the family; registered tests that are not in the table count as 1.
    """
    for name in (f"{test}_p" for test in FAMILIES):
        p = np.array([1.0 if row[name] is None else row[name] for row in rows], dtype=np.float64)
        steps = holm(np.concatenate([p, np.ones(m - p.size)]))
        for row, by_holm in zip(rows, steps.tolist(), strict=False):
            row[f"{name}_holm"] = by_holm


def verdict(row: Numbers, kinds: Sequence[str], alpha: float, level: float) -> str:
    """What the row of a signal says of it.

    Args:
        row: Adjusted.
        kinds: Of negatives that chose rules.
        alpha: Largest false-alarm rate in training.
        level: Tests are at 1 - level.
    """
    for kind in [*kinds, EARLY]:
        if (row[f"false_{kind}_low"] or 0.0) > alpha:
            return f"false alarms ({kind})"
    sure = {test: (row[f"{test}_p_holm"] or 0.0) < 1.0 - level for test in FAMILIES}
    if not sure["clock"]:
        return UNSURE
    if (row["clock_difference"] or 0.0) < 0:
        return "worse than the clock"
    found = "better than every baseline" if sure["every"] else "better than the clock"
    if (row["nowcast"] or 0.0) >= NOWCAST_SHARE:
        found += ", a nowcast"
    if not (sure["within"] and (row["within"] or 0.0) > 0.5):
        found += ", not shown within a cell"
    return found
