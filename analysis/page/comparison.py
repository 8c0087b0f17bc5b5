"""Groups of replicas beside each other: what of each may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record, estimator_name, limits
from observatory.analysis.page.wording import event_words, horizon_words, plural
from observatory.analysis.stats.observations import Observations
from observatory.analysis.tables.cells import observations
from observatory.core.errors import FitRefusedError


@dataclass(frozen=True)
class StudyGroup:
    """One group under the name that it has in a comparison."""

    label: str  # its name
    facts: Facts  # what was counted and fitted
    apart: str  # all that sets its configuration apart from the others'


@dataclass(frozen=True)
class GroupComparison:
    """Groups at one horizon, or where they share none at each one's own, by one estimator."""

    groups: Sequence[StudyGroup]  # the groups, the one that others are compared with first
    horizon: int | None  # in steps; None where the groups share none
    estimator: str | None  # the one that gives a boundary for the most groups; None where none does
    # what was fitted to the groups beside each other; empty before it is
    records: Sequence[Record] = ()

    @property
    def context(self) -> str:
        """What every caption of a comparison ends with: n, the event and the horizon."""
        sizes = [len(group.facts.group.replicas) for group in self.groups]
        first = self.groups[0].facts
        event = event_words(first.event, first.config)
        n = f"n = {sum(sizes)} replicas in {len(sizes)} {plural(len(sizes), 'group')}"
        if self.horizon is not None:
            return f"{n}. Event {event}. Horizon {self.horizon} steps, of every group."
        own = ", ".join(
            horizon_words(g.facts.horizon, g.facts.group.steps_per_epoch) for g in self.groups
        )
        return f"{n}. Event {event}. Horizon: each group’s own ({own})."

    def horizon_of(self, group: StudyGroup) -> int:
        """At which a group is compared, in steps."""
        return group.facts.horizon if self.horizon is None else self.horizon

    def cells(self, group: StudyGroup) -> pd.DataFrame:
        """The cell table of a group."""
        return group.facts.cells_at[self.horizon_of(group)]

    @property
    def horizons(self) -> list[int]:
        """At which groups are compared, in steps: the shared one and, of others, that nearest half.

        Where the groups share none, the shortest of their own: boundaries and times at different
        horizons differ for that reason alone.
        """
        if self.horizon is None:
            return [min(group.facts.horizon for group in self.groups)]
        longest = self.horizon
        shared = set.intersection(*(set(group.facts.cells_at) for group in self.groups))
        others = sorted(shared - {longest}, key=lambda h: (abs(2 * h - longest), h))
        return [longest, *others[:1]]

    def tables(self, horizon: int) -> dict[str, Observations]:
        """Within their windows, by label, the groups that have a row.

        Empty where their events differ, or have no time to cut at.
        """
        if len({group.facts.event for group in self.groups}) > 1:
            return {}
        found: dict[str, Observations] = {}
        for group in self.groups:
            own, event = group.facts.group, group.facts.event
            try:
                table = observations(own.replicas, event, horizon, own.steps_per_epoch)
            except FitRefusedError:
                return {}
            within = table.within(group.facts.window_max)
            if within.grokked.size:
                found[group.label] = within
        return found

    def of(self, fit: str) -> list[Record]:
        """Records of one kind of fit across the groups."""
        return [record for record in self.records if record["fit"] == fit]

    def last(self, fit: str) -> list[Record]:
        """Those of them at the longest of `horizons`."""
        return [r for r in self.of(fit) if r["horizon_steps"] in (None, self.horizons[0])]

    def boundary(self, group: StudyGroup) -> Record | None:
        """The boundary of a group, refused or not; None where it was not fitted."""
        found = group.facts.boundaries_by(self.horizon_of(group))
        return next((r for r in found if estimator_name(r) == self.estimator), None)


def compare(groups: Sequence[StudyGroup], records: Sequence[Record] = ()) -> GroupComparison:
    """The longest horizon at which every group has fits, and an estimator for them."""
    shared = set.intersection(*(set(group.facts.cells_at) for group in groups))
    horizon = max(shared) if shared else None
    found: dict[str, int] = {}
    for group in groups:
        at = group.facts.horizon if horizon is None else horizon
        for record in group.facts.boundaries_by(at):
            name = estimator_name(record)
            found[name] = found.get(name, 0) + (limits(record, "critical") is not None)
    best = max(found, key=lambda name: found[name], default=None)
    return GroupComparison(
        groups, horizon, best if best is not None and found[best] else None, records
    )
