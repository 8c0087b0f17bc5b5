"""Tests between the groups of a page: ratios of boundaries, rates per weight decay."""

from collections.abc import Mapping
from typing import Any

from observatory.analysis.comparing import compare_groups
from observatory.analysis.figures.boundary import Record
from observatory.analysis.fits.observations import Observations
from observatory.analysis.report.members import Match
from observatory.analysis.study_fits import observations


def compared(matched: Match, settings: Mapping[str, Any] | None) -> list[Record]:
    """Every group against the first, at the horizon of the match; see `compare_groups`.

    Args:
        matched: The groups.
        settings: The `study` node of the fits: level, n_bootstrap, seed; None: nothing is tested.

    Returns:
        Records of `boundary_ratio` and `rate_comparison`; empty where fewer than two groups have a
        finished replica, or their events differ.
    """
    if settings is None or len({member.facts.event for member in matched.members}) > 1:
        return []
    tables: dict[str, Observations] = {}
    for member in matched.members:
        group, horizon = member.facts.group, matched.horizon_of(member)
        table = observations(group.replicas, member.facts.event, horizon, group.steps_per_epoch)
        within = table.within(member.facts.window_max)
        if within.grokked.size:
            tables[member.label] = within
    if len(tables) < 2:
        return []
    level, n, seed = (settings[name] for name in ("level", "n_bootstrap", "seed"))
    return list(compare_groups(tables, level, n, seed))
