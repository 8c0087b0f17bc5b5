"""Figures that set groups of replicas beside each other."""

from collections.abc import Iterator, Mapping, Sequence
from textwrap import fill

from observatory.analysis.fit.questions import questions
from observatory.analysis.page.drawing import Drawing, Missing
from observatory.analysis.page.forest import Row, forest_figure
from observatory.analysis.page.members import Match, match_context
from observatory.analysis.page.records import Record, limits
from observatory.analysis.report.figure_heatmap import heatmap_figure
from observatory.analysis.report.figure_overlay import MAX_GROUPS, Boundary, overlay_figure

_LINE = 34
"""Letters in a line of a label."""
_LINES = 3
"""Lines of a label."""


def _folded(label: str, letters: int = _LINE) -> str:
    """A label on a few lines."""
    return fill(label, letters, max_lines=_LINES, placeholder=" …")


def draw_groups(matched: Match) -> Iterator[Drawing | Missing]:
    """Boundaries overlaid, critical points in rows, rates as a map; then what questions add."""
    yield _overlay(matched)
    yield _bars(matched, matched.of("boundary_ratio"))
    yield _heatmap(matched)
    for question in sorted(questions().values(), key=lambda question: question.place):
        yield from question.section_across(matched)


def _overlay(matched: Match) -> Drawing | Missing:
    title = "Boundaries of the groups"
    if len(matched.members) > MAX_GROUPS:
        return Missing(title, f"more than {MAX_GROUPS} groups cannot be told apart in one panel")
    boundaries = [
        Boundary(_folded(m.label, 2 * _LINE), matched.cells(m), matched.boundary(m))
        for m in matched.members
    ]
    how = (
        f"Curves: fitted boundaries ({matched.estimator}); vertical lines and bands: critical "
        "weight decay λc and its interval"
        if matched.estimator
        else "No estimator gave a boundary"
    )
    return Drawing(
        name="groups-boundaries",
        title=title,
        caption=(
            "Share of replicas (dimensionless) that grokked against weight decay (dimensionless, "
            "log axis, 0 beyond the break), with Wilson intervals, slightly spread sideways. "
            f"{how}. {match_context(matched)}"
        ),
        figure=overlay_figure(boundaries, min(m.facts.window_max for m in matched.members)),
    )


def _bars(matched: Match, ratios: Sequence[Record]) -> Drawing | Missing:
    title = "Critical weight decay per group"
    records = [matched.boundary(member) for member in matched.members]
    if not any(record is not None and limits(record, "critical") for record in records):
        return Missing(title, "no estimator gave a boundary for any group")
    rows = [
        Row(
            _folded(member.label),
            None if record is None else limits(record, "critical"),
            "not fitted" if record is None else "refused",
            index,
        )
        for index, (member, record) in enumerate(zip(matched.members, records, strict=True))
    ]
    levels = " and ".join(sorted({f"{r['level']:.0%}" for r in records if r is not None}))
    compared = [Row(_folded(ratio_words(r)), limits(r, "ratio")) for r in ratios]
    beside = (
        " Below: ratios of two critical points with their intervals; dashed: equal ones."
        if compared
        else ""
    )
    return Drawing(
        name="groups-critical",
        title=title,
        caption=(
            f"Critical weight decay λc (dimensionless, log axis) by {matched.estimator}, with "
            f"{levels} intervals; an arrow marks a limit that the data do not set.{beside} "
            f"{match_context(matched)}"
        ),
        figure=forest_figure(rows, compared),
    )


def ratio_words(record: Record) -> str:
    """Which boundary is divided by which."""
    extras: Mapping[str, object] = record["extras"]
    return f"{extras.get('numerator')} / {extras.get('denominator')}"


def _heatmap(matched: Match) -> Drawing:
    cells = [(_folded(member.label), matched.cells(member)) for member in matched.members]
    return Drawing(
        name="groups-rates",
        title="Rate of grokking per group and weight decay",
        caption=(
            "Colour: share of replicas that grokked (dimensionless); inside, how many of how many "
            "finished ones (how many alone where there are many weight decays); a dash: none was "
            f"run. {match_context(matched)}"
        ),
        figure=heatmap_figure(cells),
    )
