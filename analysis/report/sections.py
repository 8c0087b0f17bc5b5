"""What a page says of one group of replicas, and of several beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.analysis.boundary.section_tables import boundary_tables
from observatory.analysis.page.drawing import Missing
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.members import Match, Member, match, match_context
from observatory.analysis.page.plates import Gallery, Plate
from observatory.analysis.page.records import Record, limits
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import estimate, estimator_words, horizon_words, number
from observatory.analysis.report import tables
from observatory.analysis.report.answer import answer
from observatory.analysis.report.draw_groups import draw_groups, ratio_words
from observatory.analysis.report.group_tables import group_tables
from observatory.analysis.report.illustrate import illustrate
from observatory.analysis.report.methods import methods
from observatory.analysis.times.section_tables import time_tables


@dataclass(frozen=True)
class Part:
    """What the page says of one group of replicas."""

    label: str
    answer: list[str]
    glance: Table
    plates: list[Plate]
    missing: list[Missing]
    tables: list[Table]
    methods: str
    first_number: int


@dataclass(frozen=True)
class Across:
    """What the page says of several groups beside each other."""

    answer: list[str]
    notices: list[str]
    plates: list[Plate]
    missing: list[Missing]
    tables: list[Table]


def part(facts: Facts, gallery: Gallery, prefix: str, first_number: int) -> Part:
    """All of one group: its figures go to the gallery, their names after a prefix."""
    plates, missing = gallery.hang(illustrate(facts), prefix)
    made = [tables.cells(facts), *boundary_tables(facts), *time_tables(facts)]
    return Part(
        label=facts.group.label,
        answer=answer(facts),
        glance=tables.glance(facts),
        plates=plates,
        missing=missing,
        tables=[table for table in made if table.rows],
        methods=" ".join(methods(facts)),
        first_number=first_number,
    )


def across(members: Sequence[Member], records: Sequence[Record], gallery: Gallery) -> Across:
    """Several groups, at a horizon and by an estimator that they share where there are such.

    Args:
        members: The groups, the one that others are compared with first.
        records: What was fitted to the groups beside each other.
        gallery: Where figures go.
    """
    matched = match(members, records)
    ratios = matched.of("boundary_ratio")
    plates, missing = gallery.hang(draw_groups(matched), "")
    return Across(
        answer=[*_boundaries(matched), *map(_ratio, ratios)],
        notices=_notices(matched, ratios),
        plates=plates,
        missing=missing,
        tables=[table for table in group_tables(matched) if table.rows],
    )


def _boundaries(matched: Match) -> list[str]:
    if matched.estimator is None:
        return [f"No estimator gave a boundary for any group. {match_context(matched)}"]
    told: list[str] = []
    for member in matched.members:
        record = matched.boundary(member)
        if record is None:
            said = "not fitted"
        elif limits(record, "critical") is None:
            said = f"refused: {record['refused']}"
        else:
            said = f"λc = {estimate(record, 'critical')}"
        if matched.horizon is None:
            group = member.facts.group
            said += f" within {horizon_words(member.facts.horizon, group.steps_per_epoch)}"
        told.append(f"{member.label}: {said}")
    level = matched.members[0].facts.level
    return [
        f"Critical weight decay by {matched.estimator}, {level:.0%} intervals: {'; '.join(told)}.",
        match_context(matched),
    ]


def _ratio(record: Record) -> str:
    name = ratio_words(record)
    if record["refused"] is not None:
        return f"Ratio of λc, {name}: refused: {record['refused']}"
    holm, family = record["extras"].get("p_holm"), record["extras"].get("family")
    test = f"p of equal boundaries {number(record['extras'].get('p'), 2)}"
    if holm is not None:
        test += f", {number(holm, 2)} after Holm over a family of {number(family)}"
    horizon = record["horizon_steps"]
    cut = "" if horizon is None else f" at {horizon} steps"
    how = f"{estimator_words(record)}{cut}; {test}"
    return f"Ratio of λc, {name}: {estimate(record, 'ratio')} ({how})."


def _notices(matched: Match, ratios: Sequence[Record]) -> list[str]:
    told: list[str] = []
    if matched.horizon is None:
        told.append(
            "The groups share no horizon at which all were fitted: a difference between their "
            "boundaries may be one of the horizon (tests cut all records at the shortest). Fit "
            "them at a common one: `observatory fit STUDY --set fit.study.horizon_steps=[STEPS]`."
        )
    epochs = {member.facts.group.steps_per_epoch for member in matched.members}
    if len(epochs) > 1:
        told.append(
            "The groups differ in steps per epoch: a horizon in steps is not one in epochs."
        )
    events = {member.facts.event for member in matched.members}
    if len(events) > 1:
        told.append(f"The groups were fitted for different events: {', '.join(sorted(events))}.")
    if not ratios:
        told.append("No ratio of two boundaries was tested: overlapping intervals decide nothing.")
    return told
