"""Groups of replicas beside each other: what of each may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from observatory.analysis.page.facts import Facts
from observatory.analysis.page.records import Record, estimator_name, limits
from observatory.analysis.page.wording import event_words, horizon_words, plural


@dataclass(frozen=True)
class Member:
    """One group under the name that it has in a comparison.

    Attributes:
        label: Its name.
        facts: What was counted and fitted.
        apart: All that sets its configuration apart from the others'.
    """

    label: str
    facts: Facts
    apart: str


@dataclass(frozen=True)
class Match:
    """Groups at one horizon, or where they share none at each one's own, by one estimator.

    Attributes:
        members: The groups, the one that others are compared with first.
        horizon: In steps; None where the groups share none.
        estimator: The one that gives a boundary for the most groups; None where none does.
        records: What was fitted to the groups beside each other; empty before it is.
    """

    members: Sequence[Member]
    horizon: int | None
    estimator: str | None
    records: Sequence[Record] = ()

    def horizon_of(self, member: Member) -> int:
        """At which a group is compared, in steps."""
        return member.facts.horizon if self.horizon is None else self.horizon

    def cells(self, member: Member) -> pd.DataFrame:
        """The cell table of a group."""
        return member.facts.cells_at[self.horizon_of(member)]

    def of(self, fit: str) -> list[Record]:
        """Records of one kind of fit across the groups."""
        return [record for record in self.records if record["fit"] == fit]

    def boundary(self, member: Member) -> Record | None:
        """The boundary of a group, refused or not; None where it was not fitted."""
        found = member.facts.boundaries_by(self.horizon_of(member))
        return next((r for r in found if estimator_name(r) == self.estimator), None)


def match(members: Sequence[Member], records: Sequence[Record] = ()) -> Match:
    """The longest horizon at which every group has fits, and an estimator for them.

    Args:
        members: The groups, the one that others are compared with first.
        records: What was fitted to them beside each other.
    """
    shared = set.intersection(*(set(member.facts.cells_at) for member in members))
    horizon = max(shared) if shared else None
    found: dict[str, int] = {}
    for member in members:
        at = member.facts.horizon if horizon is None else horizon
        for record in member.facts.boundaries_by(at):
            name = estimator_name(record)
            found[name] = found.get(name, 0) + (limits(record, "critical") is not None)
    best = max(found, key=lambda name: found[name], default=None)
    return Match(members, horizon, best if best is not None and found[best] else None, records)


def match_context(matched: Match) -> str:
    """What every caption of a comparison ends with: n, the event and the horizon."""
    sizes = [len(member.facts.group.replicas) for member in matched.members]
    first = matched.members[0].facts
    event = event_words(first.event, first.config)
    n = f"n = {sum(sizes)} replicas in {len(sizes)} {plural(len(sizes), 'group')}"
    if matched.horizon is not None:
        return f"{n}. Event {event}. Horizon {matched.horizon} steps, of every group."
    own = ", ".join(
        horizon_words(m.facts.horizon, m.facts.group.steps_per_epoch) for m in matched.members
    )
    return f"{n}. Event {event}. Horizon: each group’s own ({own})."
