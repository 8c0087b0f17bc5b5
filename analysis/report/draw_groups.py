"""Figures that set groups of replicas beside each other."""

from collections.abc import Sequence
from functools import partial

from observatory.analysis.fit.questions import questions
from observatory.analysis.page.comparison import GroupComparison
from observatory.analysis.page.drawing import Drawing, NotDrawn
from observatory.analysis.page.figure_writer import Section
from observatory.analysis.page.forest import LINE, Row, folded, forest_figure
from observatory.analysis.page.records import Record, limits, ratio_words
from observatory.analysis.report.figure_heatmap import heatmap_figure
from observatory.analysis.report.figure_overlay import MAX_GROUPS, Boundary, overlay_figure


def draw_groups(comparison: GroupComparison) -> list[Section]:
    """Boundaries overlaid, critical points in rows, rates as a map; then what questions add."""
    asked = sorted(questions().values(), key=lambda question: question.place)
    return [
        lambda: [_overlay(comparison)],
        lambda: [_bars(comparison, comparison.last("boundary_ratio"))],
        lambda: [_heatmap(comparison)],
        *(partial(question.collect, "section_across", comparison) for question in asked),
    ]


def _overlay(comparison: GroupComparison) -> Drawing | NotDrawn:
    title = "Boundaries of the groups"
    if len(comparison.groups) > MAX_GROUPS:
        return NotDrawn(
            title, f"more than {MAX_GROUPS} groups cannot be distinguished in one panel"
        )
    boundaries = [
        Boundary(folded(m.label, 2 * LINE), comparison.cells(m), comparison.boundary(m))
        for m in comparison.groups
    ]
    how = (
        f"Curves: fitted boundaries ({comparison.estimator}); vertical lines and bands: critical "
        "weight decay λc and its interval"
        if comparison.estimator
        else "No estimator gave a boundary"
    )
    return Drawing(
        name="groups-boundaries",
        title=title,
        caption=(
            "Event rate (share of replicas, dimensionless) against weight decay (dimensionless, "
            "log axis, 0 left of the axis break), with Wilson intervals, slightly spread sideways. "
            f"{how}. {comparison.context}"
        ),
        figure=overlay_figure(boundaries, min(m.facts.window_max for m in comparison.groups)),
    )


def _bars(comparison: GroupComparison, ratios: Sequence[Record]) -> Drawing | NotDrawn:
    title = "Critical weight decay per group"
    records = [comparison.boundary(group) for group in comparison.groups]
    if not any(record is not None and limits(record, "critical") for record in records):
        return NotDrawn(title, "no estimator gave a boundary for any group")
    rows = [
        Row(
            folded(group.label),
            None if record is None else limits(record, "critical"),
            "not fitted" if record is None else "refused",
            index,
        )
        for index, (group, record) in enumerate(zip(comparison.groups, records, strict=True))
    ]
    levels = " and ".join(sorted({f"{r['level']:.0%}" for r in records if r is not None}))
    compared = [Row(folded(ratio_words(r)), limits(r, "ratio")) for r in ratios]
    beside = (
        " Below: ratios of two critical points with their intervals; dashed: equal ones."
        if compared
        else ""
    )
    return Drawing(
        name="groups-critical",
        title=title,
        caption=(
            f"Critical weight decay λc (dimensionless, log axis) by {comparison.estimator}, with "
            f"{levels} intervals; an arrow marks a limit that the data do not set.{beside} "
            f"{comparison.context}"
        ),
        figure=forest_figure(rows, compared),
    )


def _heatmap(comparison: GroupComparison) -> Drawing:
    cells = [(folded(group.label), comparison.cells(group)) for group in comparison.groups]
    return Drawing(
        name="groups-rates",
        title="Event rate per group and weight decay",
        caption=(
            "Colour: share of replicas that had the event (dimensionless); inside, how many of how "
            "many finished ones (how many alone where there are many weight decays); a dash: none "
            f"was run. {comparison.context}"
        ),
        figure=heatmap_figure(cells),
    )
