"""Tests between the groups of a page: ratios of boundaries, rates per weight decay."""

from collections.abc import Mapping
from typing import Any

from observatory.analysis.boundary.compare import compare_groups
from observatory.analysis.page.members import Match
from observatory.analysis.page.records import Record
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.cells import observations
from observatory.core.errors import FitRefusedError


def compared(matched: Match, settings: Mapping[str, Any] | None) -> list[Record]:
    """Every group against the first, at one horizon; see `compare_groups`.

    Where the groups share no fitted horizon, their records are cut at the shortest: boundaries at
    different horizons differ for that reason alone.

    Args:
        matched: The groups.
        settings: The `study` node of the fits: level, n_bootstrap, seed; None: nothing is tested.

    Returns:
        Records of `boundary_ratio` and `rate_comparison`; empty where fewer than two groups have a
        finished replica, their events differ, or have no time to cut at.
    """
    if settings is None or len({member.facts.event for member in matched.members}) > 1:
        return []
    shortest = min(member.facts.horizon for member in matched.members)
    horizon = shortest if matched.horizon is None else matched.horizon
    tables: dict[str, Observations] = {}
    for member in matched.members:
        group, event = member.facts.group, member.facts.event
        try:
            table = observations(group.replicas, event, horizon, group.steps_per_epoch)
        except FitRefusedError:
            return []
        within = table.within(member.facts.window_max)
        if within.grokked.size:
            tables[member.label] = within
    if len(tables) < 2:
        return []
    level, n, seed = (settings[name] for name in ("level", "n_bootstrap", "seed"))
    return list(compare_groups(tables, level, n, seed))
