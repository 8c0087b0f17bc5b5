"""What a page says of one group of replicas, and of several beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from observatory.analysis.boundary.section_tables import boundary_tables
from observatory.analysis.page.comparison import GroupComparison, StudyGroup, compare
from observatory.analysis.page.drawing import NotDrawn, context
from observatory.analysis.page.facts import Facts
from observatory.analysis.page.figure_writer import FigureWriter, ReportFigure
from observatory.analysis.page.records import Record, estimator_name, limits, ratio_words
from observatory.analysis.page.table import Table
from observatory.analysis.page.wording import estimate, horizon_words, number
from observatory.analysis.paired.section_arms import methods_of_arms, notices_of_arms
from observatory.analysis.report import tables
from observatory.analysis.report.answer import answer
from observatory.analysis.report.draw_groups import draw_groups
from observatory.analysis.report.group_tables import group_tables
from observatory.analysis.report.illustrate import illustrate
from observatory.analysis.report.methods import methods
from observatory.analysis.report.summary import summary
from observatory.analysis.stats.solvers import alpha_of
from observatory.analysis.times.section_tables import time_tables
from observatory.analysis.training.tokens import token_tables

MOST_RATIOS = 6
"""Ratios that the page says in a sentence each."""


@dataclass(frozen=True)
class Part:
    """What the page says of one group of replicas."""

    label: str
    summary: list[str]  # three sentences
    answer: list[str]  # all that the fits say; empty where nothing can be fitted
    context: str  # n, event and horizon of all its figures
    glance: Table
    figures: list[ReportFigure]
    not_drawn: list[NotDrawn]
    tables: list[Table]
    methods: str
    first_number: int


@dataclass(frozen=True)
class Across:
    """What the page says of several groups beside each other."""

    answer: list[str]
    notices: list[str]
    figures: list[ReportFigure]
    not_drawn: list[NotDrawn]
    tables: list[Table]
    methods: str


def part(facts: Facts, writer: FigureWriter, prefix: str, first_number: int) -> Part:
    """All of one group; the names of its figures start with a prefix."""
    figures, not_drawn = writer.save(illustrate(facts), prefix)
    said = context(facts)
    if not prefix:  # of one group the page says it once
        figures = [replace(f, caption=f.caption.removesuffix(said).strip()) for f in figures]
    made = token_tables(facts.group)
    if not facts.unfitted:
        fitted = [tables.cells(facts), *boundary_tables(facts), *time_tables(facts)]
        made = [*fitted, *made]
    return Part(
        label=facts.group.label,
        summary=summary(facts),
        answer=[] if facts.unfitted else answer(facts),
        context=said,
        glance=tables.glance(facts),
        figures=figures,
        not_drawn=not_drawn,
        tables=[table for table in made if table.rows or table.notes],
        methods=" ".join(methods(facts)),
        first_number=first_number,
    )


def across(groups: Sequence[StudyGroup], records: Sequence[Record], writer: FigureWriter) -> Across:
    """Several groups, at a horizon and by an estimator that they share where there are such."""
    comparison = compare(groups, records)
    ratios, times = comparison.last("boundary_ratio"), comparison.last("time_ratio")
    figures, not_drawn = writer.save(draw_groups(comparison), "")
    return Across(
        answer=[
            *_boundaries(comparison),
            *_ratios(ratios, "λc", "equal boundaries"),
            *_ratios(times, "times", "equal times"),
        ],
        notices=[*_notices(comparison, ratios), *notices_of_arms(comparison.of("paired"))],
        figures=figures,
        not_drawn=not_drawn,
        tables=[table for table in group_tables(comparison) if table.rows or table.notes],
        methods=methods_of_arms(comparison.of("paired")),
    )


def _boundaries(comparison: GroupComparison) -> list[str]:
    if comparison.estimator is None:
        return [f"No estimator gave a boundary for any group. {comparison.context}"]
    texts: list[str] = []
    for group in comparison.groups:
        record = comparison.boundary(group)
        if record is None:
            said = "not fitted"
        elif limits(record, "critical") is None:
            said = f"refused: {record['refused']}"
        else:
            said = f"λc = {estimate(record, 'critical')}"
        if comparison.horizon is None:
            facts = group.facts
            said += f" within {horizon_words(facts.horizon, facts.group.steps_per_epoch)}"
        texts.append(f"{group.label}: {said}")
    level = comparison.groups[0].facts.level
    return [
        f"Critical weight decay by {comparison.estimator}, {level:.0%} intervals: "
        f"{'; '.join(texts)}.",
        comparison.context,
    ]


def _ratios(records: Sequence[Record], of: str, equal: str) -> list[str]:
    """A sentence for each ratio; of many one for each that its family's test shows."""
    if len(records) <= MOST_RATIOS:
        return [_ratio(record, of, equal) for record in records]
    tested = [r for r in records if r["refused"] is None]
    shown = [r for r in tested if r["extras"]["p_holm"] < alpha_of(r["level"])]
    said = [f"{ratio_words(r)} {estimate(r, 'ratio')}" for r in shown]
    horizon = records[0]["horizon_steps"]
    cut = "" if horizon is None else f" at {horizon} steps"
    return [
        f"Ratios of {of}{cut}: {len(tested)} of {len(records)} could be fitted, "
        f"{len(shown)} differ from 1 after Holm over all of them"
        f"{': ' + '; '.join(said) if said else ''}. All of them, and the reasons of the others: "
        "see the tables."
    ]


def _ratio(record: Record, of: str, equal: str) -> str:
    name = ratio_words(record)
    if record["refused"] is not None:
        return f"Ratio of {of}, {name}: refused: {record['refused']}"
    holm, family = record["extras"].get("p_holm"), record["extras"].get("family")
    test = f"p of {equal} {number(record['extras'].get('p'), 2)}"
    if holm is not None:
        test += f", {number(holm, 2)} after Holm over a family of {number(family)}"
    horizon = record["horizon_steps"]
    cut = "" if horizon is None else f" at {horizon} steps"
    how = f"{estimator_name(record)}{cut}; {test}"
    return f"Ratio of {of}, {name}: {estimate(record, 'ratio')} ({how})."


def _notices(comparison: GroupComparison, ratios: Sequence[Record]) -> list[str]:
    texts: list[str] = []
    if comparison.horizon is None:
        texts.append(
            "The groups share no horizon at which all were fitted: a difference between their "
            "boundaries may be due to the horizon (tests cut all records at the shortest). Fit "
            "them at a common one: `observatory fit STUDY --set fit.study.horizon_steps=[STEPS]`."
        )
    epochs = {group.facts.group.steps_per_epoch for group in comparison.groups}
    if len(epochs) > 1:
        texts.append(
            "The groups differ in steps per epoch: a horizon in steps is not one in epochs."
        )
    events = {group.facts.event for group in comparison.groups}
    if len(events) > 1:
        texts.append(f"The groups were fitted for different events: {', '.join(sorted(events))}.")
    if not ratios:
        texts.append("No ratio of two boundaries was tested: overlapping intervals do not decide.")
    return texts
